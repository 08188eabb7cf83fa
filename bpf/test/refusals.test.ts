// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { frame, ipBytes, packetOf, Protocol } from './packet.ts';
import type { Body, Packet } from './packet.ts';
import { answerTo, echo, expectDrop, expectRun, fromPod, tcp, udp } from './traffic.ts';

/** What the pod gets back: from whom it asked, by the gateway. */
function refusal(request: Packet, body: Body): Packet {
  return { from: mac.gateway, to: mac.podA, source: request.destination, destination: request.source, ttl: 64, body };
}

const RST = { flags: 'R', payload: '' };

/** RFC 9293 section 3.10.7.1: the reset takes its number from the acknowledgement, or acknowledges what came. */
const resets = [
  { name: 'SYN', asked: tcp(1234, 80, 'S', { seq: 7 }), reset: { flags: 'RA', seq: 0, ack: 8 } },
  { name: 'SYN with the last number', asked: tcp(1234, 80, 'S', { seq: 0xffff_ffff }), reset: { flags: 'RA', seq: 0, ack: 0 } },
  { name: 'SYN with data', asked: tcp(1234, 80, 'S', { seq: 7, payload: 'early' }), reset: { flags: 'RA', seq: 0, ack: 13 } },
  {
    name: 'segment of a connection',
    asked: tcp(1234, 80, 'PA', { seq: 7, ack: 99, payload: 'GET /' }),
    reset: { ...RST, seq: 99, ack: 0 },
  },
  { name: 'FIN', asked: tcp(1234, 80, 'FA', { seq: 7, ack: 0x8000_0001 }), reset: { ...RST, seq: 0x8000_0001, ack: 0 } },
  { name: 'segment without flags', asked: tcp(1234, 80, '', { seq: 7, payload: 'odd' }), reset: { flags: 'RA', seq: 0, ack: 10 } },
] as const;

const datagrams = ['', 'x', 'yz', 'question', 'a'.repeat(31), 'b'.repeat(32), 'c'.repeat(33), 'd'.repeat(1400)];
const QUOTED = 80;

