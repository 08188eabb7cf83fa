// SPDX-License-Identifier: Apache-2.0
// `hubble` as users start it, against a relay and three agents: what is typed on one end is what the flows of all nodes say at the other.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { observerHandlers } from '../../src/agent/observer.ts';
import { peerHandlers } from '../../src/agent/peer-service.ts';
import { systemClock } from '../../src/base/clock.ts';
import { agentEvents } from '../../src/flows/agent-events.ts';
import { flowRing } from '../../src/flows/flow-ring.ts';
import type { FlowRing } from '../../src/flows/flow-ring.ts';
import type { Flow } from '../../src/flows/flow.ts';
import { answer, drop, query, reply, syn, verdict } from '../../src/flows/testdata/flows.ts';
import { healthHandlers } from '../../src/grpc/health.ts';
import { grpcServer } from '../../src/grpc/server.ts';
import type { GrpcServer } from '../../src/grpc/server.ts';
import type { PeerRow } from '../../src/hubble/peer.ts';
import { relayHandlers } from '../../src/relay/handlers.ts';
import { pool } from '../../src/relay/pool.ts';

const host = '127.0.0.1';
const hubble = fileURLToPath(new URL('../../bin/hubble', import.meta.url));
const stop = new AbortController();
const end = new AsyncDisposableStack();
const NODES = ['a', 'b', 'c'] as const;
const START = BigInt(Date.now() - 60_000) * 1_000_000n;

/** The `n`th flow of the cluster, which node n mod 3 saw. */
const at = (n: number, flow: Flow): Flow => ({
  ...flow,
  time: START + BigInt(n) * 1_000_000n,
  uuid: String(n),
  nodeName: `default/${NODES[n % 3]}`,
});
const flows = [syn, reply, query, answer, drop, verdict, ...Array.from({ length: 30 }, () => syn)].map((flow, n) => at(n, flow));

const rings: FlowRing[] = [];
let rows: readonly PeerRow[] = [];
let address = '';

async function served(server: GrpcServer): Promise<number> {
  await end.use(server).listen({ host, port: 0 });
  return server.port;
}

before(async () => {
  const found: PeerRow[] = [];
  for (const [i, node] of NODES.entries()) {
    const ring = flowRing(255);
    ring.append(flows.filter((_, n) => n % 3 === i));
    rings.push(ring);
    const observer = observerHandlers(
      { ring, events: agentEvents(1), nodeName: `default/${node}`, version: 'v1', clock: systemClock },
      stop.signal,
    );
    const peers = peerHandlers({ rows: () => rows, listen: () => () => undefined });
    const port = await served(grpcServer({ handlers: [...observer, ...peers, ...healthHandlers(() => true)] }));
    found.push({ name: node, address: `${host}:${port}`, serverName: undefined });
  }
  rows = [...found, { name: 'gone', address: `${host}:1`, serverName: undefined }];
  const port = Number(found[0]?.address.split(':')[1]);
  const known = pool({ peerService: { host, port }, peerServerName: '', tls: undefined, log: () => undefined });
  const running = known.run(stop.signal);
  end.defer(() => running);
  const relay = grpcServer({
    handlers: [...relayHandlers({ pool: known, nodeName: 'relay', version: 'v1' }), ...healthHandlers(() => true)],
  });
  address = `${host}:${await served(relay)}`;
  for (const deadline = Date.now() + 20_000; known.peers().filter(({ status }) => status !== undefined).length < NODES.length;) {
    assert.ok(Date.now() < deadline, 'the relay does not know all agents within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});
after(async () => {
  stop.abort();
  await end.disposeAsync();
});

const start = (line: string) =>
  spawn(hubble, line.trim().split(' '), {
    env: { PATH: process.env['PATH'], HOME: '/nowhere', HUBBLE_SERVER: address },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
async function run(line: string) {
  const child = start(line);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}
/** The numbers of the flows that `hubble observe` with these flags shows. */
async function shown(flags: string): Promise<readonly number[]> {
  const { out } = await run(`observe -o json ${flags}`);
  return out.split('\n').flatMap((line) => {
    const uuid = /"uuid":"(\d+)"/.exec(line)?.[1];
    return uuid === undefined ? [] : [Number(uuid)];
  });
}

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const cases: readonly (readonly [flags: string, wanted: readonly number[]])[] = [
  ['', from(16, 35)],
  ['--last 4', from(32, 35)],
  ['--first 4', from(0, 3)],
  ['--all --protocol dns', [2, 3]],
  ['--all --verdict DROPPED', [4, 5]],
  ['--all -t drop', [4]],
  ['--all --not --verdict FORWARDED', [4, 5]],
  ['--all -t policy-verdict --traffic-direction egress', [5]],
  ['--all --pod default/client', [2, 3]],
  ['--all --from-pod default/client', [2]],
  ['--all --namespace default', [2, 3]],
  ['--all --namespace networking', []],
  ['--all --from-ip 1.1.1.0/24', [4, 5]],
  ['--last 3 --to-port 8181 --node-name a', [27, 30, 33]],
];
for (const [flags, wanted] of cases)
  test(`hubble observe ${flags} shows ${wanted.length} flows of all nodes, in order`, async () =>
    assert.deepEqual(await shown(flags), wanted));

test('a node that is missing is told, and that it is one of four', async () => {
  const { code, out, err } = await run('observe --last 1');
  assert.deepEqual([code, out.split('\n').length], [0, 2]);
  assert.match(err, /1 nodes are unavailable: gone\n/);
  assert.match(err, /These are the flows of 3\/4 nodes\n$/);
});

test('lines ask for what makes them readable', async () => {
  const { out } = await run('observe --all -t policy-verdict');
  assert.match(out, / policy-verdict:none EGRESS DENIED \(TCP Flags: SYN\)\n$/);
});

test('hubble observe --follow shows what a node sees from then on', async () => {
  const child = start('observe --follow --print-node-name');
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  const timer = setInterval(() => rings[1]?.append([{ ...syn, time: BigInt(Date.now()) * 1_000_000n, nodeName: 'default/b' }]), 50);
  const [line] = await once(child.stdout, 'data');
  clearInterval(timer);
  assert.match(String(line), /^\w{3} [ \d]\d [\d:.]+ \[default\/b\]: .* to-endpoint FORWARDED \(TCP Flags: SYN\)\n/);
  child.kill('SIGINT');
  await once(child, 'close');
  assert.equal(child.exitCode, 0);
});

test('status, nodes and namespaces are of all nodes', async () => {
  assert.match(
    (await run('status')).out,
    /^Healthcheck \(via .*\): Ok\nCurrent\/Max Flows: \d+\/765 \(.*\)\nFlows\/s: .*\nConnected Nodes: 3\/4\nUnavailable Nodes: 1\n {2}- gone\n$/,
  );
  const nodes = (await run('list nodes')).out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 2).join(' '));
  assert.deepEqual(nodes.slice(0, 4), ['NAME STATUS', 'a Connected', 'b Connected', 'c Connected']);
  assert.match(nodes[4] ?? '', /^gone (Unavailable|Error)$/);
  for (const deadline = Date.now() + 10_000; !(await run('list namespaces')).out.includes('kube-system');)
    assert.ok(Date.now() < deadline, 'no namespace');
});

test('what the server refuses is said in its words', async () => {
  const { code, err } = await run('observe --http-path (');
  assert.equal(code, 1);
  assert.match(err, /^The server .* refuses: .*http_path/);
  assert.match((await run('observe agent-events')).err, /GetAgentEvents/);
});
