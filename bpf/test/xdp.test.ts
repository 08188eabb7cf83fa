// SPDX-License-Identifier: Apache-2.0
// The short cut does what host_from would do, or leaves the packet to it.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, afterEach, before, describe, it, test } from 'node:test';
import { attachXdp } from '../../src/kernel/link.ts';
import type { BpfLink } from '../../src/kernel/link.ts';
import { at, families, vipOf } from './cluster.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { frame, packetOf } from './packet.ts';
import type { Packet } from './packet.ts';
import { answerTo, dsrCases, fromWire, withPorts } from './traffic.ts';

const NODE2 = '02:00:00:00:01:12';
const verdicts: Readonly<Record<number, string>> = { 1: 'drop', 2: 'pass', 3: 'tx', 4: 'redirect' };

/** struct xdp_md: the data, and the interface that it came by. */
function contextOf(bytes: number): Buffer {
  const context = Buffer.alloc(24);
  context.writeUInt32LE(bytes, 4);
  context.writeUInt32LE(link.uplink, 12);
  return context;
}

function neighbours(): void {
  const lines = families.flatMap((family) => [
    `neigh replace ${at[family].node2} lladdr ${NODE2} dev eth0`,
    `neigh replace ${at[family].router} lladdr ${mac.router} dev eth0`,
  ]);
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}

function cut(node: LoadedNode, packet: Packet | Buffer): { readonly verdict: string | undefined; readonly data: Buffer } {
  const data = Buffer.isBuffer(packet) ? packet : frame(packet);
  const result = node.datapath.program('xdp_from').testRun({ data, context: contextOf(data.length) });
  return { verdict: verdicts[result.verdict], data: result.data };
}

/** The short cut is for the second in which host_from has seen a flow: waits for one of which enough is left. */
function startOfSecond(): void {
  const left = 1_000 - Number((process.hrtime.bigint() / 1_000_000n) % 1_000n);
  if (left < 600) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, left + 10); // the coarse clock comes later
}

describe('the short cut of an uplink', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  let attached: BpfLink;
  before(async () => {
    node = await loadNode();
    attached = await attachXdp(node.datapath.program('xdp_from'), link.uplink, 'native'); // without it the driver has no queue for test runs
    neighbours();
  });
  after(() => {
    attached[Symbol.dispose]();
    node[Symbol.dispose]();
  });
  afterEach(() => node.forget());

  const slow = (packet: Packet): Packet => packetFrom(node.run('host_from', packet, { ifindex: link.uplink }));

  /** A request that the client sends in the middle of its flow, and what its backend answers. */
  const established = (one: (typeof dsrCases)[number]) => {
    const { family, body, far, target, world, port } = one;
    startOfSecond();
    const first = fromWire({ source: world, destination: vipOf('away', family) }, body(1234));
    const sent = slow(first);
    const answer = answerTo(sent);
    slow(fromWire(answer, answer.body));
    const later = <B extends Packet['body']>(of: B): B => (of.kind === 'tcp' ? { ...of, flags: 'PA', ack: 9, payload: 'more' } : of);
    assert.deepEqual([sent.destination, port > 0, target > 0], [far, true, true]);
    return { request: { ...first, body: later(first.body) }, answer: fromWire(answer, later(answer.body)) };
  };

  for (const one of dsrCases) {
    const { label } = one;

    it(`sends ${label} to a backend of another node, and its answer to the client, as host_from does`, () => {
      const { request, answer } = established(one);
      for (const [packet, to] of [
        [request, NODE2],
        [answer, mac.router],
      ] as const) {
        const { verdict, data } = cut(node, packet);
        assert.equal(verdict, 'tx');
        assert.deepEqual(packetOf(data), { ...slow(packet), from: mac.uplink, to });
      }
    });

    it(`counts ${label}`, () => {
      const { request } = established(one);
      const counted = () => node.conntrack().find(({ key }) => key.source === one.world)?.value.packets ?? 0;
      const before = counted();
      cut(node, request);
      assert.equal(Number(counted()), Number(before) + 1);
    });

    it(`leaves ${label} alone that host_from has to see`, () => {
      const { request } = established(one);
      const passes = (packet: Packet | Buffer) => {
        const { verdict, data } = cut(node, packet);
        assert.equal(verdict, 'pass');
        assert.deepEqual(data, Buffer.isBuffer(packet) ? packet : frame(packet));
      };
      passes({ ...request, body: withPorts(request.body, { sourcePort: 4321 }) }); // no flow
      passes({ ...request, to: mac.podA }); // for another machine
      passes({ ...request, ttl: 1 });
      passes(frame(request).subarray(0, -2)); // shorter than it says
      if (request.body.kind === 'tcp') for (const flags of ['S', 'FA', 'R']) passes({ ...request, body: { ...request.body, flags } });
      node.age(2); // host_from looks at each flow once a second
      passes(request);
    });
  }

  it('leaves a flow alone whose next hop is not known', () => {
    for (const one of dsrCases) {
      const { request } = established(one);
      execFileSync('ip', ['neigh', 'del', at[one.family].node2, 'dev', 'eth0']);
      slow(request);
      assert.equal(cut(node, request).verdict, 'pass');
      execFileSync('ip', ['neigh', 'replace', at[one.family].node2, 'lladdr', NODE2, 'dev', 'eth0']);
      slow(request); // a second may be over
      assert.equal(cut(node, request).verdict, 'tx');
    }
  });
});

test('packets of a direct flow go on as they are, once its frontend has been told', { skip: namespaceMissing }, async () => {
  using node = await loadNode({}, 'dsr');
  using _attached = await attachXdp(node.datapath.program('xdp_from'), link.uplink, 'native');
  neighbours();
  for (const { family, body, world, far } of dsrCases) {
    const first = fromWire({ source: world, destination: vipOf('away', family) }, body(1234));
    const next = first.body.kind === 'tcp' ? { ...first, body: { ...first.body, flags: 'A', ack: 1 } } : first;
    const sent = (count: number) => {
      node.forget();
      node.run('host_from', first, { ifindex: link.uplink });
      for (let i = 1; i < count; i++) node.run('host_from', next, { ifindex: link.uplink });
      return cut(node, next);
    };
    assert.equal(sent(first.body.kind === 'tcp' ? 1 : 8).verdict, 'pass', 'the first ones have to tell');
    startOfSecond();
    const outcome = sent(10);
    assert.equal(outcome.verdict, 'tx');
    const { source, destination, options, extensions } = packetOf(outcome.data);
    assert.deepEqual([source, destination, options, extensions], [world, far, undefined, undefined]);
  }
});
