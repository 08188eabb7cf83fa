// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { fragmentsOf, reassembled } from './fragments.ts';
import { link, loadNode } from './loaded.ts';
import type { LoadedNode, Program } from './loaded.ts';
import { frame, packetOf } from './packet.ts';
import type { Packet } from './packet.ts';
import { answerTo, checkPairs, delivered, echo, entryFrom, expectDrop, fromPod, fromWire, routed, udp, withPorts } from './traffic.ts';

const payload = 'fragmented '.repeat(90);
const SIZE = 400;

describe('a datagram in fragments', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  /** Sends the fragments in order and puts together what comes out. */
  const through = (program: Program, packet: Packet, ifindex: number): Packet => {
    const out = fragmentsOf(packet, 0x1234, SIZE).map((fragment) => node.run(program, fragment, { ifindex }));
    assert.deepEqual(new Set(out.map(({ verdict }) => verdict)), new Set(['redirect']));
    return packetOf(reassembled(out.map((outcome) => outcome.frame)));
  };

  for (const family of families) {
    const { podA, podB, far, world, cart, remote, node: host, other } = at[family];

    it(`reaches a pod of this node over IPv${family}`, () => {
      const request = fromPod('podA', { source: podA, destination: podB }, udp(1234, 53, { payload }));
      assert.deepEqual(through('pod_from', request, link.podA), delivered('podB', request));
      assert.equal(node.conntrack().length, 2);
    });

    it(`is translated to a backend over IPv${family}, with a right checksum once whole, and so is the reply`, () => {
      for (const [destination, backend] of [
        [cart, podB],
        [remote, far],
      ] as const) {
        const request = fromPod('podA', { source: podA, destination }, udp(1234, 53, { payload }));
        const translated = { destination: backend, body: udp(1234, 5353, { payload }) };
        const out = through('pod_from', request, link.podA);
        assert.deepEqual(out, backend === podB ? delivered('podB', request, translated) : routed(request, translated));
      }
      const reply = fromWire({ source: far, destination: podA }, udp(5353, 1234, { payload }));
      assert.deepEqual(
        through('host_from', reply, link.uplink),
        delivered('podA', reply, { source: remote, body: udp(53, 1234, { payload }) }),
      );
    });

    it(`is masqueraded over IPv${family}, with a right checksum once whole, and so is the reply`, () => {
      for (const body of [udp(40_000, 53, { payload }), echo(40_000, { payload })]) {
        const first = fromPod('podB', { source: podB, destination: world }, withPorts(body, {}));
        node.run('pod_from', frame(first), { ifindex: link.podB }); // it has the port
        const request = fromPod('podA', { source: podA, destination: world }, body);
        const out = through('pod_from', request, link.podA);
        const { sourcePort } = entryFrom(node, podA).value;
        assert.notEqual(sourcePort, 40_000);
        assert.deepEqual(out, routed(request, { source: host, body: withPorts(body, { sourcePort }) }));
        const answer = answerTo(out);
        const reply = fromWire(answer, answer.body);
        assert.deepEqual(
          through('host_from', reply, link.uplink),
          delivered('podA', reply, { destination: podA, body: answerTo(request).body }),
        );
        node.forget();
      }
    });

    it(`is dropped over IPv${family} where a later fragment comes before the first`, () => {
      const request = fromPod('podA', { source: podA, destination: world }, udp(1234, 53, { payload }));
      for (const later of fragmentsOf(request, 7, SIZE).slice(1))
        expectDrop(node, 'pod_from', later, { reason: DropReason.firstFragmentNotFound });
      const inbound = fromWire({ source: other, destination: podA }, udp(1234, 53, { payload }));
      for (const later of fragmentsOf(inbound, 8, SIZE).slice(1))
        expectDrop(node, 'host_from', later, { reason: DropReason.firstFragmentNotFound });
      assert.deepEqual(node.conntrack(), []);
    });

    it(`is left to the stack over IPv${family} when it is for the host`, () => {
      const inbound = fromWire({ source: other, destination: host }, udp(1234, 53, { payload }));
      for (const fragment of fragmentsOf(inbound, 9, SIZE).toReversed())
        assert.deepEqual(node.run('host_from', fragment, { ifindex: link.uplink }), { verdict: 'stack', frame: fragment, mark: 0 });
    });

    it(`is not taken for another with the same number over IPv${family}`, () => {
      const [first] = fragmentsOf(fromPod('podA', { source: podA, destination: podB }, udp(1, 53, { payload })), 5, SIZE);
      node.run('pod_from', first ?? assert.fail(), { ifindex: link.podA });
      const [, later] = fragmentsOf(fromPod('podA', { source: podA, destination: far }, udp(2, 53, { payload })), 5, SIZE);
      expectDrop(node, 'pod_from', later ?? assert.fail(), { reason: DropReason.firstFragmentNotFound });
      const [, stranger] = fragmentsOf(fromPod('podA', { source: podA, destination: podB }, echo(2, { payload })), 5, SIZE);
      expectDrop(node, 'pod_from', stranger ?? assert.fail(), { reason: DropReason.firstFragmentNotFound });
    });

    it(`cannot be mixed over IPv${family} with fragments that another pod sends in its name`, () => {
      const [forged] = fragmentsOf(fromPod('podB', { source: podA, destination: world }, udp(666, 53, { payload })), 5, SIZE);
      expectDrop(node, 'pod_from', forged ?? assert.fail(), { reason: DropReason.invalidSourceIp, ifindex: link.podB });
      const [, later] = fragmentsOf(fromPod('podA', { source: podA, destination: world }, udp(1, 53, { payload })), 5, SIZE);
      expectDrop(node, 'pod_from', later ?? assert.fail(), { reason: DropReason.firstFragmentNotFound });
    });
  }

  it('is no datagram in fragments when it is whole with a fragment header', () => {
    const request = fromPod('podA', { source: at[6].podA, destination: at[6].podB }, udp(1, 53));
    const [atomic] = fragmentsOf(request, 5, SIZE);
    const outcome = node.run('pod_from', atomic ?? assert.fail(), { ifindex: link.podA });
    assert.deepEqual(packetOf(reassembled([outcome.frame])), delivered('podB', request));
    assert.equal(outcome.verdict, 'redirect');
  });
});
