// SPDX-License-Identifier: Apache-2.0
// What Prometheus reads: at the port that the values name, in its own format, and true.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { unreachable } from '../../sandbox/checks/traffic.ts';
import { podsIn } from '../../sandbox/objects.ts';
import { run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { agentReady, endpointsOn, faultyCluster, problemsOn, seedValues, skip, valuesFile } from './cluster.ts';
import type { Agent, Faulty } from './cluster.ts';
import { emptyOf, noPrometheus, panelQueries, startPrometheus } from './prometheus.ts';
import type { Asked, Target } from './prometheus.ts';
import { registry } from '../../src/dashboards/registry.ts';

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

test('where prometheus.enabled is false nobody listens', { skip }, async () => {
  await faulty().dismissAgents();
  await started('prometheus: { enabled: false }\n');
  const ran = await run(node().enter(['curl', '--silent', 'http://127.0.0.1:9962/metrics'], ['--net']));
  assert.equal(ran.code, 7);
});

test('else the numbers are those of the node, by both families', { skip }, async () => {
  await started('');
  let local: ReadonlyMap<string, number> = new Map();
  let outside = local;
  // between two scrapes the agent may take an address over, or the kubelet make its first CNI call
  await until('both to have the same series', 15_000, async () => {
    [local, outside] = [await scraped('http://127.0.0.1:9962/metrics'), await scraped(`http://[${node().ipv6}]:9962/metrics`)];
    return isDeepStrictEqual([...outside.keys()], [...local.keys()]);
  });
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

/** What dashboards show happens all the time: packets are dropped, names do not exist, somebody pings. The shop asks by HTTP. */
async function keepBusy({ places }: Faulty, signal: AbortSignal): Promise<void> {
  const address = ofFamily(places.serviceIps('echo'), 'IPv4');
  const route = [`${address}/32`, 'via', node().ipv4];
  await places.outsider.run(['ip', 'route', 'replace', ...route]);
  while (!signal.aborted) {
    await Promise.all([
      unreachable(places.outsider, address, 80).catch(() => undefined), // refused or dropped, as it may
      places.client.run(['getent', 'hosts', 'nowhere.checks.svc.cluster.local']).catch(() => undefined),
      places.client.run(['ping', '-c', '1', '-W', '1', ofFamily(places.echoOn('node2').ips, 'IPv4')]).catch(() => undefined),
    ]);
  }
  await places.outsider.run(['ip', 'route', 'del', ...route]);
}

/** Every agent at both its ports, and whatever pods of the operator and the relay there are. */
function targetsIn({ cluster }: Faulty): readonly Target[] {
  const at = (job: string, name: string, port: number): Target => ({ job, node: name, address: `${faulty().node(name).ipv4}:${port}` });
  const ofPods = (labelSelector: string, job: string, port: number) =>
    podsIn(cluster.store, { namespace: 'kube-system', labelSelector }).map(({ spec }) => at(job, spec.nodeName ?? '', port));
  return [
    ...cluster.nodes.flatMap(({ name }) => [at('cilium-agent', name, 9962), at('hubble', name, 9965)]),
    ...ofPods('io.cilium/app=operator', 'cilium-operator', 9963),
    ...ofPods('k8s-app=hubble-relay', 'hubble-relay', 9966),
  ];
}

const others: Agent[] = [];

test(
  'a Prometheus that scrapes agents, operators and relay has data for every panel of every dashboard',
  { skip: skip || noPrometheus },
  async () => {
    const values = join(faulty().scratch, 'values.yaml');
    for (const name of ['node2', 'node3']) others.push(faulty().start(faulty().node(name), { values }));
    await Promise.all(others.map((one, i) => agentReady(faulty().node(`node${i + 2}`), one)));
    const over = new AbortController();
    const busy = keepBusy(faulty(), over.signal);
    await using prometheus = await startPrometheus(faulty(), targetsIn(faulty()));
    try {
      const asked = await panelQueries();
      const empty = await emptyOf(prometheus, asked, 60_000);
      const down = await prometheus.down();
      assert.deepEqual(down, []);
      assert.deepEqual(
        empty.map(({ panel, query }) => `${panel}: ${query}`),
        [],
      );
      assert.ok(asked.length > 90, `${asked.length} queries`);
      const nobodys: Asked = { panel: 'of what nobody has', query: 'sum(rate(cilium_endpoint_regenerations_total[10s]))' };
      assert.deepEqual(await emptyOf(prometheus, [nobodys], 0), [nobodys]);
      await assert.rejects(prometheus.count('sum(cilium_version'), /does not take it/);
    } finally {
      over.abort();
      await busy;
    }
  },
);

test('every metric that is there is declared with its labels', { skip }, async () => {
  const known = registry();
  for (const { address } of targetsIn(faulty()))
    for (const series of (await scraped(`http://${address}/metrics`)).keys()) {
      const [, name = '', labels = ''] = /^([a-z_0-9]+)(?:\{(.*)\})?$/.exec(series) ?? [];
      const metric = known.get(name) ?? known.get(name.replace(/_(bucket|sum|count)$/, ''));
      assert.ok(metric, `${address} has ${name}, which is not declared`);
      for (const [, label = ''] of labels.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g))
        assert.ok(
          label === 'le' || metric.labels.includes(label),
          `${series} has the label ${label}, declared are ${metric.labels.join()}`,
        );
    }
});

test('a port that is taken is a Problem, and served as soon as it is free', { skip }, async () => {
  for (const one of [agent, ...others]) one?.signal('SIGTERM');
  for (const one of [agent, ...others]) await one?.exited;
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
