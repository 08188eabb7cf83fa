// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { nodePortOf, vipOf } from './cluster.ts';
import type { ServiceName } from './cluster.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import {
  answerTo,
  cases,
  checkPairs,
  delivered,
  echo,
  expectDrop,
  expectRun,
  fromPod,
  fromWire,
  routed,
  tcp,
  udp,
  withPorts,
} from './traffic.ts';

/** Each way in to each service: its VIP with the service's port, and this node's address with the node port. */
const ways = cases
  .filter(({ protocol }) => protocol !== 'ping')
  .flatMap(({ protocol, family, label, ...one }) => {
    const [index, target] = protocol === 'TCP' ? [0, 8080] : [1, 5353];
    const vip = (name: ServiceName) => ({ destination: vipOf(name, family), port: protocol === 'TCP' ? 80 : 53 });
    const nodePort = (name: ServiceName) => ({ destination: one.node, port: (nodePortOf[name] ?? 0) + index });
    const common = { ...one, family, target, tcp: protocol === 'TCP' };
    return [
      { ...common, label: `${label} to a VIP`, to: vip, owns: true },
      { ...common, label: `${label} to a node port`, to: nodePort, owns: false },
    ];
  });

/** Bodies of a first packet are made for port 80 or 53; here the way in says which. */
const marked = 0x200;

