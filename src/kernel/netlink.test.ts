// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, ip, parseMac } from '../base/ip.ts';
import { addressOf, addressRequest } from './netlink-address.ts';
import { linkOf, vethRequest } from './netlink-link.ts';
import { routeOf, routeRequest, RouteType } from './netlink-route.ts';
import type { NewRoute } from './netlink-route.ts';
import { attributesOf, put, structOf, take } from './netlink.ts';

describe('structOf', () => {
  it('lays fields out in order, in the byte order each has', () => {
    const header = structOf({ a: 'u8', pad: 'u8', b: 'be16', c: 'u16', d: 'u16', e: 'u32', f: 's32' });
    const bytes = header.encode({ a: 1, b: 0x0203, c: 0x0504, e: 0x09080706, f: -2 });
    assert.equal(bytes.toString('hex'), '010002030405000006070809feffffff');
    assert.deepEqual(header.decode(bytes), { a: 1, pad: 0, b: 0x0203, c: 0x0504, d: 0, e: 0x09080706, f: -2 });
  });
});

describe('attributes', () => {
  it('carry their length without padding and are padded to four bytes', () => {
    assert.equal(put.text(3, 'lo').toString('hex'), '070003006c6f0000');
    assert.equal(put.u32(4, 1500).toString('hex'), '08000400dc050000');
    assert.equal(put.nested(8, put.u32(2, 1)).toString('hex'), '0c000880080002000100' + '0000');
  });

  it('are absent for undefined values and empty nests', () => {
    assert.equal(Buffer.concat([put.text(3, undefined), put.u32(4, undefined), put.bytes(1, undefined), put.nested(8)]).length, 0);
  });

  it('read back by type, without flag bits', () => {
    const found = attributesOf(Buffer.concat([Buffer.alloc(8), put.text(3, 'lo'), put.nested(8, put.u32(2, 9))]), 8);
    assert.equal(take.text(found, 3), 'lo');
    assert.equal(take.u32(take.nested(found, 8), 2), 9);
    assert.equal(take.u32(found, 77), undefined);
  });

  it('refuse lengths that do not fit', () => {
    for (const hex of ['03000100', '09000100', '0000010000000000'])
      assert.throws(() => attributesOf(Buffer.from(hex, 'hex')), RangeError, hex);
  });
});

describe('requests', () => {
  it('read back as the route they ask for', () => {
    const base = {
      type: RouteType.unicast,
      table: 254,
      protocol: 3,
      scope: 0,
      priority: 0,
      link: undefined,
      gateway: undefined,
      onlink: false,
      source: undefined,
      mtu: undefined,
    } as const;
    const routes: readonly [NewRoute, object][] = [
      [
        { destination: cidr('10.1.0.0/16'), link: 3 },
        { link: 3, scope: 253 },
      ],
      [
        { destination: cidr('0.0.0.0/0'), gateway: ip('169.254.0.1'), link: 2, onlink: true, source: ip('10.0.0.9'), mtu: 1450 },
        { gateway: '169.254.0.1', link: 2, onlink: true, source: '10.0.0.9', mtu: 1450 },
      ],
      [
        { destination: cidr('10.1.2.3/32'), gateway: ip('fe80::1'), link: 2 },
        { gateway: 'fe80::1', link: 2 },
      ],
      [
        { destination: cidr('fd00::/64'), gateway: ip('fe80::1'), link: 2, table: 2005, protocol: 99, priority: 7 },
        { gateway: 'fe80::1', link: 2, table: 2005, protocol: 99, priority: 7 },
      ],
      [{ destination: cidr('10.9.0.0/24'), type: RouteType.unreachable }, { type: 7 }],
      [
        { destination: cidr('10.9.0.1/32'), type: RouteType.local, table: 255, link: 1 },
        { type: 2, table: 255, link: 1, scope: 254 },
      ],
    ];
    for (const [route, differs] of routes) {
      assert.deepEqual(
        routeOf(Buffer.from(routeRequest(route).body)),
        { ...base, destination: route.destination, links: route.link === undefined ? [] : [route.link], ...differs },
        routeRequest(route).what,
      );
    }
  });

  it('read back as the address they ask for', () => {
    for (const [text, bits] of [
      ['10.0.0.1', 32],
      ['fd00::1', 128],
    ] as const) {
      const body = Buffer.from(addressRequest({ link: 5, ip: ip(text), bits, flags: 2 }).body);
      assert.deepEqual(addressOf(body), { link: 5, ip: text, bits, scope: 0, flags: 2 });
    }
  });

  it('put the other end of a veth pair into its own nest', () => {
    const mac = parseMac('02:00:00:00:00:01');
    const { body, what } = vethRequest({ name: 'a', index: 900, mtu: 1400, up: true, peer: { name: 'eth0', ...(mac && { mac }) } }, 42);
    const link = linkOf(Buffer.from(body));
    assert.deepEqual([link.index, link.name, link.mtu, link.kind, link.up, link.mac], [900, 'a', 1400, 'veth', true, undefined]);
    const data = take.nested(take.nested(attributesOf(Buffer.from(body), 16), 18), 2).get(1) ?? Buffer.alloc(0);
    assert.deepEqual([linkOf(data).name, linkOf(data).mac, take.u32(attributesOf(data, 16), 28)], ['eth0', mac, 42]);
    assert.equal(what, 'RTM_NEWLINK of veth pair a and eth0');
  });
});

describe('decoders', () => {
  it('answer any bytes with a row or a RangeError', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
    let state = seed || 1;
    const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
    for (let round = 0; round < 5_000; round++) {
      const bytes = Buffer.from(Array.from({ length: next() % 60 }, () => next() & (next() % 3 === 0 ? 0xff : 0x0f)));
      for (const decode of [linkOf, addressOf, routeOf]) {
        try {
          decode(bytes);
        } catch (error) {
          assert.ok(error instanceof RangeError, `seed ${seed}, round ${round}: ${String(error)}`);
        }
      }
    }
  });
});
