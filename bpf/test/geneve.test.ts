// SPDX-License-Identifier: Apache-2.0
// Direct server return told by Geneve: bytes as RFC 8926 and Cilium's option have them.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ip, ipToWire } from '../../src/base/ip.ts';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { vipOf } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { GENEVE_PORT, ipBytes } from './packet.ts';
import type { Packet } from './packet.ts';
import { answerTo, delivered, dsrCases, expectDrop, expectRun, fromPod, fromWire, routed, udp, withPorts } from './traffic.ts';

type Frontend = { readonly address: string; readonly port: number };

/** A Geneve header, its option and the packet behind an Ethernet header of zeroes, as the text that payloads are. */
function inEnvelope(packet: Packet, { address, port }: Frontend): string {
  const wire = ipToWire(ip(address));
  const words = (wire.length + 4) / 4;
  const header = [words + 1, 0, 0x65, 0x58, 0, 0, 2, 0, 0x01, 0x4b, 0x81, words];
  const option = [...wire, port >> 8, port & 0xff, 0, 0];
  const inner = [...Buffer.alloc(12), ...(wire.length === 4 ? [0x08, 0x00] : [0x86, 0xdd])];
  return Buffer.concat([Buffer.from([...header, ...option, ...inner]), ipBytes(packet)]).toString('latin1');
}

describe('direct server return by Geneve', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode({ dsrGeneve: 1 }, 'dsr');
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => node.forget());

  for (const one of dsrCases) {
    const { label, family, body, target, port, far, podB, world, node2 } = one;
    const vip = vipOf('away', family);
    const asked = fromWire({ source: world, destination: podB }, withPorts(body(1234), { destinationPort: target }));
    const wrapped = (source: string, frontend: Frontend): Packet =>
      fromWire({ source, destination: one.node }, udp(50_000, GENEVE_PORT, { unchecked: true, payload: inEnvelope(asked, frontend) }));

    it(`sends ${label} to the backend's node in an envelope that says which VIP it came for`, () => {
      const request = fromWire({ source: world, destination: vip }, body(1234));
      const inner = routed(request, { destination: far, body: withPorts(request.body, { destinationPort: target }) });
      for (let i = 0; i < 2; i++) {
        const out = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
        assert.deepEqual([out.source, out.destination, out.ttl], [one.node, node2, 64]);
        assert.ok(out.body.kind === 'udp' && out.body.destinationPort === GENEVE_PORT && out.body.sourcePort >= 49_152);
        assert.equal(
          Buffer.from(out.body.payload, 'latin1').toString('hex'),
          Buffer.from(inEnvelope(inner, { address: vip, port }), 'latin1').toString('hex'),
        );
      }
      if (request.body.kind !== 'tcp') return;
      const next = { ...request, body: { ...request.body, flags: 'PA', ack: 7, payload: 'GET /' } };
      expectRun(node, 'host_from', next, {
        verdict: 'redirect',
        out: { ...inner, body: withPorts(next.body, { destinationPort: target }) },
      });
    });

    it(`takes ${label} out of its envelope, and answers in the name of the VIP`, () => {
      const out = delivered('podB', asked);
      for (let i = 0; i < 2; i++) expectRun(node, 'host_from', wrapped(node2, { address: vip, port }), { verdict: 'redirect', out });
      const reply = fromPod('podB', answerTo(out), answerTo(out).body);
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        ifindex: link.podB,
        out: routed(reply, { source: vip, body: withPorts(reply.body, { sourcePort: port }) }),
      });
    });

    it(`takes nobody's word for ${label} who is no node, or for what is no frontend`, () => {
      const stranger = wrapped(world, { address: vip, port });
      expectRun(node, 'host_from', stranger, { verdict: 'stack' }); // nobody listens there
      expectDrop(node, 'host_from', wrapped(node2, { address: one.other, port }), { reason: DropReason.serviceBackendNotFound });
      expectDrop(node, 'host_from', wrapped(node2, { address: vip, port: 9999 }), { reason: DropReason.serviceBackendNotFound });
    });
  }

  for (const { label, family, world } of dsrCases.filter(({ protocol }) => protocol === 'UDP'))
    it(`gives an address of this node to a flow of ${label} whose first datagram has no room for an envelope`, () => {
      const envelope = family === 4 ? 20 + 20 + 8 + 14 : 40 + 20 + 20 + 14;
      const room = 1500 - (family === 4 ? 28 : 48) - envelope;
      const sent = (sourcePort: number, bytes: number) =>
        packetFrom(
          node.run(
            'host_from',
            fromWire({ source: world, destination: vipOf('away', family) }, udp(sourcePort, 53, { payload: 'x'.repeat(bytes) })),
            {
              ifindex: link.uplink,
            },
          ),
        );
      const wraps = ({ body }: Packet) => body.kind === 'udp' && body.destinationPort === GENEVE_PORT;
      const [fits, larger] = [sent(40_001, room), sent(40_002, room + 1)];
      assert.deepEqual([wraps(fits), wraps(larger)], [true, false]);
      assert.notEqual(larger.source, world);
      const late = sent(40_001, room + 1);
      assert.deepEqual([wraps(late), late.source], [false, world]);
    });
});
