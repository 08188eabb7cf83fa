// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, ip, parseMac } from '../base/ip.ts';
import type { Mac } from '../base/ip.ts';
import { isKernelError, KernelError } from './errors.ts';
import { AddressFlag, putAddress } from './netlink-address.ts';
import { ensureClsact } from './netlink-filter.ts';
import {
  changeLink,
  createBridge,
  createVeth,
  deleteLink,
  deleteLinkOffLoop,
  findLink,
  listLinks,
  OperationalState,
} from './netlink-link.ts';
import { listRoutes, putRoute } from './netlink-route.ts';
import { NetlinkSocket } from './socket.ts';
import { eventually, netnsMissing, kernelError } from './testdata/harness.ts';
import { testNamespace } from './testdata/netlink-testbed.ts';
import type { TestNamespace } from './testdata/netlink-testbed.ts';

const mac = (text: string): Mac => parseMac(text) ?? assert.fail(text);

describe('links', { skip: netnsMissing }, () => {
  it('makes a veth pair whose other end appears in its namespace under its final name', async () => {
    using host = testNamespace();
    using pod = testNamespace();
    createVeth(host.socket, {
      name: 'lxc1',
      index: 4242,
      mac: mac('02:00:00:00:00:01'),
      mtu: 1450,
      txQueueLength: 500,
      up: true,
      peer: { name: 'eth0', mac: mac('02:00:00:00:00:02'), mtu: 1450, netns: pod.path },
    });
    const [outside] = host.ip('link', 'show', 'lxc1');
    assert.deepEqual(
      [outside?.['ifindex'], outside?.['mtu'], outside?.['txqlen'], outside?.['address']],
      [4242, 1450, 500, '02:00:00:00:00:01'],
    );
    const [inside] = pod.ip('link', 'show', 'eth0');
    assert.deepEqual([inside?.['mtu'], inside?.['address']], [1450, '02:00:00:00:00:02']);

    const link = findLink(host.socket, 'lxc1');
    // The operational state follows a moment later, off the request's path.
    assert.deepEqual(link && { ...link, flags: 0, peerNetnsId: 0, operationalState: 0 }, {
      index: 4242,
      name: 'lxc1',
      mac: '02:00:00:00:00:01',
      mtu: 1450,
      flags: 0,
      up: true,
      carrier: false,
      operationalState: 0,
      kind: 'veth',
      master: undefined,
      peer: inside?.['ifindex'],
      peerNetnsId: 0,
      txQueueLength: 500,
      groMaxSize: 65536,
      gsoMaxSize: 65536,
    });
    assert.equal(typeof link?.peerNetnsId, 'number');
    assert.deepEqual(findLink(pod.socket, 'eth0')?.peer, 4242);
    changeLink(pod.socket, findLink(pod.socket, 'eth0')?.index ?? 0, { up: true });
    await eventually('the pair is up', () => findLink(host.socket, 4242)?.operationalState === OperationalState.up);
    assert.equal(findLink(host.socket, 4242)?.carrier, true);
  });

  it('lists what ip lists', () => {
    using host = testNamespace();
    createBridge(host.socket, 'br0');
    createVeth(host.socket, { name: 'a', peer: { name: 'b' } });
    const wanted = host
      .ip('link')
      .map((link) => [link['ifindex'], link['ifname'], link['mtu'], (link['linkinfo'] as { info_kind?: string } | undefined)?.info_kind]); // as: shape of ip's output
    assert.deepEqual(
      listLinks(host.socket).map((link) => [link.index, link.name, link.mtu, link.kind]),
      wanted,
    );
  });

  it('changes up, name, MAC, MTU, bridge, sizes and namespace', () => {
    using host = testNamespace();
    using pod = testNamespace();
    createBridge(host.socket, 'br0');
    createVeth(host.socket, { name: 'a', peer: { name: 'b' } });
    const index = findLink(host.socket, 'a')?.index ?? 0;
    const bridge = findLink(host.socket, 'br0')?.index ?? 0;
    changeLink(host.socket, index, {
      name: 'a1',
      mac: mac('02:00:00:00:00:0a'),
      mtu: 1300,
      master: bridge,
      txQueueLength: 7,
      groMaxSize: 100_000,
      gsoMaxSize: 110_000,
    });
    changeLink(host.socket, index, { up: true });
    const link = findLink(host.socket, index);
    assert.deepEqual(
      [link?.name, link?.mac, link?.mtu, link?.master, link?.up, link?.txQueueLength, link?.groMaxSize, link?.gsoMaxSize],
      ['a1', '02:00:00:00:00:0a', 1300, bridge, true, 7, 100_000, 110_000],
    );
    changeLink(host.socket, index, { up: false, master: 0 });
    assert.deepEqual([findLink(host.socket, index)?.up, findLink(host.socket, index)?.master], [false, undefined]);
    changeLink(host.socket, index, { netns: pod.path, name: 'moved' });
    assert.equal(findLink(host.socket, index), undefined);
    assert.equal(findLink(pod.socket, 'moved')?.mac, '02:00:00:00:00:0a');
  });

  it('deletes both ends, and says when there was nothing to delete', async () => {
    using host = testNamespace();
    createVeth(host.socket, { name: 'a', peer: { name: 'b' } });
    assert.equal(deleteLink(host.socket, 'a'), true);
    assert.equal(findLink(host.socket, 'b'), undefined);
    assert.equal(deleteLink(host.socket, 'a'), false);
    assert.equal(deleteLink(host.socket, 999), false);
    assert.equal(await deleteLinkOffLoop('no-such-link'), false);
    await assert.rejects(deleteLinkOffLoop('lo'), kernelError('EOPNOTSUPP')); // the kernel keeps its loopback
  });

  it('names operation, object and errno when the kernel refuses', () => {
    using host = testNamespace();
    createVeth(host.socket, { name: 'a', peer: { name: 'b' } });
    assert.throws(
      () => createVeth(host.socket, { name: 'a', peer: { name: 'c' } }),
      (error) => isKernelError(error, 'EEXIST') && /RTM_NEWLINK of veth pair a and c.*EEXIST/.test(error.message),
    );
    assert.throws(
      () => changeLink(host.socket, 999, { up: true }),
      (error) => error instanceof KernelError && /link 999.*ENODEV/.test(error.message),
    );
    const index = findLink(host.socket, 'a')?.index ?? 0;
    assert.throws(() => changeLink(host.socket, index, { mtu: 10 }), /mtu less than device minimum/);
  });
});

