// SPDX-License-Identifier: Apache-2.0
// An ICMP error comes back to whoever sent the packet that it is about, and quotes that packet as it was sent: addresses, ports
// and every checksum, byte by byte.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { checksum } from './checksum.ts';
import { at, families } from './cluster.ts';
import { fragmentsOf } from './fragments.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { ipBytes, Protocol } from './packet.ts';
import type { Body, Packet } from './packet.ts';
import {
  answerTo,
  cases,
  checkPairs,
  delivered,
  echo,
  entryFrom,
  expectDrop,
  expectRun,
  fromPod,
  fromWire,
  routed,
  tcp,
  udp,
} from './traffic.ts';

type Kind = { readonly name: string; readonly type: number; readonly code: number; readonly rest: number };

const kinds: Readonly<Record<4 | 6, readonly Kind[]>> = {
  4: [
    { name: 'host unreachable', type: 3, code: 1, rest: 0 },
    { name: 'port unreachable', type: 3, code: 3, rest: 0 },
    { name: 'fragmentation needed', type: 3, code: 4, rest: 1280 },
    { name: 'time exceeded', type: 11, code: 0, rest: 0 },
    { name: 'parameter problem', type: 12, code: 0, rest: 0x0900_0000 },
  ],
  6: [
    { name: 'no route', type: 1, code: 0, rest: 0 },
    { name: 'port unreachable', type: 1, code: 4, rest: 0 },
    { name: 'packet too big', type: 2, code: 0, rest: 1280 },
    { name: 'time exceeded', type: 3, code: 0, rest: 0 },
    { name: 'parameter problem', type: 4, code: 0, rest: 40 },
  ],
};

/** How much of the packet is quoted: all, or what RFC 792 wants at least. */
const quotes = { whole: 10_000, least: 8 };

function errorBody({ type, code, rest }: Kind, about: Packet, transportBytes: number): Body {
  const header = about.source.includes(':') ? 40 : 20;
  return { kind: 'icmp', type, code, rest, data: ipBytes({ ...about, ttl: 1 }).subarray(0, header + transportBytes) };
}

