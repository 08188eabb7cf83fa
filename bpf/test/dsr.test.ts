// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it, test } from 'node:test';
import { configDefaults, DropReason } from '../../src/datapath/schema.gen.ts';
import { at, families, nodePortOf, vipOf } from './cluster.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { GENEVE_PORT } from './packet.ts';
import type { Packet } from './packet.ts';
import {
  answerTo,
  cases,
  delivered,
  dsrCases,
  expectDrop,
  expectRun,
  fromPod,
  fromWire,
  routed,
  saying,
  tcp,
  udp,
  withPorts,
} from './traffic.ts';

describe('direct server return', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode({}, 'dsr');
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => node.forget());

  for (const { label, family, body, target, port, far, podB, world, other } of dsrCases) {
    const vip = vipOf('away', family);
    const said = saying(vip, port, family);

    it(`sends ${label} on with the client's address, and says which VIP it came for`, () => {
      const request = fromWire({ source: world, destination: vip }, body(1234));
      const out = routed(request, { destination: far, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out: { ...out, ...said } });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out: { ...out, ...said } }); // again: a SYN may be lost
      if (request.body.kind !== 'tcp') return;
      const next = { ...request, body: { ...request.body, flags: 'PA', ack: 7, payload: 'GET /' } };
      expectRun(node, 'host_from', next, { verdict: 'redirect', out: { ...out, body: withPorts(next.body, { destinationPort: target }) } });
    });

    it(`sends ${label} on in the middle of a connection that it does not know, and says which VIP it came for`, () => {
      const opening = body(1234);
      const middle = opening.kind === 'tcp' ? { ...opening, flags: 'PA', seq: 77, ack: 78, payload: 'more' } : opening;
      const request = fromWire({ source: world, destination: vip }, middle);
      const out = routed(request, { destination: far, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out: { ...out, ...said } });
    });

    it(`answers ${label} in the middle of a connection in the name of the VIP, be it with a RST`, () => {
      const opening = withPorts(body(1234), { destinationPort: target });
      const middle = opening.kind === 'tcp' ? { ...opening, flags: 'A', seq: 77, ack: 78 } : opening;
      const request = fromWire({ source: world, destination: podB }, middle);
      const out = delivered('podB', request);
      expectRun(node, 'host_from', { ...request, ...said }, { verdict: 'redirect', out });
      const { body: answer, ...ends } = answerTo(out);
      const reply = fromPod('podB', ends, answer.kind === 'tcp' ? { ...answer, flags: 'R', seq: 78, ack: 0 } : answer);
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        ifindex: link.podB,
        out: routed(reply, { source: vip, body: withPorts(reply.body, { sourcePort: port }) }),
      });
    });

    it(`sends ${label} on by a node port, which is at this node's address`, () => {
      const nodePort = (nodePortOf.away ?? 0) + (port === 80 ? 0 : 1);
      const host = cases.find((one) => one.family === family)?.node ?? '';
      const request = fromWire({ source: world, destination: host }, withPorts(body(1234), { destinationPort: nodePort }));
      const out = routed(request, { destination: far, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'host_from', request, { verdict: 'redirect', out: { ...out, ...saying(host, nodePort, family) } });
    });

    it(`delivers ${label} that says so, without what says so, and answers in the name of the VIP`, () => {
      const request = fromWire({ source: world, destination: podB }, withPorts(body(1234), { destinationPort: target }));
      const out = delivered('podB', request);
      for (let i = 0; i < 2; i++) expectRun(node, 'host_from', { ...request, ...said }, { verdict: 'redirect', out });
      const reply = fromPod('podB', answerTo(out), answerTo(out).body);
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        ifindex: link.podB,
        out: routed(reply, { source: vip, body: withPorts(reply.body, { sourcePort: port }) }),
      });
      const later = request.body.kind === 'tcp' ? { ...request.body, flags: 'A', ack: 1 } : request.body;
      expectRun(node, 'host_from', { ...request, body: later }, { verdict: 'redirect', out: { ...out, body: later } });
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        ifindex: link.podB,
        out: routed(reply, { source: vip, body: withPorts(reply.body, { sourcePort: port }) }),
      });
    });

    it(`delivers ${label} that says nothing as what it is, and answers as the pod (control)`, () => {
      const request = fromWire({ source: world, destination: podB }, withPorts(body(1234), { destinationPort: target }));
      const out = delivered('podB', request);
      expectRun(node, 'host_from', request, { verdict: 'redirect', out });
      const reply = fromPod('podB', answerTo(out), answerTo(out).body);
      expectRun(node, 'pod_from', reply, { verdict: 'redirect', ifindex: link.podB, out: routed(reply) });
    });

    it(`takes nobody's word that ${label} came for what is no frontend`, () => {
      const request = fromWire({ source: world, destination: podB }, withPorts(body(1234), { destinationPort: target }));
      for (const [address, wrong] of [
        [other, port],
        [vip, 9999],
      ] as const)
        expectDrop(node, 'host_from', { ...request, ...saying(address, wrong, family) }, { reason: DropReason.serviceBackendNotFound });
    });

    it(`gives ${label} an address of this node where a second VIP would give the backend the same flow`, () => {
      const ask = (destination: string) =>
        packetFrom(node.run('host_from', fromWire({ source: world, destination }, body(40_000)), { ifindex: link.uplink }));
      node.serve('front', ['far']);
      const [first, second] = [ask(vip), ask(vipOf('front', family))];
      node.serve('front', ['podB']);
      assert.equal(first.source, world);
      assert.notEqual(second.source, world);
      assert.deepEqual([first.destination, second.destination], [far, far]);
    });
  }

  for (const { label, family, world, body } of dsrCases.filter(({ protocol }) => protocol === 'UDP')) {
    it(`says the VIP in the first datagrams of ${label}, and then once a second`, () => {
      const request = fromWire({ source: world, destination: vipOf('away', family) }, body(1234));
      const isTold = () => {
        const { options, extensions } = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
        return options !== undefined || extensions !== undefined;
      };
      const told = Array.from({ length: 40 }, isTold);
      assert.deepEqual(told.slice(0, 8), Array(8).fill(true));
      const later = told.slice(8).filter(Boolean).length;
      assert.ok(later <= 2, `${later} of 32 later datagrams were told within a second or two`);
      for (let seconds = 0; seconds < 3; seconds++) {
        node.age(1);
        assert.equal(isTold(), true, 'the first of a second');
      }
      node.forget();
      assert.equal(isTold(), true, 'a flow that this node has forgotten');
    });

    it(`gives an address of this node to a flow of ${label} whose first datagram has no room to say more`, () => {
      const room = 1500 - (family === 4 ? 28 : 48);
      const sourceOf = (sourcePort: number, bytes: number) =>
        packetFrom(
          node.run(
            'host_from',
            fromWire({ source: world, destination: vipOf('away', family) }, udp(sourcePort, 53, { payload: 'x'.repeat(bytes) })),
            {
              ifindex: link.uplink,
            },
          ),
        );
      assert.notEqual(sourceOf(40_001, room).source, world);
      assert.equal(sourceOf(40_002, room - 24).source, world);
      const late = sourceOf(40_002, room);
      assert.deepEqual([late.source, late.options, late.extensions], [world, undefined, undefined]);
    });
  }
});

