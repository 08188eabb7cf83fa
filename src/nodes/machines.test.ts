// SPDX-License-Identifier: Apache-2.0
// Every kind of machine that the code is meant for: which interfaces it takes, why, whose address pods leave with, and their MTU.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidr, familyOf, ip, parseMac } from '../base/ip.ts';
import { interfaceRows } from '../datapath/network.ts';
import type { NetworkDump } from '../datapath/network.ts';
import { RouteScope, RouteType } from '../kernel/netlink-route.ts';
import { podMtu } from './mtu.ts';
import type { NodeRow } from './node.ts';
import { machines } from './testdata/machines.ts';
import { uplinkReason } from './uplink-reason.ts';
import { uplinksFor } from './uplinks.ts';

const scopes = { link: RouteScope.link, host: RouteScope.host } as const;
const kernelProtocol = 2;

type Line = { readonly name: string; readonly mtu: number; readonly facts: readonly string[]; readonly said: readonly string[] };

function linesOf(text: string): readonly Line[] {
  return text.split('\n').map((line) => {
    const [link = '', ...said] = line.split(' | ').map((part) => part.trim());
    const [name = '', mtu, ...facts] = link.split(' ');
    return { name, mtu: Number(mtu), facts, said };
  });
}

const prefixed = (facts: readonly string[], prefix: string) =>
  facts.filter((fact) => fact.startsWith(prefix)).map((fact) => fact.slice(prefix.length));

/** As the kernel would tell of it: also the routes that addresses bring with them. */
function dumpOf(lines: readonly Line[]): NetworkDump {
  const indexOf = (name: string) => lines.findIndex((line) => line.name === name) + 1;
  const links = lines.map(({ name, mtu, facts }) => ({
    index: indexOf(name),
    name,
    mtu,
    kind: prefixed(facts, 'kind=')[0],
    mac: name === 'lo' || facts.includes('nomac') ? undefined : parseMac('02:00:00:00:00:01'),
    up: !facts.includes('down'),
    carrier: !facts.includes('down'),
    flags: name === 'lo' ? 0x8 : 0, // IFF_LOOPBACK
    master: prefixed(facts, 'in=').map(indexOf)[0],
  }));
  const addresses = lines.flatMap(({ name, facts }) =>
    facts
      .filter((fact) => /^[0-9a-f:.]+\/\d+/.test(fact))
      .map((fact) => {
        const [, text = '', bits, scope] = /^(.*)\/(\d+)(?:@(link|host))?$/.exec(fact) ?? [];
        const known = scope === 'link' || scope === 'host' ? scopes[scope] : RouteScope.universe;
        return { link: indexOf(name), ip: ip(text), bits: Number(bits), scope: known };
      }),
  );
  const route = (link: number, destination: string, more: object = {}) => ({
    destination: cidr(destination),
    type: RouteType.unicast,
    protocol: kernelProtocol,
    gateway: undefined,
    link,
    links: [link],
    ...more,
  });
  const width = (address: string) => (familyOf(ip(address)) === 4 ? 32 : 128);
  const connected = addresses
    .filter(({ ip: address, bits }) => bits < width(address))
    .map(({ link, ip: address, bits }) => route(link, `${address}/${bits}`));
  const told = lines.flatMap(({ name, facts }) => prefixed(facts, 'route=').map((destination) => route(indexOf(name), destination)));
  const having = (fact: string) => lines.filter(({ facts }) => facts.includes(fact)).map(({ name }) => indexOf(name));
  const defaults = [
    ...having('default').map((link) => route(link, '0.0.0.0/0', { gateway: ip('192.0.2.1') })),
    ...having('default6').map((link) => route(link, '::/0', { gateway: ip('fe80::1') })),
  ];
  const hops = having('hop');
  const several = hops.length > 0 ? [route(0, '0.0.0.0/0', { link: undefined, links: hops })] : [];
  return { links, addresses, routes: [...connected, ...told, ...defaults, ...several] };
}

test('there are at least 40 machines', () => assert.ok(machines.length >= 40, String(machines.length)));

for (const { name, node, devices = [], links, mtu } of machines)
  test(name, () => {
    const self: NodeRow | undefined = node.length === 0 ? undefined : { name: 'n', addresses: node.map(ip), podCidrs: [] };
    const lines = linesOf(links);
    const rows = interfaceRows(dumpOf(lines));
    const local = rows.flatMap((row) => row.addresses.map((address) => address.ip));
    const uplinks = rows.flatMap((row) => [...uplinksFor(row, self, { devices, local })].map(([, uplink]) => uplink));
    const said = rows.map((row) => {
      const { uplink, reason } = uplinkReason(row, self, devices);
      const words = `${row.name} | ${uplink ? 'chosen' : 'ignored'} because ${reason}`;
      const as = uplinks.find((one) => one.name === row.name);
      return as ? `${words} | as ${as.ipv4 ?? '-'} ${as.ipv6 ?? '-'}` : words;
    });
    assert.deepEqual(
      said,
      lines.map((line) => [line.name, ...line.said].join(' | ')),
    );
    const pods = podMtu(uplinks, undefined);
    assert.equal(`${pods.mtu} ${pods.reason}`, mtu);
  });
