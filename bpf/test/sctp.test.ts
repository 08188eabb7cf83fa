// SPDX-License-Identifier: Apache-2.0
// SCTP to another port, and under another: every packet that comes out has a checksum that packetOf() has verified.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { crc32c } from './checksum.ts';
import { at, families, nodePortOf, vipOf } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { frame, packetOf } from './packet.ts';
import type { Body } from './packet.ts';
import { answerTo, checkPairs, delivered, expectDrop, expectRun, fromPod, fromWire, routed, withPorts } from './traffic.ts';

const NGAP = 38_412;
const TARGET = 9_000;

function sctp(payload: string, more: { readonly destinationPort?: number; readonly unchecked?: true } = {}): Body {
  return { kind: 'sctp', sourcePort: 40_000, destinationPort: NGAP, tag: 0x1234_5678, payload, ...more };
}

/** One of each remainder, an MTU, and more than that. */
const payloads = ['', 'x', 'yz', 'abc', 'chunk 01', 'd'.repeat(1_464), 'e'.repeat(2_030), 'f'.repeat(3_000)];

// covers: sctp
describe('SCTP', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const family of families) {
    const { world, podA, podB, node: host, far, signal } = at[family];

    for (const payload of payloads.filter(({ length }) => length < 2_000))
      it(`of ${payload.length} bytes is led to another port and back: a VIP, a node port, a ClusterIP, over IPv${family}`, () => {
        for (const [destination, port] of [
          [vipOf('signal', family), NGAP],
          [host, nodePortOf.signal ?? 0],
        ] as const) {
          const request = fromWire({ source: world, destination }, sctp(payload, { destinationPort: port }));
          const out = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: TARGET }) });
          expectRun(node, 'host_from', request, { verdict: 'redirect', out });
          const reply = fromPod('podB', answerTo(out), answerTo(out).body);
          expectRun(node, 'pod_from', reply, { verdict: 'redirect', ifindex: link.podB, out: routed(reply, answerTo(request)) });
          node.forget();
        }
        const request = fromPod('podA', { source: podA, destination: signal }, sctp(payload));
        const out = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: TARGET }) });
        expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      });

    it(`gets a checksum for every length, over IPv${family}`, () => {
      for (const payload of payloads) {
        const request = fromWire({ source: world, destination: vipOf('signal', family) }, sctp(payload));
        const { body } = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
        assert.deepEqual(body, withPorts(request.body, { destinationPort: TARGET }), `${payload.length} bytes`);
      }
    });

    it(`leaves the checksum to the NIC where that is to write it, over IPv${family}`, () => {
      const request = fromWire({ source: world, destination: vipOf('signal', family) }, sctp('chunk', { unchecked: true }));
      const { body } = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
      assert.deepEqual(body, withPorts(request.body, { destinationPort: TARGET }));
    });

    it(`reaches the backend of another node under a port of the NAT range, over IPv${family}`, () => {
      node.serve('signal', ['far']);
      try {
        const seen = new Set<number>();
        for (const source of [world, at[family].other]) {
          const request = fromWire({ source, destination: vipOf('signal', family) }, sctp('chunk'));
          const out = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
          assert.ok(out.body.kind === 'sctp');
          assert.deepEqual([out.source, out.destination, out.body.destinationPort], [host, far, TARGET]);
          seen.add(out.body.sourcePort);
          const reply = fromWire(answerTo(out), answerTo(out).body);
          expectRun(node, 'host_from', reply, { verdict: 'redirect', out: routed(reply, answerTo(request)), mark: 0 });
        }
        assert.equal(seen.size, 2, 'two clients with one port are two');
      } finally {
        node.serve('signal', ['podB']);
      }
    });
  }

  it('in fragments is dropped where its port would change: the checksum is of what is not here', () => {
    const bytes = frame(fromWire({ source: at[4].world, destination: vipOf('signal', 4) }, sctp('first half')));
    bytes.writeUInt16BE(0x2000, 14 + 6);
    bytes.writeUInt16BE(0, 14 + 10);
    let sum = 0;
    for (let i = 14; i < 34; i += 2) sum += bytes.readUInt16BE(i);
    sum = (sum & 0xffff) + (sum >> 16);
    bytes.writeUInt16BE(~(sum + (sum >> 16)) & 0xffff, 14 + 10);
    expectDrop(node, 'host_from', bytes, { reason: DropReason.errorWritingToPacket });
  });

  it('has the checksum that RFC 9260 wants, and one that is wrong would be noticed', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe306_9283);
    const bytes = frame(fromWire({ source: at[4].world, destination: vipOf('signal', 4) }, sctp('chunk')));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    assert.throws(() => packetOf(bytes), /the checksum of SCTP is/);
  });
});
