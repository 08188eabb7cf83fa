// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { randomFrom, seedOfRun } from '../base/random.ts';
import { FlowType, L7FlowType, TraceObservationPoint, TraceReason, Verdict } from '../flows/flow-enums.ts';
import type { Flow } from '../flows/flow.ts';
import { smallTown, town } from '../hubble-ui/testdata/town.ts';
import { aggregator } from './aggregator.ts';
import type { Aggregator } from './aggregator.ts';
import { emptyGraph, graphDelta, withDelta } from './graph.ts';
import type { Graph } from './graph.ts';

const START = 1_700_000_000_000;
const { flowsIn } = town(smallTown);
/** What happened in so many seconds. */
const flowsOf = (seconds: number): readonly Flow[] => Array.from({ length: seconds }, (_, i) => flowsIn(START / 1000 + i)).flat();

/** A graph without the numbers that depend on who came first. */
function plain({ nodes, links, unlisted }: Graph): unknown {
  const ids = new Map(nodes.map(({ index, id }) => [index, id]));
  const shown = links.map(({ index: _, from, to, ...rest }) => ({ ...rest, from: ids.get(from), to: ids.get(to) }));
  const key = (one: (typeof shown)[number]) => `${one.from}>${one.to} ${one.protocol}:${one.port} ${one.layer7}`;
  return { nodes: nodes.map(({ id }) => id).toSorted(), links: shown.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)), unlisted };
}

function shuffled<T>(list: readonly T[], seed: number): readonly T[] {
  const random = randomFrom(seed);
  const all = [...list];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const [a, b] = [all[i], all[j]];
    if (a !== undefined && b !== undefined) [all[i], all[j]] = [b, a];
  }
  return all;
}

const over = (seconds: number, rest = {}): Aggregator => aggregator({ start: START, slotMs: 1000, slots: seconds, ...rest });
const fed = (map: Aggregator, flows: readonly Flow[]): Aggregator => (flows.forEach((flow) => map.add(flow)), map);

describe('whatever flows come', () => {
  const seed = seedOfRun();
  const flows = flowsOf(30);

  it(`their order does not matter (SEED=${seed})`, () => {
    assert.deepEqual(plain(fed(over(30), shuffled(flows, seed)).graph()), plain(fed(over(30), flows).graph()));
  });

  it('a window that has moved on is one that was made there', () => {
    const moved = fed(over(30), flows);
    moved.advance(START + 39_999);
    const later = aggregator({ start: START + 10_000, slotMs: 1000, slots: 30 });
    assert.deepEqual(plain(moved.graph()), plain(fed(later, flows).graph()));
    assert.deepEqual(moved.buckets(), later.buckets());
  });

  it('nothing is left when the window has passed', () => {
    const map = fed(over(30), flows);
    map.advance(START + 90_000);
    assert.deepEqual(map.graph(), emptyGraph);
    assert.ok(map.buckets().every(({ forwarded, dropped, errors }) => forwarded + dropped + errors === 0));
  });

  it('the drops of the links are those of the histogram, and of the flows', () => {
    const map = fed(over(30), flows);
    const dropped = flows.filter(({ verdict }) => verdict === Verdict.DROPPED).length;
    assert.ok(dropped > 0);
    assert.equal(
      map.graph().links.reduce((sum, { counts }) => sum + counts.drops, 0),
      dropped,
    );
    assert.equal(
      map.buckets().reduce((sum, bucket) => sum + bucket.dropped, 0),
      dropped,
    );
  });

  it('a delta makes the new graph of the old one', () => {
    const map = fed(over(10), flows.slice(0, flows.length / 3));
    const before = map.graph();
    fed(map, flows);
    map.advance(START + 16_000);
    const after = map.graph();
    assert.notDeepEqual(plain(before), plain(after));
    assert.deepEqual(plain(withDelta(before, JSON.parse(JSON.stringify(graphDelta(before, after))))), plain(after));
  });

  it('nodes and links have a bound, and what has no room is counted', () => {
    const map = fed(over(30, { maxNodes: 12, maxLinks: 20 }), flows);
    const { nodes, links, unlisted } = map.graph();
    assert.ok(nodes.length <= 14, `${nodes.length} nodes`); // with the others, and the world
    assert.equal(links.length, 20);
    assert.ok(unlisted > 0);
    map.advance(START + 90_000);
    assert.deepEqual(map.graph(), emptyGraph);
  });
});