describe('an ICMP error', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { family, protocol, label, body, podA, podB, far, world, node: host, router, ...service } of cases) {
    /** Where pod A sends, where the error about it is seen, and from whom it comes; `peer`: the one that the packet went to. */
    const ways = [
      { name: 'masqueraded', to: world, peer: world, program: 'host_from', ifindex: link.uplink, pings: true },
      { name: 'routed', to: far, peer: far, program: 'host_from', ifindex: link.uplink, pings: true },
      { name: 'delivered to another pod', to: podB, peer: podB, program: 'pod_from', ifindex: link.podB, pings: true },
      { name: 'translated to another node', to: service.remote, peer: far, program: 'host_from', ifindex: link.uplink, pings: false },
      { name: 'translated and masqueraded', to: service.outside, peer: world, program: 'host_from', ifindex: link.uplink, pings: false },
      { name: 'translated to another pod', to: service.cart, peer: podB, program: 'pod_from', ifindex: link.podB, pings: false },
      { name: 'translated to the pod itself', to: service.self, peer: podA, program: 'pod_from', ifindex: link.podA, pings: false },
      { name: 'translated to this host', to: service.kubernetes, peer: host, program: 'pod_to', ifindex: link.podA, pings: false },
    ] as const;

    for (const { name, to, peer, program, ifindex } of ways.filter(({ pings }) => pings || protocol !== 'ping')) {
      it(`about ${label} that was ${name} finds its sender`, () => {
        const taken = fromPod('podB', { source: podB, destination: world }, body(40_000));
        node.run('pod_from', taken, { ifindex: link.podB }); // so that the port changes
        const request = fromPod('podA', { source: podA, destination: to }, body(40_000));
        const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
        for (const kind of kinds[family]) {
          for (const bytes of Object.values(quotes)) {
            const reporters = program === 'host_from' ? [peer, router] : [peer];
            for (const reporter of reporters) {
              const error: Packet = {
                ...fromWire({ source: reporter, destination: sent.source }, errorBody(kind, sent, bytes)),
                ...(program !== 'host_from' && { from: peer === podA ? mac.podA : mac.podB, to: mac.gateway }),
              };
              const seen = { source: reporter === peer ? to : router, destination: podA, body: errorBody(kind, request, bytes) };
              const out = program === 'pod_to' ? { ...error, ...seen } : delivered('podA', error, seen);
              expectRun(node, program, error, { verdict: program === 'pod_to' ? 'stack' : 'redirect', ifindex, out });
            }
          }
        }
      });
    }

    for (const { name, to, leaves } of [
      { name: 'masqueraded', to: world, leaves: host },
      { name: 'routed', to: far, leaves: podA },
      ...(protocol === 'ping'
        ? []
        : [
            { name: 'translated', to: service.remote, leaves: podA },
            { name: 'translated and masqueraded', to: service.outside, leaves: host },
          ]),
    ]) {
      it(`from a pod about the reply to ${label} that was ${name} finds the peer`, () => {
        const request = fromPod('podA', { source: podA, destination: to }, body(40_000));
        const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
        const reply = fromWire(answerTo(sent), answerTo(sent).body);
        const got = packetFrom(node.run('host_from', reply, { ifindex: link.uplink }));
        for (const kind of kinds[family]) {
          for (const bytes of Object.values(quotes)) {
            const error = fromPod('podA', { source: podA, destination: to }, errorBody(kind, got, bytes));
            const out = routed(error, { source: leaves, destination: reply.source, body: errorBody(kind, reply, bytes) });
            expectRun(node, 'pod_from', error, { verdict: 'redirect', out });
          }
        }
      });
    }
  }

  for (const family of families) {
    const { podA, podB, far, world, node: host, router, cart } = at[family];
    const [kind = assert.fail()] = kinds[family];

    it(`about no flow that is known goes to the stack, or ends here when a pod sends it, over IPv${family}`, () => {
      const about = { ...fromWire({ source: host, destination: world }, udp(40_000, 53)) };
      expectRun(node, 'host_from', fromWire({ source: router, destination: host }, errorBody(kind, about, quotes.least)), {
        verdict: 'stack',
      });
      const forged = fromPod(
        'podA',
        { source: podA, destination: podB },
        errorBody(kind, { ...about, source: podB, destination: far }, quotes.least),
      );
      expectDrop(node, 'pod_from', forged, { reason: DropReason.staleOrUnroutableIp });
      assert.deepEqual(node.conntrack(), []);
    });

    it(`does not keep a flow alive and is not counted over IPv${family}`, () => {
      const request = fromPod('podA', { source: podA, destination: world }, udp(40_000, 53));
      const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
      node.age(30);
      const before = node.conntrack();
      expectRun(node, 'host_from', fromWire({ source: router, destination: host }, errorBody(kind, sent, quotes.least)), {
        verdict: 'redirect',
        out: delivered('podA', fromWire({ source: router, destination: podA }, errorBody(kind, request, quotes.least))),
      });
      assert.deepEqual(node.conntrack(), before);
    });

    it(`does not end a connection whose FIN or SYN it quotes over IPv${family}`, () => {
      const request = fromPod('podA', { source: podA, destination: cart }, tcp(1234, 80));
      const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
      const { flags } = entryFrom(node, podA).value;
      for (const about of [sent, { ...sent, body: tcp(1234, 8080, 'FA') }, { ...sent, body: tcp(1234, 8080, 'R') }])
        node.run('pod_from', fromPod('podB', { source: podB, destination: podA }, errorBody(kind, about, quotes.whole)), {
          ifindex: link.podB,
        });
      assert.equal(entryFrom(node, podA).value.flags, flags);
    });

    it(`about the first fragment of a datagram finds its sender over IPv${family}`, () => {
      for (const body of [udp(40_000, 53, { payload: 'x'.repeat(1000) }), echo(40_000, { payload: 'x'.repeat(1000) })]) {
        const request = fromPod('podA', { source: podA, destination: world }, body);
        const [fragment = assert.fail()] = fragmentsOf(request, 5, 400);
        const sent = node.run('pod_from', fragment, { ifindex: link.podA }).frame.subarray(14);
        const error = fromWire({ source: router, destination: host }, { kind: 'icmp', ...plain(kind), data: sent.subarray(0, 200) });
        const restored = Buffer.from(fragment.subarray(14, 214));
        restored.writeUInt8(63, family === 4 ? 8 : 7); // the hop that it lost stays lost
        if (family === 4) restored.writeUInt16BE(0, 10);
        if (family === 4) restored.writeUInt16BE(checksum(restored.subarray(0, 20)), 10);
        expectRun(node, 'host_from', error, {
          verdict: 'redirect',
          out: delivered('podA', error, { destination: podA, body: { kind: 'icmp', ...plain(kind), data: restored } }),
        });
        node.forget();
      }
    });

    it(`that is cut short inside the packet that it is about ends at the stack over IPv${family}`, () => {
      const request = fromPod('podA', { source: podA, destination: world }, udp(40_000, 53));
      const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
      for (let bytes = 0; bytes < (family === 4 ? 24 : 44); bytes++) {
        const error = fromWire(
          { source: router, destination: host },
          { kind: 'icmp', ...plain(kind), data: ipBytes(sent).subarray(0, bytes) },
        );
        expectRun(node, 'host_from', error, { verdict: 'stack' });
      }
    });
  }

  it('about a packet with IPv6 extension headers finds its sender', () => {
    const { podA, world, node: host, router } = at[6];
    const extensions = [
      { protocol: Protocol.hopByHop, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) },
      { protocol: Protocol.destinationOptions, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) },
    ];
    const request = { ...fromPod('podA', { source: podA, destination: world }, udp(40_000, 53)), extensions };
    const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
    const [kind = assert.fail()] = kinds[6];
    const error = fromWire({ source: router, destination: host }, errorBody(kind, sent, quotes.whole));
    expectRun(node, 'host_from', error, {
      verdict: 'redirect',
      out: delivered('podA', error, { destination: podA, body: errorBody(kind, request, quotes.whole) }),
    });
  });

  it('about a packet with IPv4 options finds its sender', () => {
    const { podA, world, node: host, router } = at[4];
    const request = { ...fromPod('podA', { source: podA, destination: world }, udp(40_000, 53)), options: Buffer.from([1, 1, 1, 0]) };
    const sent = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
    const [kind = assert.fail()] = kinds[4];
    const error = fromWire({ source: router, destination: host }, errorBody(kind, sent, quotes.whole));
    expectRun(node, 'host_from', error, {
      verdict: 'redirect',
      out: delivered('podA', error, { destination: podA, body: errorBody(kind, request, quotes.whole) }),
    });
  });

  it('to a service address stops here', () => {
    for (const family of families) {
      const { cart, router, world } = at[family];
      const [kind = assert.fail()] = kinds[family];
      const about = fromPod('podA', { source: cart, destination: world }, udp(1, 2));
      expectDrop(node, 'host_from', fromWire({ source: router, destination: cart }, errorBody(kind, about, quotes.least)), {
        reason: DropReason.staleOrUnroutableIp,
      });
    }
  });
});

function plain({ type, code, rest }: Kind): Omit<Kind, 'name'> {
  return { type, code, rest };
}
