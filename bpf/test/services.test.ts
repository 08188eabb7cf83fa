// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import type { Body, Packet } from './packet.ts';
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
  tcp,
  udp,
  withPorts,
} from './traffic.ts';

const serviceCases = cases
  .filter(({ protocol }) => protocol !== 'ping')
  .map((one) => ({ ...one, target: one.protocol === 'TCP' ? 8080 : 5353 }));

/** The first packet of a pod to a service and the answer to it as the pod is to see it. */
function exchange(source: string, destination: string, body: Body): { readonly request: Packet; readonly seen: Packet } {
  const request = fromPod('podA', { source, destination }, body);
  return { request, seen: { ...request, ...answerTo(request) } };
}

describe('a service', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { label, body, target, podA, podB, far, world, node: host, hairpin, other, ...service } of serviceCases) {
    it(`leads ${label} to a backend of this node and back`, () => {
      const { request, seen } = exchange(podA, service.cart, body(1234));
      const out = delivered('podB', request, { destination: podB, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      const reply = fromPod('podB', answerTo(out), answerTo(out).body);
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        ifindex: link.podB,
        out: delivered('podA', reply, { source: service.cart, body: seen.body }),
      });
    });

    it(`leads ${label} to a backend of another node without masquerade and back`, () => {
      const { request, seen } = exchange(podA, service.remote, body(1234));
      const out = routed(request, { destination: far, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      const reply = fromWire(answerTo(out), answerTo(out).body);
      expectRun(node, 'host_from', reply, {
        verdict: 'redirect',
        out: delivered('podA', reply, { source: service.remote, body: seen.body }),
      });
    });

    it(`leads ${label} to a backend in the world with the node's address and back`, () => {
      const { request, seen } = exchange(podA, service.outside, body(40_000));
      const out = routed(request, { source: host, destination: world, body: withPorts(request.body, { destinationPort: target }) });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      const reply = fromWire(answerTo(out), answerTo(out).body);
      expectRun(node, 'host_from', reply, {
        verdict: 'redirect',
        out: delivered('podA', reply, { source: service.outside, destination: podA, body: seen.body }),
      });
    });

    it(`leads ${label} to this host through the stack and back`, () => {
      const { request, seen } = exchange(podA, service.kubernetes, body(1234));
      const out = { ...request, destination: host, body: withPorts(request.body, { destinationPort: target }) };
      expectRun(node, 'pod_from', request, { verdict: 'stack', out });
      const reply = { ...request, ...answerTo(out) };
      expectRun(node, 'pod_to', reply, { verdict: 'stack', out: { ...reply, source: service.kubernetes, body: seen.body } });
    });

    it(`leads ${label} to the pod itself, which sees another sender, and back`, () => {
      const { request, seen } = exchange(podA, service.self, body(40_000));
      const out = delivered('podA', request, {
        source: hairpin,
        destination: podA,
        body: withPorts(request.body, { destinationPort: target }),
      });
      expectRun(node, 'pod_from', request, { verdict: 'redirect', out });
      const reply = fromPod('podA', answerTo(out), answerTo(out).body);
      expectRun(node, 'pod_from', reply, {
        verdict: 'redirect',
        out: delivered('podA', reply, { source: service.self, destination: podA, body: seen.body }),
      });
    });

    it(`keeps two flows of ${label} apart that one pod sends with one port to one backend by two services`, () => {
      const [first, second] = [exchange(podA, service.remote, body(1234)), exchange(podA, service.many, body(1234))];
      node.serve('many', ['far']);
      node.run('pod_from', first.request, { ifindex: link.podA });
      const out = packetFrom(node.run('pod_from', second.request, { ifindex: link.podA }));
      const wire = answerTo(out);
      expectRun(node, 'host_from', fromWire(wire, wire.body), {
        verdict: 'redirect',
        out: delivered('podA', fromWire(wire, wire.body), { source: service.many, body: second.seen.body }),
      });
      node.serve('many', ['far', 'far2']);
    });

    it(`chooses among all backends for ${label}`, () => {
      const chosen = new Set<string>();
      for (let port = 2000; port < 2100; port++)
        chosen.add(
          packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination: service.many }, body(port)), { ifindex: link.podA }))
            .destination,
        );
      assert.deepEqual([...chosen].toSorted(), [far, service.far2].toSorted());
    });

    it(`finds the backend of ${label} again that conntrack has forgotten`, () => {
      const found = new Set<string>();
      for (let port = 2000; port < 2020; port++) {
        const request = fromPod('podA', { source: podA, destination: service.many }, body(port));
        const choice = () => packetFrom(node.run('pod_from', request, { ifindex: link.podA })).destination;
        const first = choice();
        node.forget();
        assert.equal(choice(), first);
        found.add(first);
      }
      assert.equal(found.size, 2);
    });

    it(`stays with a backend for ${label} until that is gone`, () => {
      const request = fromPod('podA', { source: podA, destination: service.many }, body(1234));
      const choice = () => packetFrom(node.run('pod_from', request, { ifindex: link.podA })).destination;
      const first = choice();
      for (let i = 0; i < 20; i++) assert.equal(choice(), first);
      node.serve('many', first === far ? ['far2'] : ['far']);
      node.serve('remote', ['podB']); // it shares the backend
      const second = choice();
      assert.notEqual(second, first);
      node.serve('many', ['far', 'far2']);
      node.serve('remote', ['far']);
      assert.equal(choice(), second);
      node.forget(); // the reply's entry of the first choice has no opposite any more
    });

    it(`cannot be reached from the wire by ${label}`, () => {
      expectDrop(node, 'host_from', fromWire({ source: other, destination: service.cart }, body(1234)), {
        reason: DropReason.isAClusterip,
      });
    });

    it(`leaves ${label} with a time to live of 1 to the stack as it came`, () => {
      expectRun(
        node,
        'pod_from',
        { ...fromPod('podA', { source: podA, destination: service.cart }, body(1234)), ttl: 1 },
        { verdict: 'stack' },
      );
    });
  }

  for (const { family, podA, far, remote, many } of cases.filter(({ protocol }) => protocol === 'TCP')) {
    it(`keeps its established connections over IPv${family} when a backend has left`, () => {
      const opening = fromPod('podA', { source: podA, destination: remote }, tcp(1234, 80));
      node.run('pod_from', opening, { ifindex: link.podA });
      node.serve('remote', []);
      node.serve('many', ['far2']);
      const data = { ...opening, body: tcp(1234, 80, 'PA', { payload: 'more' }) };
      expectRun(node, 'pod_from', data, {
        verdict: 'redirect',
        out: routed(data, { destination: far, body: tcp(1234, 8080, 'PA', { payload: 'more' }) }),
      });
      node.serve('remote', ['far']);
      node.serve('many', ['far', 'far2']);
    });

    it(`names service and backend in both conntrack entries over IPv${family}`, () => {
      node.run('pod_from', fromPod('podA', { source: podA, destination: many }, tcp(1234, 80)), { ifindex: link.podA });
      const { service, backend } = entryFrom(node, podA).value;
      assert.ok(service > 0 && backend > 0);
    });
  }

  it('keeps the checksum of UDP over IPv4 zero when it is zero', () => {
    const [{ podA, podB, cart }] = cases.filter(({ family }) => family === 4) as [(typeof cases)[number]]; // as: there are three
    const request = fromPod('podA', { source: podA, destination: cart }, udp(1234, 53, { unchecked: true }));
    expectRun(node, 'pod_from', request, {
      verdict: 'redirect',
      out: delivered('podB', request, { destination: podB, body: udp(1234, 5353, { unchecked: true }) }),
    });
  });
});
