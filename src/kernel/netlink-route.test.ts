// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { beforeEach, afterEach, describe, it } from 'node:test';
import { cidr, ip } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { AddressFlag, putAddress } from './netlink-address.ts';
import { changeLink, createVeth, findLink } from './netlink-link.ts';
import { deleteRoute, listRoutes, lookUpRoute, putRoute, RouteType } from './netlink-route.ts';
import type { NewRoute } from './netlink-route.ts';
import { netnsMissing } from './testdata/harness.ts';
import { testNamespace } from './testdata/netlink-testbed.ts';
import type { TestNamespace } from './testdata/netlink-testbed.ts';

const ours = 99;

describe('routes', { skip: netnsMissing }, () => {
  let host: TestNamespace;
  let link = 0;

  beforeEach(() => {
    host = testNamespace();
    createVeth(host.socket, { name: 'a', up: true, peer: { name: 'b' } });
    changeLink(host.socket, findLink(host.socket, 'b')?.index ?? 0, { up: true });
    changeLink(host.socket, 1, { up: true });
    link = findLink(host.socket, 'a')?.index ?? 0;
    putAddress(host.socket, { link, ip: ip('192.168.7.1'), bits: 24 });
    putAddress(host.socket, { link, ip: ip('fd07::1'), bits: 64, flags: AddressFlag.noDuplicateDetection });
  });
  afterEach(() => host[Symbol.dispose]());

  const cases = (): readonly (readonly [string, NewRoute, readonly string[]])[] => [
    ['on the link', { destination: cidr('10.244.0.5/32'), link, protocol: ours }, ['10.244.0.5', 'dev a', 'scope link']],
    ['IPv6 on the link', { destination: cidr('fd00::5/128'), link, protocol: ours }, ['fd00::5', 'dev a']],
    [
      'by a gateway',
      { destination: cidr('10.244.1.0/24'), gateway: ip('192.168.7.2'), source: ip('192.168.7.1'), mtu: 1400, protocol: ours },
      ['10.244.1.0/24 via 192.168.7.2', 'src 192.168.7.1', 'mtu 1400'],
    ],
    [
      'IPv6 by a gateway',
      { destination: cidr('fd00:1::/64'), gateway: ip('fd07::2'), priority: 55, protocol: ours },
      ['fd00:1::/64 via fd07::2', 'metric 55'],
    ],
    [
      'by a gateway outside the subnet',
      { destination: cidr('0.0.0.0/0'), gateway: ip('169.254.0.1'), link, onlink: true, protocol: ours },
      ['default via 169.254.0.1', 'onlink'],
    ],
    [
      'IPv4 by an IPv6 gateway',
      { destination: cidr('10.244.2.0/24'), gateway: ip('fe80::2'), link, protocol: ours },
      ['10.244.2.0/24 via inet6 fe80::2'],
    ],
    ['in a table of its own', { destination: cidr('10.244.3.0/24'), link, table: 2005, protocol: ours }, ['10.244.3.0/24', 'table 2005']],
    ['to nowhere', { destination: cidr('10.244.4.0/24'), type: RouteType.unreachable, protocol: ours }, ['unreachable 10.244.4.0/24']],
    [
      'to nowhere without a word',
      { destination: cidr('10.244.5.0/24'), type: RouteType.blackhole, protocol: ours },
      ['blackhole 10.244.5.0/24'],
    ],
    [
      'to this host',
      { destination: cidr('10.244.6.0/24'), type: RouteType.local, link: 1, table: 2005, protocol: ours },
      ['local 10.244.6.0/24 dev lo', 'scope host'],
    ],
  ];

  it('are put, listed, put again and deleted, whatever their shape', () => {
    for (const [name, route, words] of cases()) {
      putRoute(host.socket, route);
      putRoute(host.socket, route);
      const family = route.destination.ip.includes(':') ? '-6' : '-4';
      const shown = host.run('ip', family, 'route', 'show', 'table', 'all', 'proto', String(ours));
      for (const word of words) assert.ok(shown.includes(word), `${name}: wanted '${word}' in ${shown}`);
      const listed = listRoutes(host.socket, { protocol: ours });
      assert.equal(listed.length, 1, name);
      for (const [field, value] of Object.entries(route))
        assert.deepEqual(listed[0]?.[field as keyof NewRoute], value, `${name}: ${field}`); // as: keys of the literal above
      assert.equal(deleteRoute(host.socket, route), true, name);
      assert.equal(deleteRoute(host.socket, route), false, name);
      assert.deepEqual(listRoutes(host.socket, { protocol: ours }), [], name);
    }
  });

  it('are replaced by destination', () => {
    putRoute(host.socket, { destination: cidr('10.244.1.0/24'), gateway: ip('192.168.7.2'), protocol: ours });
    putRoute(host.socket, { destination: cidr('10.244.1.0/24'), gateway: ip('192.168.7.3'), protocol: ours });
    assert.deepEqual(
      listRoutes(host.socket, { protocol: ours }).map((route) => route.gateway),
      ['192.168.7.3'],
    );
  });

  it('are filtered by family, table, protocol and link', () => {
    putRoute(host.socket, { destination: cidr('10.1.0.0/16'), link, protocol: ours, table: 100 });
    putRoute(host.socket, { destination: cidr('10.2.0.0/16'), link, protocol: ours });
    putRoute(host.socket, { destination: cidr('fd02::/64'), link, protocol: 98 });
    const destinations = (filter: Parameters<typeof listRoutes>[1]): string[] =>
      listRoutes(host.socket, filter).map((route) => route.destination.ip);
    assert.deepEqual(destinations({ table: 100 }), ['10.1.0.0']);
    assert.deepEqual(destinations({ protocol: ours }).toSorted(), ['10.1.0.0', '10.2.0.0']);
    assert.deepEqual(destinations({ protocol: 98, family: 6 }), ['fd02::']);
    assert.deepEqual(destinations({ protocol: 98, family: 4 }), []);
    assert.deepEqual(destinations({ protocol: ours, link: 1 }), []);
    assert.deepEqual(destinations({ table: 4321 }), []);
  });

  it('are looked up as packets would find them', () => {
    putRoute(host.socket, { destination: cidr('10.244.1.0/24'), gateway: ip('192.168.7.2') });
    putRoute(host.socket, { destination: cidr('10.244.4.0/24'), type: RouteType.unreachable });
    const found = lookUpRoute(host.socket, ip('10.244.1.77'));
    assert.deepEqual([found?.link, found?.gateway, found?.source], [link, '192.168.7.2', '192.168.7.1']);
    assert.equal(lookUpRoute(host.socket, ip('fd07::9'))?.link, link);
    assert.equal(lookUpRoute(host.socket, ip('10.244.4.1')), undefined);
    assert.equal(lookUpRoute(host.socket, ip('203.0.113.1')), undefined);
  });

  it('say which route the kernel refused, and its words', () => {
    const route = { destination: cidr('10.244.1.0/24'), gateway: ip('203.0.113.1') };
    assert.throws(
      () => putRoute(host.socket, route),
      (error) =>
        isKernelError(error, 'ENETUNREACH') &&
        /RTM_NEWROUTE 10\.244\.1\.0\/24 via 203\.0\.113\.1.*Nexthop has invalid gateway/.test(error.message),
    );
  });

  it('with several next hops are listed with all of their interfaces, in both families', () => {
    const hops = (...gateways: readonly string[]) => gateways.flatMap((gateway) => ['nexthop', 'via', gateway, 'dev', 'a', 'onlink']);
    host.run('ip', 'route', 'add', '10.9.0.0/16', ...hops('192.168.7.2'), 'nexthop', 'dev', 'b');
    host.run('ip', '-6', 'route', 'add', 'fd09::/64', ...hops('fd07::2', 'fd07::3'));
    const linksOf = (text: string) =>
      listRoutes(host.socket)
        .filter(({ destination }) => destination.ip === ip(text))
        .map(({ link: one, links }) => [one, links]);
    assert.deepEqual(linksOf('10.9.0.0'), [[undefined, [link, findLink(host.socket, 'b')?.index]]]);
    assert.deepEqual(linksOf('fd09::'), [[undefined, [link, link]]]);
    assert.deepEqual(linksOf('192.168.7.0'), [[link, [link]]]);
  });
});
