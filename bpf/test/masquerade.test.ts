// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ip } from '../../src/base/ip.ts';
import { configDefaults, conntrackEntryCodec, ConntrackFlag, DropReason, flowCodec } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { Protocol } from './packet.ts';
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
  withPorts,
} from './traffic.ts';

const NEVER_ANSWERED = configDefaults.timeoutAny;
const HALF_CLOSED = configDefaults.timeoutTcpHalfClosed;

/** What the node itself sends by its uplink. */
function fromNode(source: string, destination: string, body: Body): Packet {
  return { ...fromWire({ source, destination }, body), ttl: 64 };
}

function portOf({ body }: Packet): number {
  if (body.kind === 'echo') return body.id;
  return body.kind === 'tcp' || body.kind === 'udp' ? body.sourcePort : 0;
}

describe('masquerade', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { label, body, podA, podB, world, node: host, protocol } of cases) {
    it(`keeps the node's own ${label} as it is`, () => {
      const own = fromNode(host, world, body(40_000));
      expectRun(node, 'host_to', own, { verdict: 'stack' });
      expectRun(node, 'host_to', own, { verdict: 'stack' });
      const reply = fromWire(answerTo(own), answerTo(own).body);
      expectRun(node, 'host_from', reply, { verdict: 'stack' });
    });

    it(`gives the node's own ${label} another port when a pod has it, and translates the reply back`, () => {
      node.run('pod_from', fromPod('podA', { source: podA, destination: world }, body(40_000)), { ifindex: link.podA });
      const own = fromNode(host, world, body(40_000));
      const out = packetFrom(node.run('host_to', own, { ifindex: link.uplink }));
      assert.notEqual(portOf(out), 40_000);
      assert.deepEqual(out, { ...own, body: withPorts(own.body, { sourcePort: portOf(out) }) });
      expectRun(node, 'host_to', own, { verdict: 'stack', out });
      const reply = fromWire(answerTo(out), answerTo(out).body);
      expectRun(node, 'host_from', reply, { verdict: 'stack', out: { ...reply, body: answerTo(own).body } });
    });

    it(`gives a pod's ${label} another port when the node has it`, () => {
      node.run('host_to', fromNode(host, world, body(40_000)), { ifindex: link.uplink });
      const out = packetFrom(
        node.run('pod_from', fromPod('podA', { source: podA, destination: world }, body(40_000)), { ifindex: link.podA }),
      );
      assert.notEqual(portOf(out), 40_000);
    });

    it(`leaves ${label} alone at the uplink that is not the node's or was seen to`, () => {
      for (const packet of [fromNode(podA, world, body(40_000)), fromNode('2001:db8::1234', at[6].world, body(40_000))])
        expectRun(node, 'host_to', packet, { verdict: 'stack' });
      expectRun(node, 'host_to', fromNode(host, world, body(40_000)), { verdict: 'stack', mark: 0x200 });
      expectRun(node, 'host_to', fromNode(host, world, body(40_000)), { verdict: 'stack', ifindex: link.stranger });
      assert.deepEqual(node.conntrack(), []);
    });

    if (protocol !== 'ping')
      it(`leaves the node's own low ports alone: ${label}`, () => {
        expectRun(node, 'host_to', fromNode(host, world, body(22)), { verdict: 'stack' });
        assert.deepEqual(node.conntrack(), []);
        const out = packetFrom(
          node.run('pod_from', fromPod('podA', { source: podA, destination: world }, body(1234)), { ifindex: link.podA }),
        );
        assert.ok(portOf(out) >= 32_768, `a pod got port ${portOf(out)} of the node`);
      });

    it(`lets one port be used towards many peers: ${label}`, () => {
      for (const destination of [world, at[podA.includes(':') ? 6 : 4].other]) {
        const request = fromPod('podB', { source: podB, destination }, body(40_000));
        expectRun(node, 'pod_from', request, { verdict: 'redirect', ifindex: link.podB, out: routed(request, { source: host }) });
      }
    });
  }

  for (const family of families) {
    const { podA, podB, world, node: host, node2, far } = at[family];

    it(`ends over IPv${family} when no port is left`, async () => {
      using narrow = await loadNode({ natPortFirst: 50_000, natPortLast: 50_003 });
      const ports = new Set<number>();
      for (let port = 40_000; ports.size < 4; port++) {
        const outcome = narrow.run('pod_from', fromPod('podA', { source: podA, destination: world }, tcp(port, 443)), {
          ifindex: link.podA,
        });
        if (outcome.verdict === 'redirect') ports.add(portOf(packetFrom(outcome)));
      }
      assert.deepEqual(ports, new Set([50_000, 50_001, 50_002, 50_003]));
      expectDrop(narrow, 'pod_from', fromPod('podA', { source: podA, destination: world }, tcp(30_000, 443)), {
        reason: DropReason.noMappingForNatMasquerade,
      });
      expectDrop(narrow, 'host_to', fromNode(host, world, tcp(50_000, 443)), { reason: DropReason.noMappingForNatMasquerade });
      narrow.age(100);
      assert.equal(
        narrow.run('pod_from', fromPod('podA', { source: podA, destination: world }, tcp(30_000, 443)), { ifindex: link.podA }).verdict,
        'redirect',
      );
    });

    for (const { who, ends } of [
      { who: 'its client', ends: true },
      { who: 'its server', ends: true },
      { who: 'nobody', ends: false },
    ])
      it(`${ends ? 'takes' : 'leaves'} the only port over IPv${family} ${ends ? 'from' : 'to'} a connection that ${who} has ended, when four minutes are over`, async () => {
        using narrow = await loadNode({ natPortFirst: 50_000, natPortLast: 50_000 });
        const first = (flags: string) =>
          narrow.run('pod_from', fromPod('podA', { source: podA, destination: world }, tcp(40_000, 443, flags)), { ifindex: link.podA });
        const answer = (flags: string) =>
          narrow.run('host_from', fromWire({ source: world, destination: host }, tcp(443, 50_000, flags)), { ifindex: link.uplink });
        const second = () =>
          narrow.run('pod_from', fromPod('podB', { source: podB, destination: world }, tcp(41_000, 443)), { ifindex: link.podB }).verdict;
        first('S');
        answer('SA');
        first('A');
        if (ends) (who === 'its client' ? first : answer)('FA');
        narrow.age(HALF_CLOSED - 5);
        assert.equal(second(), 'drop');
        assert.equal(answer('PA').verdict, 'redirect', 'meanwhile the other side goes on');
        narrow.age(HALF_CLOSED + 2);
        assert.equal(second(), ends ? 'redirect' : 'drop');
        checkPairs(narrow);
        assert.equal(first('A').verdict, ends ? 'drop' : 'redirect', 'one port has one owner');
      });

    it(`takes a port over IPv${family} from a connection that began anew with another one, and leaves it that`, () => {
      const send = (flags: string) =>
        node.run('pod_from', fromPod('podA', { source: podA, destination: world }, tcp(40_000, 443, flags)), { ifindex: link.podA });
      send('S');
      node.run('host_from', fromWire({ source: world, destination: host }, tcp(443, 40_000, 'FA')), { ifindex: link.uplink });
      const [before] = node.conntrack().filter(({ value }) => (value.flags & ConntrackFlag.reply) !== 0);
      assert.ok(before);
      const map = node.datapath.map('conntrack');
      const { key, value } = entryFrom(node, podA);
      map.update(flowCodec.encode(key), conntrackEntryCodec.encode({ ...value, sourcePort: 45_678 }));
      node.age(HALF_CLOSED + 2);
      expectRun(node, 'host_to', fromNode(host, world, tcp(40_000, 443)), { verdict: 'stack' });
      assert.equal(entryFrom(node, podA).value.sourcePort, 45_678);
      node.forget(); // the reply of the other port is not there
    });

    it(`leaves a connection over IPv${family} alone that began anew with another backend than the one whose reply gives way`, () => {
      const { remote } = at[family];
      const send = (destination: string, port: number) =>
        node.run('pod_from', fromPod('podA', { source: podA, destination }, tcp(40_000, port)), { ifindex: link.podA });
      send(remote, 80);
      const { key, value } = entryFrom(node, podA);
      assert.equal(value.destination, far);
      node.age(NEVER_ANSWERED + 2);
      node.datapath
        .map('conntrack')
        .update(flowCodec.encode(key), conntrackEntryCodec.encode({ ...value, destination: ip(node2), lastSeen: value.lastSeen }));
      send(far, 8080);
      const kept = node.conntrack().filter(({ key: { destination } }) => destination === remote);
      assert.deepEqual(
        kept.map((row) => row.value.destination),
        [node2],
      );
      node.forget(); // the reply of the other backend is not there
    });

    it(`is not for pods and nodes over IPv${family}`, () => {
      for (const destination of [far, node2]) {
        const request = fromPod('podA', { source: podA, destination }, udp(40_000, 53));
        expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request) });
      }
    });

    it(`can be switched off over IPv${family}`, async () => {
      using plain = await loadNode(family === 4 ? { masqueradeIpv4: 0 } : { masqueradeIpv6: 0 });
      const request = fromPod('podA', { source: podA, destination: world }, udp(40_000, 53));
      expectRun(plain, 'pod_from', request, { verdict: 'redirect', out: routed(request) });
      const other = at[family === 4 ? 6 : 4];
      const masked = fromPod('podA', { source: other.podA, destination: other.world }, udp(40_000, 53));
      expectRun(plain, 'pod_from', masked, { verdict: 'redirect', out: routed(masked, { source: other.node }) });
    });

    for (const protocol of [Protocol.gre, Protocol.esp]) {
      it(`gives a protocol without ports (${protocol}) to one pod at a time over IPv${family}`, () => {
        const body = { kind: 'raw', protocol, bytes: Buffer.alloc(20, 7) } as const;
        const request = fromPod('podA', { source: podA, destination: world }, body);
        expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request, { source: host }) });
        const reply = fromWire({ source: world, destination: host }, body);
        expectRun(node, 'host_from', reply, { verdict: 'redirect', out: delivered('podA', reply, { destination: podA }) });
        expectDrop(node, 'pod_from', fromPod('podB', { source: podB, destination: world }, body), {
          reason: DropReason.noMappingForNatMasquerade,
          ifindex: link.podB,
        });
      });
    }

    it(`never writes into ICMP messages that have no identifier to change over IPv${family}`, () => {
      const body = { kind: 'icmp', type: family === 4 ? 17 : 139, code: 0, rest: 0x1234_5678, data: Buffer.alloc(12) } as const;
      const request = fromPod('podA', { source: podA, destination: world }, body);
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request, { source: host }) });
      expectDrop(node, 'pod_from', fromPod('podB', { source: podB, destination: world }, body), {
        reason: DropReason.noMappingForNatMasquerade,
        ifindex: link.podB,
      });
    });

    it(`changes the identifier of a ping to any number over IPv${family}`, () => {
      node.run('pod_from', fromPod('podB', { source: podB, destination: world }, echo(7)), { ifindex: link.podB });
      const out = packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination: world }, echo(7)), { ifindex: link.podA }));
      assert.equal(portOf(out), entryFrom(node, podA).value.sourcePort);
      assert.notEqual(portOf(out), 7);
    });
  }
});
