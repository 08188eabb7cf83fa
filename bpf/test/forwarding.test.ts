// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ConntrackFlag, DropReason } from '../../src/datapath/schema.gen.ts';
import { HOST_DNS, link, loadNode, mac } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import {
  answerTo,
  cases,
  checkPairs,
  delivered,
  entryFrom,
  expectDrop,
  expectRun,
  fromPod,
  fromWire,
  routed,
  withPorts,
} from './traffic.ts';

const HANDLED = 0x200; // of skb->mark

describe('forwarding', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { label, body, podA, podB, far, world, node: host, other } of cases) {
    it(`delivers ${label} from pod to pod of the same node and back`, () => {
      const request = fromPod('podA', { source: podA, destination: podB }, body(1234));
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: delivered('podB', request) });
      const reply = { ...request, ...answerTo(request), from: mac.podB };
      expectRun(node, 'pod_from', reply, { verdict: 'redirect', ifindex: link.podB, out: delivered('podA', reply) });
      assert.deepEqual([entryFrom(node, podA).value.interfaceIndex, entryFrom(node, podB).value.interfaceIndex], [link.podB, link.podA]);
    });

    it(`routes ${label} to a pod of another node with the pod's address and delivers the reply`, () => {
      const request = fromPod('podA', { source: podA, destination: far }, body(1234));
      const { mark } = expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request), mark: 0x10001 });
      assert.equal(mark, 0x10001 | HANDLED);
      const { flags, interfaceIndex } = entryFrom(node, podA).value;
      assert.deepEqual([flags, interfaceIndex], [ConntrackFlag.routed, link.uplink]);
      expectRun(node, 'host_to', routed(request), { verdict: 'stack', mark: HANDLED });
      const reply = fromWire(answerTo(request), answerTo(request).body);
      expectRun(node, 'host_from', reply, { verdict: 'redirect', out: delivered('podA', reply) });
    });

    it(`masquerades ${label} to the world with its own port, and translates the reply back`, () => {
      const request = fromPod('podA', { source: podA, destination: world }, body(40_000));
      const out = routed(request, { source: host });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      const back = answerTo(out);
      const reply = fromWire(back, back.body);
      expectRun(node, 'host_from', reply, { verdict: 'redirect', out: delivered('podA', reply, { destination: podA }) });
    });

    it(`gives another port to ${label} when another pod has it`, () => {
      const first = fromPod('podA', { source: podA, destination: world }, body(40_000));
      expectRun(node, 'pod_from', first, { verdict: 'redirect', out: routed(first, { source: host }) });
      const second = fromPod('podB', { source: podB, destination: world }, body(40_000));
      node.run('pod_from', second, { ifindex: link.podB });
      const { sourcePort } = entryFrom(node, podB).value;
      assert.notEqual(sourcePort, 40_000);
      if (body(1).kind !== 'echo') assert.ok(sourcePort >= 32_768, `port ${sourcePort} is out of range`);
      const out = routed(second, { source: host, body: withPorts(second.body, { sourcePort }) });
      expectRun(node, 'pod_from', second, { verdict: 'redirect', ifindex: link.podB, out });
      const reply = fromWire(answerTo(out), answerTo(out).body);
      const restored = delivered('podB', reply, { destination: podB, body: answerTo(second).body });
      expectRun(node, 'host_from', reply, { verdict: 'redirect', out: restored });
    });

    it(`delivers ${label} from the wire to a pod, whose reply leaves by the same uplink`, () => {
      const request = fromWire({ source: other, destination: podA }, body(1234));
      expectRun(node, 'host_from', request, { verdict: 'redirect', out: delivered('podA', request) });
      const reply = fromPod('podA', answerTo(request), answerTo(request).body);
      expectRun(node, 'pod_from', reply, { verdict: 'redirect', out: routed(reply) });
      assert.equal(entryFrom(node, podA).value.interfaceIndex, link.uplink);
    });

    it(`leaves ${label} between host and pod to the stack, both ways`, () => {
      for (const { request, go, back } of [
        { request: fromPod('podA', { source: podA, destination: host }, body(1234)), go: 'pod_from', back: 'pod_to' },
        { request: fromPod('podA', { source: host, destination: podA }, body(4321)), go: 'pod_to', back: 'pod_from' },
      ] as const) {
        expectRun(node, go, request, { verdict: 'stack' });
        expectRun(node, back, { ...request, ...answerTo(request) }, { verdict: 'stack' });
        expectRun(node, go, request, { verdict: 'stack' });
      }
      const openers = node.conntrack().filter(({ value }) => !(value.flags & ConntrackFlag.reply));
      assert.deepEqual(openers.map(({ key }) => key.source).toSorted(), [podA, host].toSorted());
    });

    it(`passes ${label} that is for another host's link address`, () => {
      const request = { ...fromWire({ source: other, destination: podA }, body(1234)), to: '02:00:00:00:09:09' };
      expectRun(node, 'host_from', request, { verdict: 'stack' });
      assert.deepEqual(node.conntrack(), []);
    });

    it(`drops ${label} from an address that the pod does not have`, () => {
      for (const source of [podB, host, other])
        expectDrop(node, 'pod_from', fromPod('podA', { source, destination: world }, body(1234)), { reason: DropReason.invalidSourceIp });
      assert.deepEqual(node.conntrack(), []);
    });

    it(`drops ${label} from a link address that is not the pod's`, () => {
      const request = fromPod('podA', { source: podA, destination: far }, body(1234));
      for (const from of [mac.podB, mac.gateway, '02:00:00:00:00:8a', '03:00:00:00:00:0a'])
        expectDrop(node, 'pod_from', { ...request, from }, { reason: DropReason.invalidSourceMac });
      assert.deepEqual(node.conntrack(), []);
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request) });
      expectDrop(node, 'pod_from', { ...request, from: mac.podB }, { reason: DropReason.invalidSourceMac });
    });

    it(`leaves ${label} with a time to live of 1 to the stack as it came`, () => {
      for (const destination of [podB, far, world])
        expectRun(node, 'pod_from', { ...fromPod('podA', { source: podA, destination }, body(1234)), ttl: 1 }, { verdict: 'stack' });
      expectRun(node, 'host_from', { ...fromWire({ source: other, destination: podA }, body(1234)), ttl: 1 }, { verdict: 'stack' });
    });
  }

  for (const { protocol, body, podA } of cases.filter(({ family }) => family === 4)) {
    it(`leaves ${protocol} to a link-local address of the node to the stack, with the pod's address: ${HOST_DNS}`, () => {
      const request = fromPod('podA', { source: podA, destination: HOST_DNS }, body(1234));
      expectRun(node, 'pod_from', request, { verdict: 'stack' });
      const reply = { ...request, ...answerTo(request) };
      expectRun(node, 'pod_to', reply, { verdict: 'stack' });
    });
  }

  for (const destination of ['192.168.77.9', 'fd00:77::9']) {
    it(`leaves what goes out by an interface that is no uplink to the stack: ${destination}`, () => {
      const source = cases.find(({ family }) => destination.includes(':') === (family === 6))?.podA ?? '';
      expectRun(node, 'pod_from', fromPod('podA', { source, destination }, cases[0]?.body(1234) ?? assert.fail()), { verdict: 'stack' });
      assert.deepEqual(node.conntrack(), []);
    });
  }

  for (const destination of ['224.0.0.251', '255.255.255.255', 'ff02::fb']) {
    it(`drops multicast from a pod: ${destination}`, () => {
      const source = destination.includes(':') ? 'fe80::5' : '10.244.1.5';
      expectDrop(
        node,
        'pod_from',
        fromPod('podA', { source, destination }, { kind: 'udp', sourcePort: 5353, destinationPort: 5353, payload: 'x' }),
        { reason: DropReason.multicastHandled },
      );
    });
  }
});
