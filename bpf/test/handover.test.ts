// SPDX-License-Identifier: Apache-2.0
// While the maps of another version are taken over, what belongs to a connection that nobody knows here waits until it is known.

import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { link, loadNode } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { expectDrop, fromPod, fromWire, tcp, udp } from './traffic.ts';

const reason = DropReason.unknownConnectionTrackingState;
const LONG_MS = 60_000;

describe('a handover', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    node.datapath.awaitFlows(0);
    node.forget();
  });

  for (const family of families) {
    const { podA, far, many, world, node: self } = at[family];
    const send = (destination: string, body: ReturnType<typeof tcp> | ReturnType<typeof udp>) =>
      node.run('pod_from', fromPod('podA', { source: podA, destination }, body), { ifindex: link.podA }).verdict;

    it(`lets what a pod goes on with wait, and only that (IPv${family})`, () => {
      for (const destination of [far, many, world]) {
        const middle = fromPod('podA', { source: podA, destination }, tcp(40_001, 80, 'A'));
        assert.equal(send(destination, tcp(40_000, 80, 'A')), 'redirect', 'without one it begins a flow');
        node.datapath.awaitFlows(LONG_MS);
        assert.equal(send(destination, tcp(40_000, 80, 'A')), 'redirect', 'a flow that is known');
        expectDrop(node, 'pod_from', middle, { reason });
        assert.equal(node.conntrack().length, 2, 'and nothing is remembered of it');
        assert.equal(send(destination, tcp(40_002, 80)), 'redirect', 'one that begins');
        if (destination !== world) assert.equal(send(destination, udp(40_003, 80)), 'redirect', 'a datagram');
        node.datapath.awaitFlows(0);
        assert.equal(send(destination, tcp(40_001, 80, 'A')), 'redirect');
        node.forget();
      }
    });

    it(`keeps what comes from the wire from a host that has no socket for it (IPv${family})`, async () => {
      const answer = fromWire({ source: world, destination: self }, tcp(80, 45_000, 'SA'));
      const arrives = () => node.run('host_from', answer, { ifindex: link.uplink }).verdict;
      assert.equal(arrives(), 'stack', 'which without a handover would end the connection');
      node.datapath.awaitFlows(LONG_MS);
      expectDrop(node, 'host_from', answer, { reason });
      const socket = connect({ host: world, port: 80, localPort: 45_000, localAddress: self });
      socket.on('error', () => undefined); // nobody answers it here
      await delay(50); // for the socket to be there
      assert.equal(arrives(), 'stack', 'the host has begun this one');
      socket.destroy();
    });
  }

  it('is over by itself', async () => {
    const packet = () => send4(tcp(40_000, 80, 'A'));
    const { podA, far } = at[4];
    const send4 = (body: ReturnType<typeof tcp>) =>
      node.run('pod_from', fromPod('podA', { source: podA, destination: far }, body), { ifindex: link.podA }).verdict;
    node.datapath.awaitFlows(50);
    assert.equal(packet(), 'drop');
    await delay(100); // longer than it
    assert.equal(packet(), 'redirect');
  });
});
