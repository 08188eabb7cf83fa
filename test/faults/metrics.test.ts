// SPDX-License-Identifier: Apache-2.0
// What Prometheus reads: at the port that the values name, in its own format, and true.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { unreachable } from '../../sandbox/checks/traffic.ts';
import { run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { agentReady, endpointsOn, faultyCluster, problemsOn, seedValues, skip, valuesFile } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsm');
const node = () => faulty().node('node1');
let agent: Agent | undefined;

async function started(lines: string): Promise<void> {
  agent?.signal('SIGTERM');
  await agent?.exited;
  const values = await valuesFile(faulty(), 'values.yaml', `${readFileSync(seedValues, 'utf8')}${lines}`);
  agent = faulty().start(node(), { values, args: ['--refresh', '2'] });
  await agentReady(node(), agent);
}

async function scraped(url: string): Promise<ReadonlyMap<string, number>> {
  const ran = await run(node().enter(['curl', '--silent', '--show-error', '--globoff', '--fail', '--max-time', '4', url], ['--net']));
  assert.equal(ran.code, 0, ran.stderr);
  const samples = ran.stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of samples) assert.match(line, /^[a-z_][a-z0-9_]*(\{([a-z_]+="[^"]*",?)+\})? [-+.e\d]+$/);
  return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

test('without prometheus.enabled nobody listens', { skip }, async () => {
  await faulty().dismissAgents();
  await started('');
  const ran = await run(node().enter(['curl', '--silent', 'http://127.0.0.1:9962/metrics'], ['--net']));
  assert.equal(ran.code, 7);
});

test('with it the numbers are those of the node, by both families', { skip }, async () => {
  await started('prometheus: { enabled: true }\n');
  const local = await scraped('http://127.0.0.1:9962/metrics');
  const outside = await scraped(`http://[${node().ipv6}]:9962/metrics`);
  // the kubelet may have made its first CNI call in between
  const names = (samples: ReadonlyMap<string, number>) =>
    [...samples.keys()].filter((name) => !name.startsWith('stentor_cni_call')).toSorted();
  assert.deepEqual(names(outside), names(local));
  assert.equal(local.get('cilium_endpoint_state{endpoint_state="ready"}'), (await endpointsOn(node())).length);
  assert.equal(local.get('cilium_nodes_all_num'), 3);
  assert.ok((local.get('cilium_process_resident_memory_bytes') ?? 0) > 40e6);
  assert.ok((local.get('stentor_bpf_map_bytes{map_name="conntrack"}') ?? 0) > 1e6);
  const other = await run(node().enter(['curl', '--silent', '-o', '/dev/null', '-w', '%{http_code}', 'http://127.0.0.1:9962/'], ['--net']));
  assert.equal(other.stdout, '404');
});

test('what happens is counted: a drop, a sweep, a CNI call, a Problem', { skip }, async () => {
  const { places, cluster } = faulty();
  const dropped = 'cilium_drop_count_total{reason="IS_A_CLUSTERIP"}';
  const before = await scraped('http://127.0.0.1:9962/metrics');
  const address = ofFamily(places.serviceIps('echo'), 'IPv4');
  await places.outsider.run(['ip', 'route', 'add', `${address}/32`, 'via', node().ipv4]);
  try {
    await unreachable(places.outsider, address, 80);
  } finally {
    await places.outsider.run(['ip', 'route', 'del', `${address}/32`]);
  }
  await run(node().enter(['/opt/cni/bin/cilium-cni'], ['--net', '--mount']), {
    env: { CNI_COMMAND: 'STATUS' },
    input: '{"cniVersion":"1.1.0","name":"cilium","type":"cilium-cni"}',
  });
  const metadata = { namespace: 'checks', name: 'lost' };
  cluster.store.create('endpointslices.discovery.k8s.io', { metadata, addressType: 'IPv4', endpoints: [] });
  await until('all of it to be counted', 10_000, async () => {
    const after = await scraped('http://127.0.0.1:9962/metrics');
    return (
      (after.get(dropped) ?? 0) > (before.get(dropped) ?? 0) &&
      (after.get('cilium_datapath_conntrack_gc_runs_total{status="completed"}') ?? 0) > 0 &&
      (after.get('stentor_cni_calls_total{verb="STATUS",code="0"}') ?? 0) > 0 &&
      after.get('stentor_problems{reason="NoService"}') === 1
    );
  });
  cluster.store.delete('endpointslices.discovery.k8s.io', metadata);
});

test('a port that is taken is a Problem, and served as soon as it is free', { skip }, async () => {
  agent?.signal('SIGTERM');
  await agent?.exited;
  const holder = run(node().enter(['timeout', '15', 'socat', 'TCP6-LISTEN:9962,reuseaddr,fork', 'EXEC:true'], ['--net']), {
    timeoutMs: 30_000,
  });
  await until('somebody to listen', 5000, async () => (await run(node().enter(['ss', '-Hltn', 'sport = 9962'], ['--net']))).stdout !== '');
  const values = await valuesFile(faulty(), 'values.yaml', `${readFileSync(seedValues, 'utf8')}prometheus: { enabled: true }\n`);
  agent = faulty().start(node(), { values });
  await agentReady(node(), agent);
  const problems = await problemsOn(node());
  assert.ok(
    problems.some(
      ({ object, reason, message }) => object === 'Config prometheus.port' && reason === 'PortInUse' && /\/metrics/.test(message),
    ),
  );
  await holder;
  await until(
    'the page to be there',
    15_000,
    async () => (await run(node().enter(['curl', '--silent', '--fail', 'http://127.0.0.1:9962/metrics'], ['--net']))).code === 0,
  );
});
