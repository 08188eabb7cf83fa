// SPDX-License-Identifier: Apache-2.0
// A relay between three agents and a client that shares nothing with either: order, nodes that are gone or come, limits of the
// whole cluster.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { observerHandlers } from '../../src/agent/observer.ts';
import { peerHandlers } from '../../src/agent/peer-service.ts';
import type { Clock } from '../../src/base/clock.ts';
import { agentEvents } from '../../src/flows/agent-events.ts';
import { flowRing } from '../../src/flows/flow-ring.ts';
import type { FlowRing } from '../../src/flows/flow-ring.ts';
import type { Flow } from '../../src/flows/flow.ts';
import { grpcServer } from '../../src/grpc/server.ts';
import type { GrpcServer } from '../../src/grpc/server.ts';
import type { PeerRow } from '../../src/hubble/peer.ts';
import { relayHandlers } from '../../src/relay/handlers.ts';
import { pool } from '../../src/relay/pool.ts';
import { allAt, bytesAt, HubbleClient, numberAt, textAt } from './client.ts';
import type { Part } from './client.ts';

const host = '127.0.0.1';
const stop = new AbortController();
const flow = (node: string, milliseconds: number, summary: string): Flow => ({
  time: BigInt(1_700_000_000_000 + milliseconds) * 1_000_000n,
  uuid: '',
  verdict: 1,
  type: 1,
  nodeName: `default/${node}`,
  summary,
  source: { namespace: `of-${node}`, podName: 'p' },
});

/** When the flows are. */
const clock: Clock = { now: () => 1_700_000_001_000, monotonic: () => performance.now() };

type Agent = { readonly ring: FlowRing; readonly server: GrpcServer };

/** Its flows are at the milliseconds given, and are called so. */
async function agent(node: string, times: readonly number[], peers: () => readonly PeerRow[] = () => []): Promise<Agent> {
  const ring = flowRing(1023);
  ring.append(times.map((time) => flow(node, time, String(time))));
  const watched = { rows: peers, listen: (listener: () => void) => (listeners.add(listener), () => void listeners.delete(listener)) };
  const observer = observerHandlers({ ring, events: agentEvents(1), nodeName: `default/${node}`, version: node, clock }, stop.signal);
  const server = grpcServer({ handlers: [...observer, ...peerHandlers(watched)] });
  await server.listen({ host, port: 0 });
  return { ring, server };
}

const listeners = new Set<() => void>();
let rows: readonly PeerRow[] = [];
const agents: Agent[] = [];
let relay: GrpcServer;
let client: HubbleClient;
const known = pool({ peerService: { host, port: 0 }, peerServerName: '', tls: undefined, log: () => {} });
let running: Promise<void>;
let peers = known;

const rowOf = (name: string, { server }: Agent): PeerRow => ({ name, address: `${host}:${server.port}`, serverName: undefined });
const tellPeers = (next: readonly PeerRow[]) => {
  rows = next;
  for (const listener of listeners) listener();
};