const cart = { namespace: 'shop', podName: 'cart-6c9f8b7d45-x2b4z' };
const store = { namespace: 'shop', podName: 'store-0' };
const syn: Flow = {
  time: BigInt(START) * 1_000_000n,
  uuid: 'a',
  verdict: Verdict.FORWARDED,
  l4: { kind: 'TCP', sourcePort: 40_000, destinationPort: 6379, flags: 2 },
  source: cart,
  destination: store,
  type: FlowType.L3_L4,
  nodeName: 'default/node1',
  isReply: false,
  traceObservationPoint: TraceObservationPoint.TO_ENDPOINT,
  traceReason: TraceReason.NEW,
  eventType: { type: 4, subType: 0 },
  summary: '',
};
const answer: Flow = {
  ...syn,
  type: FlowType.L7,
  source: store,
  destination: cart,
  l4: { kind: 'TCP', sourcePort: 6379, destinationPort: 40_000 },
  isReply: true,
  eventType: { type: 129 },
  l7: { type: L7FlowType.RESPONSE, latencyNs: 2_000_000n, record: { kind: 'http', code: 200 } },
};
const onWire = { traceObservationPoint: TraceObservationPoint.TO_NETWORK };
const drop = {
  verdict: Verdict.DROPPED,
  dropReasonDesc: 133,
  isReply: undefined,
  eventType: { type: 1 },
  traceObservationPoint: undefined,
} as const;

const cases: readonly (readonly [what: string, flows: readonly Partial<Flow>[], counts: Readonly<Record<string, number>>])[] = [
  ['a connection that two places see is one', [{}, onWire], { connections: 1 }],
  ['connections on one node and across the wire add up', [{}, {}, onWire], { connections: 2 }],
  ['packets of a connection that is there are none', [{ traceReason: TraceReason.ESTABLISHED }, {}], { connections: 1 }],
  [
    'an answer packet is no connection',
    [{ isReply: true, traceReason: TraceReason.REPLY, source: store, destination: cart }, {}],
    { connections: 1 },
  ],
  ['without a reason a SYN opens one', [{ traceReason: undefined }], { connections: 1 }],
  ['a drop counts with its reason', [drop, drop], { drops: 2, reason: 133 }],
  ['the verdict of a policy does not count a second time', [drop, { ...drop, eventType: { type: 5 } }], { drops: 1, reason: 133 }],
  ['an audit is none of the drops', [{ verdict: Verdict.AUDIT, eventType: { type: 5 } }], { audits: 1 }],
  ['what a socket translates is seen again as packets', [{ type: FlowType.SOCK, verdict: Verdict.TRANSLATED }, {}], { connections: 1 }],
];
for (const [what, flows, wanted] of cases)
  test(what, () => {
    const { links } = fed(
      over(10),
      flows.map((flow) => ({ ...syn, ...flow })),
    ).graph();
    const none = { connections: 0, requests: 0, errors: 0, drops: 0, audits: 0 };
    assert.deepEqual(
      links.map(({ counts }) => counts),
      [{ ...none, ...wanted }],
    );
  });

const http = (code: number, latencyNs: bigint): Flow => ({
  ...answer,
  l7: { type: L7FlowType.RESPONSE, latencyNs, record: { kind: 'http', code } },
});

test('an answer belongs to the link of the one that asked, at the port that was asked', () => {
  const { nodes, links } = fed(over(10), [http(200, 2_000_000n), http(503, 2_000_000n)]).graph();
  const name = (index: number | undefined) => nodes.find((node) => node.index === index)?.id;
  const [link] = links;
  assert.deepEqual(
    [name(link?.from), name(link?.to), link?.port, link?.layer7, link?.counts.requests, link?.counts.errors],
    ['shop/cart', 'shop/store', 6379, 'HTTP', 2, 1],
  );
});

test('half of the requests are faster than p50, and nearly all than p99', () => {
  const flows = Array.from({ length: 1000 }, (_, i) => http(200, BigInt((i + 1) * 100_000)));
  const { p50 = 0, p99 = 0 } = fed(over(10), flows).graph().links[0]?.counts ?? {};
  assert.ok(Math.abs(p50 - 50) < 10, `p50 ${p50} ms`);
  assert.ok(Math.abs(p99 - 99) < 20, `p99 ${p99} ms`);
});

test('a flow of before the window does not count, one of a clock ahead does now', () => {
  const map = over(10);
  const at = (ms: number): Flow => ({ ...syn, time: BigInt(START + ms) * 1_000_000n });
  assert.deepEqual([map.add(at(-1)), map.add(at(60_000))], [false, true]);
  assert.equal(map.buckets().at(-1)?.forwarded, 1);
});