describe('a service that nobody serves', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    assert.deepEqual(node.conntrack(), []);
    node.forget();
  });

  for (const family of families) {
    const { podA, podB, nobody, cart } = at[family];

    for (const { name, asked, reset } of resets) {
      for (const [what, destination, port] of [
        ['no backend', nobody, 80],
        ['no such port', cart, 81],
      ] as const) {
        it(`resets a ${name} over IPv${family}: ${what}`, () => {
          const request = fromPod('podA', { source: podA, destination }, { ...asked, destinationPort: port });
          expectRun(node, 'pod_from', request, { verdict: 'redirect', out: refusal(request, { ...tcp(port, 1234), ...reset }) });
        });
      }
    }

    it(`never answers a reset over IPv${family}`, () => {
      expectDrop(node, 'pod_from', fromPod('podA', { source: podA, destination: nobody }, tcp(1234, 80, 'R')), {
        reason: DropReason.serviceBackendNotFound,
      });
    });

    for (const payload of datagrams) {
      it(`answers a datagram of ${payload.length} bytes over IPv${family} with port unreachable`, () => {
        for (const port of [53, 54]) {
          const request = fromPod('podA', { source: podA, destination: port === 53 ? nobody : cart }, udp(1234, port, { payload }));
          const [type, code] = family === 4 ? [3, 3] : [1, 4];
          const data = ipBytes(request).subarray(0, QUOTED);
          expectRun(node, 'pod_from', request, { verdict: 'redirect', out: refusal(request, { kind: 'icmp', type, code, rest: 0, data }) });
        }
      });
    }

    it(`refuses other protocols over IPv${family}`, () => {
      const request = fromPod(
        'podA',
        { source: podA, destination: cart },
        { kind: 'sctp', sourcePort: 1234, destinationPort: 81, tag: 1, payload: 'chunk' },
      );
      const { body } = packetFrom(node.run('pod_from', request, { ifindex: link.podA }));
      assert.equal(body.kind, 'icmp');
    });

    it(`answers ping to a service address over IPv${family}`, () => {
      for (const destination of [cart, nobody]) {
        for (const payload of ['', 'a', 'abcdefgh'.repeat(100)]) {
          const request = fromPod('podA', { source: podA, destination }, echo(77, { payload }));
          const answer = answerTo(request);
          expectRun(node, 'pod_from', request, { verdict: 'redirect', out: { ...answer, from: mac.gateway, to: mac.podA, ttl: 64 } });
        }
      }
    });

    it(`drops other ICMP to a service address over IPv${family}`, () => {
      const body = { kind: 'icmp', type: family === 4 ? 13 : 139, code: 0, rest: 0, data: Buffer.alloc(12) } as const;
      expectDrop(node, 'pod_from', fromPod('podA', { source: podA, destination: cart }, body), {
        reason: DropReason.serviceBackendNotFound,
      });
    });

    it(`answers only the pod that owns the source address over IPv${family}`, () => {
      expectDrop(node, 'pod_from', fromPod('podA', { source: podB, destination: nobody }, udp(1234, 53)), {
        reason: DropReason.invalidSourceIp,
      });
    });
  }

  for (const family of families) {
    const { node: host, nobody, cart } = at[family];
    const fromNode = (destination: string, body: Body): Packet => ({
      from: mac.uplink,
      to: mac.router,
      source: host,
      destination,
      ttl: 64,
      body,
    });
    const back = (request: Packet, body: Body): Packet => ({ ...refusal(request, body), from: mac.router, to: mac.uplink });

    it(`answers the node's own ping over IPv${family}, by the uplink`, () => {
      for (const destination of [cart, nobody]) {
        const request = fromNode(destination, echo(77));
        expectRun(node, 'host_to', request, {
          verdict: 'redirect',
          out: { ...answerTo(request), from: mac.router, to: mac.uplink, ttl: 64 },
        });
      }
    });

    it(`refuses the node over IPv${family} what nobody serves`, () => {
      const opening = fromNode(cart, tcp(1234, 81, 'S', { seq: 7 }));
      expectRun(node, 'host_to', opening, { verdict: 'redirect', out: back(opening, tcp(81, 1234, 'RA', { seq: 0, ack: 8 })) });
      const datagram = fromNode(cart, udp(1234, 54));
      const [type, code] = family === 4 ? [3, 3] : [1, 4];
      const data = ipBytes(datagram).subarray(0, QUOTED);
      expectRun(node, 'host_to', datagram, { verdict: 'redirect', out: back(datagram, { kind: 'icmp', type, code, rest: 0, data }) });
    });

    it(`drops over IPv${family} what no socket program has given a backend, rather than deny that it is served`, () => {
      expectDrop(node, 'host_to', fromNode(cart, tcp(1234, 80)), { reason: DropReason.serviceBackendNotFound });
    });
  }

  it('refuses a packet with IPv4 options, and quotes enough of it', () => {
    const options = Buffer.concat([Buffer.alloc(36, 1), Buffer.from([0, 0, 0, 0])]);
    const { podA, nobody } = at[4];
    const opening = { ...fromPod('podA', { source: podA, destination: nobody }, tcp(1234, 80, 'S', { seq: 7 })), options };
    expectRun(node, 'pod_from', opening, { verdict: 'redirect', out: refusal(opening, tcp(80, 1234, 'RA', { seq: 0, ack: 8 })) });
    const datagram = { ...fromPod('podA', { source: podA, destination: nobody }, udp(1234, 53)), options };
    expectRun(node, 'pod_from', datagram, {
      verdict: 'redirect',
      out: refusal(datagram, { kind: 'icmp', type: 3, code: 3, rest: 0, data: ipBytes(datagram).subarray(0, QUOTED) }),
    });
  });

  it('refuses a packet with IPv6 extension headers', () => {
    const { podA, nobody } = at[6];
    const extensions = [{ protocol: Protocol.destinationOptions, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) }];
    const opening = { ...fromPod('podA', { source: podA, destination: nobody }, tcp(1234, 80, 'S', { seq: 7 })), extensions };
    expectRun(node, 'pod_from', opening, { verdict: 'redirect', out: refusal(opening, tcp(80, 1234, 'RA', { seq: 0, ack: 8 })) });
    const datagram = { ...fromPod('podA', { source: podA, destination: nobody }, udp(1234, 53)), extensions };
    expectRun(node, 'pod_from', datagram, {
      verdict: 'redirect',
      out: refusal(datagram, { kind: 'icmp', type: 1, code: 4, rest: 0, data: ipBytes(datagram).subarray(0, QUOTED) }),
    });
  });

  it('drops in silence when it was told so', async () => {
    using silent = await loadNode({ noBackendReject: 0 });
    for (const family of families) {
      const { podA, nobody, cart } = at[family];
      for (const [destination, body] of [
        [nobody, tcp(1234, 80)],
        [nobody, udp(1234, 53)],
        [cart, tcp(1234, 81)],
      ] as const)
        expectDrop(silent, 'pod_from', fromPod('podA', { source: podA, destination }, body), { reason: DropReason.serviceBackendNotFound });
    }
  });

  it('would be noticed to send a wrong checksum', () => {
    const bytes = frame(fromPod('podA', { source: at[4].podA, destination: at[4].cart }, tcp(1, 2)));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    assert.throws(() => packetOf(bytes), /Cannot read a packet: the checksum of protocol 6 is/);
  });
});
