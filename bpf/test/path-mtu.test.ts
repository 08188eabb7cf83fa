// SPDX-License-Identifier: Apache-2.0
// Path MTU discovery of clients on the wire: a router says "fragmentation needed" or "packet too big" of a packet as it met it, under
// whatever addresses a node gave it, and whoever sent that packet hears of it under those that it knows.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { vipOf } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { ipBytes } from './packet.ts';
import type { Body, Packet } from './packet.ts';
import { answerTo, delivered, dsrCases, expectDrop, expectRun, fromPod, fromWire, routed, saying, withPorts } from './traffic.ts';

const LEAST = 1280;

/** What a router says of `packet`, which is too large for its next hop: the header and eight bytes of it, as IPv4 routers do, or all. */
function tooBig(packet: Packet, bytes: number): Body {
  const ipv6 = packet.source.includes(':');
  const about = ipBytes({ ...packet, ttl: 1 }).subarray(0, (ipv6 ? 40 : 20) + bytes);
  return { kind: 'icmp', type: ipv6 ? 2 : 3, code: ipv6 ? 0 : 4, rest: LEAST, data: about };
}

for (const mode of ['snat', 'dsr'] as const)
  describe(`a packet that is too big for its path, with ${mode}`, { skip: namespaceMissing }, () => {
    let node: LoadedNode;
    before(async () => {
      node = await loadNode({}, mode);
    });
    after(() => node[Symbol.dispose]());
    afterEach(() => node.forget());

    for (const { label, family, body, target, port, far, podB, world, router } of dsrCases)
      for (const bytes of [8, 10_000]) {
        const quoting = bytes === 8 ? 'eight bytes' : 'all of it';
        const error = (about: Packet): Packet => fromWire({ source: router, destination: about.source }, tooBig(about, bytes));
        const ask = (name: 'front' | 'away') => fromWire({ source: world, destination: vipOf(name, family) }, body(40_000));

        it(`an answer of a pod of this node to ${label}: the pod hears, by ${quoting}`, () => {
          const request = ask('front');
          const got = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
          const reply = fromPod('podB', answerTo(got), answerTo(got).body);
          const sent = packetFrom(node.run('pod_from', reply, { ifindex: link.podB }));
          assert.equal(sent.source, request.destination);
          const told = error(sent);
          const out = delivered('podB', told, { destination: podB, body: tooBig(reply, bytes) });
          expectRun(node, 'host_from', told, { verdict: 'redirect', out });
        });

        it(`an answer of a pod of another node to ${label}: that node hears, by ${quoting}`, () => {
          const request = ask('away');
          const out = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
          assert.equal(out.source === world, mode === 'dsr');
          const told = error(fromWire(answerTo(request), answerTo(request).body));
          const reply = fromWire(answerTo(out), answerTo(out).body);
          const wanted = routed(told, { destination: far, body: tooBig(reply, bytes) });
          expectRun(node, 'host_from', told, { verdict: 'redirect', out: wanted });
        });

        if (mode === 'snat')
          it(`a request of ${label} between the nodes: the client hears, by ${quoting}`, () => {
            const request = ask('away');
            const told = error(packetFrom(node.run('host_from', request, { ifindex: link.uplink })));
            const wanted = routed(told, { destination: world, body: tooBig(request, bytes) });
            expectRun(node, 'host_from', told, { verdict: 'redirect', out: wanted });
          });
        else
          it(`an answer in the name of another node's VIP to ${label}: the pod hears when that node passes it on, by ${quoting}`, () => {
            const vip = vipOf('away', family);
            const request = fromWire({ source: world, destination: podB }, withPorts(body(40_000), { destinationPort: target }));
            node.run('host_from', { ...request, ...saying(vip, port, family) }, { ifindex: link.uplink });
            const reply = fromPod('podB', answerTo(request), answerTo(request).body);
            assert.equal(packetFrom(node.run('pod_from', reply, { ifindex: link.podB })).source, vip);
            const told = error(fromWire(answerTo(request), answerTo(request).body));
            const out = delivered('podB', told, { destination: podB, body: tooBig(reply, bytes) });
            expectRun(node, 'host_from', told, { verdict: 'redirect', out });
          });

        it(`an answer to ${label} that nobody gave: nobody hears (control), by ${quoting}`, () => {
          const told = error(fromWire(answerTo(ask('front')), answerTo(ask('front')).body));
          expectDrop(node, 'host_from', told, { reason: DropReason.staleOrUnroutableIp });
        });
      }
  });