test('hybrid is direct for TCP alone', { skip: namespaceMissing }, async () => {
  using node = await loadNode({}, 'hybrid');
  for (const { family, world, node: host } of dsrCases.filter(({ protocol }) => protocol === 'TCP')) {
    const destination = vipOf('away', family);
    const sourceOf = (body: Packet['body']) =>
      packetFrom(node.run('host_from', fromWire({ source: world, destination }, body), { ifindex: link.uplink })).source;
    assert.deepEqual([sourceOf(tcp(40_000, 80)), sourceOf(udp(40_000, 53))], [world, host]);
  }
});

describe('the question whether IP options arrive', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode({}, 'dsr');
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => node.forget());
  const [port, told] = [configDefaults.optionProbePort, configDefaults.optionProbePort + 1];

  for (const family of families) {
    const { node: own, node2 } = at[family];
    const ask = (sourcePort: number, destinationPort = port) => udp(sourcePort, destinationPort, { payload: 'stentor option?' });
    const toNode2 = (body: Packet['body']): Packet => ({
      from: mac.uplink,
      to: mac.router,
      source: own,
      destination: node2,
      ttl: 64,
      body,
    });

    it(`leaves with an option over IPv${family} from its own port alone`, () => {
      const optional = toNode2(ask(port));
      expectRun(node, 'host_to', optional, { verdict: 'stack', out: { ...optional, ...saying(node2, port, family) } });
      for (const plain of [toNode2(ask(45_000)), toNode2(ask(told))]) expectRun(node, 'host_to', plain, { verdict: 'stack' });
    });

    it(`comes to the next port over IPv${family} with its option, and to its own without`, () => {
      const plain = fromWire({ source: node2, destination: own }, ask(port));
      expectRun(
        node,
        'host_from',
        { ...plain, ...saying(own, port, family) },
        { verdict: 'stack', out: { ...plain, body: ask(port, told) } },
      );
      expectRun(node, 'host_from', plain, { verdict: 'stack' });
      expectDrop(node, 'host_from', { ...plain, ...saying(node2, port, family) }, { reason: DropReason.serviceBackendNotFound });
    });

    it(`makes nodes to which no option comes get envelopes over IPv${family}`, () => {
      const vip = vipOf('away', family);
      const request = fromWire({ source: at[family].world, destination: vip }, tcp(40_000, 80));
      const isWrapped = () => {
        node.forget();
        const { body } = packetFrom(node.run('host_from', request, { ifindex: link.uplink }));
        return body.kind === 'udp' && body.destinationPort === GENEVE_PORT;
      };
      node.loseOptions([family === 4 ? 6 : 4]);
      assert.equal(isWrapped(), false);
      node.loseOptions([family]);
      assert.equal(isWrapped(), true);
      node.loseOptions([]);
      assert.equal(isWrapped(), false);
    });
  }
});
