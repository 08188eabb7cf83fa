// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, ip, parseMac } from '../base/ip.ts';
import { AddressFlag, deleteAddress, putAddress } from './netlink-address.ts';
import { changeLink, createVeth, deleteLink, findLink } from './netlink-link.ts';
import { monitorNetwork, readChanges } from './netlink-monitor.ts';
import type { NetworkChange } from './netlink-monitor.ts';
import { putNeighbour } from './netlink-neighbour.ts';
import { deleteRoute, putRoute } from './netlink-route.ts';
import { NetlinkSocket } from './socket.ts';
import { eventually, netnsMissing } from './testdata/harness.ts';
import { testNamespace } from './testdata/netlink-testbed.ts';

/** One word for a change: what, about what, whether it went. */
function wordOf(change: NetworkChange): string {
  switch (change.kind) {
    case 'link':
      return `${change.gone ? '-' : '+'}link ${change.link.name}`;
    case 'address':
      return `${change.gone ? '-' : '+'}address ${change.address.ip}`;
    case 'route':
      return `${change.gone ? '-' : '+'}route ${change.route.destination.ip}/${change.route.destination.bits}`;
    case 'neighbour':
      return `${change.gone ? '-' : '+'}neighbour ${change.neighbour.ip}`;
    case 'filter':
      return `${change.gone ? '-' : '+'}filter on ${change.link}`;
    case 'resync':
      return 'resync';
  }
}

describe('the network monitor', { skip: netnsMissing }, () => {
  it('tells of links, addresses, routes and neighbours, and stops when told', async () => {
    using host = testNamespace();
    const heard: string[] = [];
    const ending = new AbortController();
    using end = new DisposableStack();
    end.defer(() => ending.abort()); // also when the test fails: what listens keeps the process
    monitorNetwork({
      kinds: ['link', 'address', 'route', 'neighbour'],
      netns: host.path,
      signal: ending.signal,
      onChanges: (changes) => heard.push(...changes.map(wordOf)),
    });
    createVeth(host.socket, { name: 'a', up: true, peer: { name: 'b' } });
    const link = findLink(host.socket, 'a')?.index ?? 0;
    changeLink(host.socket, findLink(host.socket, 'b')?.index ?? 0, { up: true });
    const mac = parseMac('02:00:00:00:00:09');
    assert.ok(mac !== undefined);
    putAddress(host.socket, { link, ip: ip('10.0.0.1'), bits: 24 });
    putAddress(host.socket, { link, ip: ip('fd00::1'), bits: 64, flags: AddressFlag.noDuplicateDetection });
    putRoute(host.socket, { destination: cidr('10.9.0.0/16'), link });
    putNeighbour(host.socket, { link, ip: ip('10.0.0.9'), mac });
    deleteRoute(host.socket, { destination: cidr('10.9.0.0/16'), link });
    deleteAddress(host.socket, { link, ip: ip('10.0.0.1'), bits: 24 });
    deleteLink(host.socket, link);
    const wanted = [
      '+link a',
      '+address 10.0.0.1',
      '+address fd00::1',
      '+route 10.9.0.0/16',
      '+neighbour 10.0.0.9',
      '-route 10.9.0.0/16',
      '-address 10.0.0.1',
      '-link a',
    ];
    await eventually('everything was heard', () => wanted.every((word) => heard.includes(word)));
    ending.abort();
    const count = heard.length;
    createVeth(host.socket, { name: 'c', peer: { name: 'd' } });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(heard.length, count);
  });

  it('says resync when the kernel had to drop messages, and goes on', () => {
    using host = testNamespace();
    using listener = NetlinkSocket.open({ netns: host.path, groups: [7], receiveBufferBytes: 4096 });
    for (let third = 0; third < 200; third++) putRoute(host.socket, { destination: cidr(`10.1.${third}.0/24`), type: 6 });
    const words: string[] = [];
    for (let batch = readChanges(listener); batch.length > 0; batch = readChanges(listener)) words.push(...batch.map(wordOf));
    assert.ok(words.includes('resync'));
    putRoute(host.socket, { destination: cidr('10.2.0.0/16'), type: 6 });
    assert.deepEqual(readChanges(listener).map(wordOf), ['+route 10.2.0.0/16']);
  });
});