describe('a client on the wire', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { label, to, body, target, podB, far, world, node: host, ...one } of ways) {
    const ask = (name: ServiceName, sourcePort = 1234) => {
      const { destination, port } = to(name);
      return fromWire({ source: world, destination }, withPorts(body(sourcePort), { destinationPort: port }));
    };

    it(`reaches by ${label} a backend of this node, which sees its address`, () => {
      const request = ask('front');
      const out = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out });
      const reply = fromPod('podB', answerTo(out), answerTo(out).body);
      const seen = routed(reply, answerTo(request));
      expectRun(node, 'pod_from', reply, { verdict: 'redirect', ifindex: link.podB, out: seen });
    });

    it(`reaches by ${label} a backend of another node, which sees this node's address`, () => {
      const request = ask('away', 40_000);
      const out = routed(request, { source: host, destination: far, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out });
      const reply = fromWire(answerTo(out), answerTo(out).body);
      const back = expectRun(node, 'host_from', reply, { verdict: 'redirect', out: routed(reply, answerTo(request)) });
      assert.equal(back.mark & marked, marked, 'host_to is told');
    });

    it(`reaches by ${label} this node itself through its stack`, () => {
      const request = ask('hosted');
      const out = { ...request, destination: host, body: withPorts(request.body, { destinationPort: target }) };
      expectRun(node, 'host_from', request, { verdict: 'stack', out });
      const reply = { ...request, ...answerTo(out) };
      expectRun(node, 'host_to', reply, { verdict: 'stack', out: { ...reply, ...answerTo(request) } });
    });

    it(`leaves ${label} as it is for a proxy of this node (proxy-delegation), and leads it to other nodes`, () => {
      const request = ask('delegated', 40_000);
      for (let packets = 0; packets < 2; packets++) expectRun(node, 'host_from', request, { verdict: 'stack', out: request });
      assert.deepEqual(node.conntrack(), [], 'there is nothing to translate');
      const reply = { ...request, ...answerTo(request) };
      expectRun(node, 'host_to', reply, { verdict: 'stack', out: reply });
      node.serve('delegated', ['far']);
      const out = routed(request, { source: host, destination: far, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out });
      node.serve('delegated', ['node']);
    });

    if (one.owns)
      it(`sends ${label} nowhere when the proxy is missing that it is for`, () => {
        const forwarded = { ...ask('delegated'), from: mac.uplink, to: mac.router };
        expectDrop(node, 'host_to', forwarded, { reason: DropReason.serviceBackendNotFound });
      });

    // covers: external-local, external-local-inside
    it(`reaches by ${label} with externalTrafficPolicy: Local only backends of this node`, () => {
      for (let port = 1000; port < 1020; port++)
        assert.equal(packetFrom(node.run('host_from', ask('near', port), { ifindex: link.uplink })).destination, podB);
      node.serve('near', ['far']);
      const refused = packetFrom(node.run('host_from', ask('near'), { ifindex: link.uplink }));
      assert.deepEqual([refused.source, refused.destination], [to('near').destination, world]);
      assert.equal(refused.body.kind, one.tcp ? 'tcp' : 'icmp');
      const inside = packetFrom(
        node.run(
          'pod_from',
          { ...ask('near'), ...fromPod('podB', { source: podB, destination: to('near').destination }, ask('near').body) },
          { ifindex: link.podB },
        ),
      );
      assert.equal(inside.destination, far, 'a client inside the cluster has them all');
      node.serve('near', ['far', 'podB']);
    });

    it(`is refused by ${label} when the service has no backend`, () => {
      node.serve('front', []);
      const refused = packetFrom(node.run('host_from', ask('front'), { ifindex: link.uplink }));
      assert.deepEqual([refused.source, refused.destination], [to('front').destination, world]);
      assert.equal(refused.body.kind, one.tcp ? 'tcp' : 'icmp');
      node.serve('front', ['podB']);
    });

    it(`does not mix up by ${label} two clients with one port`, () => {
      const others = ['198.51.100.9', '2001:db8:eeee::9'];
      const second = { ...ask('away', 40_000), source: others[one.family === 4 ? 0 : 1] ?? '' };
      const [a, b] = [ask('away', 40_000), second].map((packet) => packetFrom(node.run('host_from', packet, { ifindex: link.uplink })));
      assert.ok(a && b);
      assert.notDeepEqual(a.body, b.body);
      for (const [sent, asked] of [
        [a, ask('away', 40_000)],
        [b, second],
      ] as const) {
        const reply = fromWire(answerTo(sent), answerTo(sent).body);
        expectRun(node, 'host_from', reply, { verdict: 'redirect', out: routed(reply, answerTo(asked)) });
      }
    });
  }

  for (const { family, label, world, router, node: host, front, node2 } of cases.filter(({ protocol }) => protocol === 'TCP')) {
    const vip = vipOf('front', family);
    const at = { source: world, destination: vip };

    it(`sees a VIP behave as a host: ${label}`, () => {
      const ping = fromWire(at, echo(7));
      const pong = expectRun(node, 'host_from', ping, {
        verdict: 'redirect',
        out: { ...ping, from: ping.to, to: ping.from, ...answerTo(ping) },
      });
      assert.equal(pong.mark & marked, marked, 'host_to is told');
      const closed = packetFrom(node.run('host_from', fromWire(at, tcp(1234, 81)), { ifindex: link.uplink }));
      assert.ok(closed.body.kind === 'tcp' && closed.body.flags === 'RA' && closed.body.sourcePort === 81);
      const datagram = packetFrom(node.run('host_from', fromWire(at, udp(1234, 81)), { ifindex: link.uplink }));
      assert.ok(datagram.body.kind === 'icmp' && datagram.source === vip);
    });

    it(`gets what is the node's own from the node, and nothing of a ClusterIP: ${label}`, () => {
      for (const body of [tcp(1234, 22), udp(1234, 53), echo(3)]) {
        const packet = fromWire({ source: world, destination: host }, body);
        expectRun(node, 'host_from', packet, { verdict: 'stack' });
      }
      expectDrop(node, 'host_from', fromWire({ source: world, destination: front }, tcp(1234, 80)), { reason: DropReason.isAClusterip });
      const foreign = fromWire({ source: router, destination: node2 }, tcp(1234, nodePortOf.front ?? 0));
      expectRun(node, 'host_from', foreign, { verdict: 'stack' });
    });

    it(`gets no answer to a RST, which would go to and fro: ${label}`, () => {
      expectDrop(node, 'host_from', fromWire(at, tcp(1234, 81, 'R')), { reason: DropReason.serviceBackendNotFound });
    });
  }
});