/** Everything between "there is a namespace" and "the pod can send"; the time is milliseconds. */
function addPodInterface(host: TestNamespace, pod: TestNamespace, number: number): { index: number; time: number } {
  const start = performance.now();
  const index = 10_000 + number;
  const link = 2; // after lo; nobody else is in there yet
  const hostMac = mac('02:00:00:00:00:01');
  createVeth(host.socket, {
    name: `lxc${number}`,
    index,
    mac: hostMac,
    mtu: 1500,
    up: true,
    peer: { name: 'eth0', index: link, mtu: 1500, netns: pod.path },
  });
  ensureClsact(host.socket, index);
  using inside = NetlinkSocket.open({ netns: pod.path });
  putAddress(inside, { link, ip: ip(`10.244.0.${number}`), bits: 32 });
  putAddress(inside, { link, ip: ip(`fd00::${number}`), bits: 128, flags: AddressFlag.noDuplicateDetection });
  changeLink(inside, 1, { up: true });
  changeLink(inside, link, { up: true });
  putRoute(inside, { destination: cidr('0.0.0.0/0'), gateway: ip('169.254.0.1'), link, onlink: true });
  putRoute(inside, { destination: cidr('::/0'), gateway: ip('fe80::1'), link, onlink: true });
  putRoute(host.socket, { destination: cidr(`10.244.0.${number}/32`), link: index, protocol: 99 });
  putRoute(host.socket, { destination: cidr(`fd00::${number}/128`), link: index, protocol: 99 });
  return { index, time: performance.now() - start };
}

describe('a pod interface end to end', { skip: netnsMissing }, () => {
  it('is made in some milliseconds', (context) => {
    using host = testNamespace();
    const times = Array.from({ length: 8 }, (_, number) => {
      using pod = testNamespace();
      const { index, time } = addPodInterface(host, pod, number + 1);
      assert.equal(findLink(host.socket, index)?.carrier, true);
      assert.deepEqual(
        listRoutes(host.socket, { protocol: 99 })
          .map((route) => route.destination.ip)
          .toSorted(),
        [`10.244.0.${number + 1}`, `fd00::${number + 1}`],
      );
      deleteLink(host.socket, index);
      return time;
    });
    context.diagnostic(`ms: ${times.map((time) => time.toFixed(2)).join(' ')}`);
    assert.ok(Math.min(...times) < 50, 'the machine may be slow, but not that slow');
  });
});