before(async () => {
  agents.push(await agent('a', [1, 4, 7], () => rows), await agent('b', [2, 5, 8]), await agent('c', [3, 6, 9]));
  const [first] = agents;
  assert.ok(first);
  rows = agents.map((one, index) => rowOf('abc'[index] ?? '', one));
  peers = pool({ peerService: { host, port: first.server.port }, peerServerName: '', tls: undefined, log: () => {} });
  running = peers.run(stop.signal);
  relay = grpcServer({ handlers: relayHandlers({ pool: peers, nodeName: 'relay', version: 'relay v1' }) });
  await relay.listen({ host, port: 0 });
  client = new HubbleClient({ host, port: relay.port });
  await until(() => peers.peers().length === 3 && peers.peers().every(({ status }) => status !== undefined));
});
after(async () => {
  client.close();
  stop.abort();
  await running;
  for (const { server } of [...agents, { server: relay }]) await server[Symbol.asyncDispose]();
});

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds();) {
    assert.ok(Date.now() < deadline, 'it did not come about in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const GET_FLOWS = 'observer.Observer/GetFlows';
const [NUMBER, FOLLOW, WHITELIST, SINCE, FIRST] = [1, 3, 6, 7, 9];
const [CONNECTED, UNAVAILABLE, ERROR] = [1, 2, 4];

/** Flows by their name, states of nodes as 'state:names'. */
const told = (messages: readonly Buffer[]): string =>
  messages
    .map((message) => {
      const status = bytesAt(message, 2);
      return status ? `${numberAt(status, 1)}:${allAt(status, 2).map(String).join(',')}` : textAt(message, 1, 100_000);
    })
    .join(' ');
const seen = async (request: readonly Part[]): Promise<string> => told((await client.ask(GET_FLOWS, request)).messages);

const reads: readonly (readonly [what: string, request: readonly Part[], wanted: string])[] = [
  ['all flows of all nodes in their order', [], '1 2 3 4 5 6 7 8 9'],
  ['the newest of the whole cluster', [[NUMBER, 4]], '6 7 8 9'],
  [
    'the oldest of the whole cluster',
    [
      [NUMBER, 4],
      [FIRST, true],
    ],
    '1 2 3 4',
  ],
  [
    'as many as were asked for since a time',
    [
      [NUMBER, 2],
      [
        SINCE,
        [
          [1, 1_700_000_000],
          [2, 4_000_000],
        ],
      ],
    ],
    '4 5',
  ],
  ['all, as --all asks', [[NUMBER, 2n ** 64n - 1n]], '1 2 3 4 5 6 7 8 9'],
  ['those of one node', [[WHITELIST, [[24, 'b']]]], '2 5 8'],
];
for (const [what, request, wanted] of reads)
  test(`gives ${what}`, async () => {
    assert.equal(await seen(request), `${CONNECTED}:a,b,c ${wanted}`);
  });

test('a mistake is told once, by the relay', async () => {
  const { status, words, messages } = await client.ask(GET_FLOWS, [[WHITELIST, [[1, 'x']]]]);
  assert.deepEqual([status, messages.length], [3, 0]);
  assert.match(words, /^whitelist\[0\]\.source_ip\[0\]/);
});

test('tells of all nodes, namespaces and sums', async () => {
  const nodes = allAt((await client.ask('observer.Observer/GetNodes', [])).messages[0] ?? Buffer.alloc(0), 1);
  assert.deepEqual(
    nodes.map((node) => [textAt(node, 1), textAt(node, 2), numberAt(node, 4), numberAt(node, 7)]),
    ['a', 'b', 'c'].map((name) => [name, name, CONNECTED, 3]),
  );
  const [status = Buffer.alloc(0)] = (await client.ask('observer.Observer/ServerStatus', [])).messages;
  assert.deepEqual(
    [numberAt(status, 1), numberAt(status, 2), numberAt(status, 5, 1), bytesAt(status, 6)?.length, textAt(status, 8)],
    [9, 3069, 3, 0, 'relay v1'],
  );
  let namespaces: readonly (string | undefined)[] = [];
  for (const deadline = Date.now() + 5000; namespaces.length < 3 && Date.now() < deadline;)
    namespaces = allAt((await client.ask('observer.Observer/GetNamespaces', [])).messages[0] ?? Buffer.alloc(0), 1).map((one) =>
      textAt(one, 2),
    );
  assert.deepEqual(namespaces, ['of-a', 'of-b', 'of-c']);
  assert.equal((await client.ask('observer.Observer/GetAgentEvents', [])).status, 12);
});

test('whoever follows gets what comes from all nodes in its order', async () => {
  const following = client.ask(GET_FLOWS, [[FOLLOW, true]], 7);
  await until(() => agents.every(({ server }) => server.port > 0));
  await client.ask('observer.Observer/ServerStatus', []);
  const [a, b, c] = agents;
  b?.ring.append([flow('b', 20, '20'), flow('b', 23, '23')]);
  a?.ring.append([flow('a', 21, '21'), flow('a', 24, '24')]);
  c?.ring.append([flow('c', 22, '22'), flow('c', 25, '25')]);
  assert.equal(told((await following).messages), `${CONNECTED}:a,b,c 20 21 22 23 24 25`);
});

test('a node that does not answer is named, and the others are not held up', async () => {
  const dead = { name: 'dead', address: `${host}:1`, serverName: undefined };
  tellPeers([...rows, dead]);
  await until(() => peers.peers().some(({ trouble }) => trouble !== undefined));
  assert.match(await seen([[NUMBER, 1]]), /^1:a,b,c 2:dead 25$/);
  const [status = Buffer.alloc(0)] = (await client.ask('observer.Observer/ServerStatus', [])).messages;
  assert.deepEqual([numberAt(status, 5, 1), numberAt(status, 6, 1), textAt(status, 7)], [3, 1, 'dead']);
  const nodes = allAt((await client.ask('observer.Observer/GetNodes', [])).messages[0] ?? Buffer.alloc(0), 1);
  assert.deepEqual(
    nodes.map((node) => numberAt(node, 4)),
    [CONNECTED, CONNECTED, CONNECTED, UNAVAILABLE],
  );
  tellPeers(rows.filter(({ name }) => name !== 'dead'));
  await until(() => peers.peers().length === 3);
});

test('whoever follows gets the flows of a node that comes, and learns when it is lost', async () => {
  const late = await agent('late', [1000]);
  const [a] = agents;
  const following = client.ask(GET_FLOWS, [[FOLLOW, true]], (messages) => told(messages).includes(`${ERROR}:late`));
  tellPeers([...rows, rowOf('late', late)]);
  const soon = Date.now() - 1_700_000_000_000 + 60_000;
  const feed = setInterval(() => late.ring.append([flow('late', soon, 'fresh')]), 20);
  const lost = setTimeout(() => void late.server[Symbol.asyncDispose](), 4000);
  const words = told((await following).messages);
  clearInterval(feed);
  clearTimeout(lost);
  assert.match(words, /^1:a,b,c 1:late (?:fresh )+4:late$/);
  a?.ring.append([flow('a', 26, '26')]);
  assert.equal(await seen([[NUMBER, 1]]), '1:a,b,c 2:late 26', 'it is known at once, before anybody has looked');
  tellPeers(rows.filter(({ name }) => name !== 'late'));
});
