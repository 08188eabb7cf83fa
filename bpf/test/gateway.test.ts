// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ip, ipToWire } from '../../src/base/ip.ts';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { at } from './cluster.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { arpFrame, BROADCAST, macBytes, NOBODY } from './neighbours.ts';
import type { Arp } from './neighbours.ts';
import { ethernet, frame, Protocol } from './packet.ts';
import type { Packet } from './packet.ts';
import { expectDrop, expectRun, fromPod, udp } from './traffic.ts';

const asking: Arp = { operation: 1, senderMac: mac.podA, sender: at[4].podA, targetMac: NOBODY, target: at[4].gateway };

/** RFC 4861 sections 4.3 and 4.4. */
function solicitation(source: string, target: string, option: readonly number[] = [1, 1]): Packet {
  const data = Buffer.concat([
    ipToWire(ip(target)),
    option.length > 0 ? Buffer.concat([Buffer.from(option), macBytes(mac.podA)]) : Buffer.alloc(0),
  ]);
  return {
    ...fromPod('podA', { source, destination: 'ff02::1:ff00:1' }, { kind: 'icmp', type: 135, code: 0, rest: 0, data }),
    to: '33:33:ff:00:00:01',
    ttl: 255,
  };
}

describe('the gateway of a pod', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    assert.deepEqual(node.conntrack(), []);
    node.forget();
  });

  const reply: Arp = { operation: 2, senderMac: mac.gateway, sender: at[4].gateway, targetMac: mac.podA, target: at[4].podA };
  for (const { name, asked, to = BROADCAST, answer } of [
    { name: 'everybody', asked: asking, answer: reply },
    { name: 'the gateway itself', asked: asking, to: mac.gateway, answer: reply },
    { name: 'from an address that is not in use yet', asked: { ...asking, sender: '0.0.0.0' }, answer: { ...reply, target: '0.0.0.0' } },
    { name: 'by another link address', asked: { ...asking, senderMac: mac.podB }, answer: { ...reply, targetMac: mac.podB } },
  ]) {
    it(`answers ARP, asked of ${name}`, () => {
      const outcome = node.run('pod_from', arpFrame(mac.podA, to, asked), { ifindex: link.podA });
      assert.deepEqual([outcome.verdict, outcome.frame], ['redirect', arpFrame(mac.gateway, answer.targetMac, answer)]);
    });
  }

  it('does not answer ARP for others', () => {
    for (const target of [at[4].podB, at[4].podA, at[4].node, '169.254.1.2'])
      expectDrop(node, 'pod_from', arpFrame(mac.podA, BROADCAST, { ...asking, target }), { reason: DropReason.unknownL3TargetAddress });
  });

  it('does not answer ARP of other hardware or length', () => {
    for (const [offset, value] of [
      [1, 6],
      [3, 1],
      [4, 8],
      [5, 16],
      [7, 3],
    ] as const) {
      const bytes = arpFrame(mac.podA, BROADCAST, asking);
      bytes.writeUInt8(value, 14 + offset);
      expectDrop(node, 'pod_from', bytes, { reason: DropReason.unknownL3TargetAddress });
    }
  });

  it('passes ARP between host and pod', () => {
    assert.equal(
      node.run('pod_from', arpFrame(mac.podA, mac.gateway, { ...reply, senderMac: mac.podA, sender: at[4].podA }), { ifindex: link.podA })
        .verdict,
      'stack',
    );
    assert.equal(
      node.run('pod_to', arpFrame(mac.gateway, BROADCAST, { ...asking, target: at[4].podA }), { ifindex: link.podA }).verdict,
      'stack',
    );
    assert.equal(
      node.run('host_from', arpFrame(mac.router, mac.uplink, { ...asking, target: at[4].node }), { ifindex: link.uplink }).verdict,
      'stack',
    );
  });

  for (const { name, asked } of [
    { name: 'to its multicast address', asked: solicitation(at[6].podA, at[6].gateway) },
    { name: 'from a link-local address', asked: solicitation('fe80::a', at[6].gateway) },
    { name: 'without an option', asked: solicitation('fe80::a', at[6].gateway, []) },
    { name: 'with a nonce', asked: solicitation('fe80::a', at[6].gateway, [14, 1]) },
    { name: 'to its own address', asked: { ...solicitation('fe80::a', at[6].gateway), to: mac.gateway, destination: at[6].gateway } },
  ]) {
    it(`answers a neighbour solicitation ${name}`, () => {
      const data = Buffer.concat([ipToWire(ip(at[6].gateway)), Buffer.from([2, 1]), macBytes(mac.gateway)]);
      const out: Packet = {
        from: mac.gateway,
        to: mac.podA,
        source: at[6].gateway,
        destination: asked.source,
        ttl: 255,
        body: { kind: 'icmp', type: 136, code: 0, rest: 0xe000_0000, data },
      };
      expectRun(node, 'pod_from', asked, { verdict: 'redirect', out });
    });
  }

  it('does not answer a neighbour solicitation for others', () => {
    for (const target of [at[6].podB, at[6].podA, at[6].node, 'fe80::2'])
      expectDrop(node, 'pod_from', solicitation(at[6].podA, target), { reason: DropReason.unknownL3TargetAddress });
  });

  it('lets nobody take its address', () => {
    expectDrop(node, 'pod_from', solicitation('::', at[6].gateway, []), { reason: DropReason.forbiddenIcmpv6Message });
  });

  it('takes no routers and no redirects from a pod', () => {
    for (const type of [133, 134, 137]) {
      const message = {
        ...fromPod('podA', { source: 'fe80::a', destination: 'ff02::2' }, { kind: 'icmp', type, code: 0, rest: 0, data: Buffer.alloc(40) }),
        ttl: 255,
      } as const;
      expectDrop(node, 'pod_from', message, { reason: DropReason.forbiddenIcmpv6Message });
    }
  });

  it('drops a solicitation that is cut short', () => {
    const whole = frame(solicitation('fe80::a', at[6].gateway, []));
    expectDrop(node, 'pod_from', whole.subarray(0, 77), { reason: DropReason.forbiddenIcmpv6Message });
  });

  for (const { name, source, ttl } of [
    { name: "in another pod's name", source: at[6].podB, ttl: 255 },
    { name: 'that came through a router', source: at[6].podA, ttl: 64 },
  ]) {
    it(`drops an advertisement ${name}`, () => {
      const body = { kind: 'icmp', type: 136, code: 0, rest: 0x6000_0000, data: ipToWire(ip(at[6].podA)) } as const;
      const spoofed = frame({ ...fromPod('podA', { source, destination: at[6].node }, body), ttl });
      expectDrop(node, 'pod_from', spoofed, { reason: DropReason.invalidSourceIp });
    });
  }

  it('passes neighbour discovery between host and pod', () => {
    const advertisement = {
      ...fromPod(
        'podA',
        { source: at[6].podA, destination: at[6].node },
        { kind: 'icmp', type: 136, code: 0, rest: 0x6000_0000, data: ipToWire(ip(at[6].podA)) },
      ),
      ttl: 255,
    } as const;
    expectRun(node, 'pod_from', advertisement, { verdict: 'stack' });
    expectRun(node, 'pod_to', { ...solicitation(at[6].node, at[6].podA), from: mac.gateway }, { verdict: 'stack' });
    expectRun(
      node,
      'pod_to',
      {
        ...fromPod(
          'podA',
          { source: at[6].node, destination: 'ff02::1' },
          { kind: 'icmp', type: 130, code: 0, rest: 0, data: Buffer.alloc(16) },
        ),
      },
      { verdict: 'stack' },
    );
  });

  it('drops what is no IP', () => {
    for (const type of [0x0000, 0x8100, 0x8847, 0x88cc])
      expectDrop(node, 'pod_from', Buffer.concat([ethernet(mac.podA, mac.gateway, type), Buffer.alloc(60)]), {
        reason: DropReason.unsupportedL3Protocol,
      });
  });

  it('takes a link-local source for no pod address', () => {
    expectDrop(node, 'pod_from', fromPod('podA', { source: 'fe80::a', destination: at[6].podB }, udp(1, 2)), {
      reason: DropReason.invalidSourceIp,
    });
    expectDrop(node, 'pod_from', fromPod('podA', { source: '0.0.0.0', destination: at[4].podB }, udp(1, 2)), {
      reason: DropReason.invalidSourceIp,
    });
  });

  it('keeps a header in front of a solicitation from hiding it', () => {
    const extensions = [{ protocol: Protocol.destinationOptions, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) }];
    expectDrop(node, 'pod_from', { ...solicitation('fe80::a', at[6].gateway), extensions }, { reason: DropReason.forbiddenIcmpv6Message });
    assert.equal(packetFrom(node.run('pod_from', solicitation('fe80::a', at[6].gateway), { ifindex: link.podA })).ttl, 255);
  });
});
