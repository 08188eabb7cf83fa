// SPDX-License-Identifier: Apache-2.0
// Addresses against what Node knows of them: net.isIP, net.BlockList and the host part of URLs.

import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { test } from 'node:test';

import * as address from './ip.ts';
import { randomFrom, seedOfRun } from './random.ts';
import type { Random } from './random.ts';

const {
  cidr,
  cidrAddress,
  cidrContains,
  cidrIndex,
  cidrOf,
  cidrSize,
  cidrText,
  ip,
  ipFromBytes,
  ipFromWire,
  ipToBytes,
  ipToWire,
  parseCidr,
  parseIp,
} = address;

const readable: readonly (readonly [string, string])[] = [
  ['10.0.0.1', '10.0.0.1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::ffff:a00:1', '10.0.0.1'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
];
for (const [text, canonical] of readable) {
  test(`'${text}' is ${canonical}`, () => {
    assert.equal(parseIp(text), canonical);
  });
}

const unreadable = [
  '',
  '10.0.0',
  '10.0.0.256',
  '10.0.0.01',
  '10.0.0.1 ',
  '0x0a.0.0.1',
  '1e1.0.0.1',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '::g',
  '::12345',
  ':1',
  '1:',
  'fe80::1%eth0',
  '::1.2.3',
  '::1.2.3.4:1',
  '[::1]',
  '::ffff:10.0.0.256',
];
for (const text of unreadable) {
  test(`'${text}' is no address`, () => {
    assert.equal(isIP(text.replace(/%.*/, '%')), 0);
    assert.equal(parseIp(text), undefined);
    assert.throws(() => ip(text), /wanted IPv4 or IPv6 text/);
  });
}

/** Text that is nearly always an address, with runs of zeroes, both cases, leading zeroes and dotted tails. */
function textFrom(random: Random): string {
  if (random.chance(0.3)) return Array.from({ length: 4 }, () => `${random.below(random.chance(0.05) ? 300 : 256)}`).join('.');
  const groups = Array.from({ length: random.chance(0.05) ? 7 : 8 }, () => (random.chance(0.5) ? '0' : random.below(0x10000).toString(16)));
  const written = groups.map((group) => (random.chance(0.1) ? group.padStart(4, '0') : random.chance(0.1) ? group.toUpperCase() : group));
  if (random.chance(0.2)) written.splice(6, 2, Array.from({ length: 4 }, () => random.below(256)).join('.'));
  if (random.chance(0.4)) {
    const from = random.below(written.length);
    written.splice(from, 1 + random.below(3), '');
    if (from === 0) written.unshift('');
    if (written.at(-1) === '') written.push('');
  }
  return written.join(':');
}

test('whatever the text, it is an address here when it is one for Node, and the same one', (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  let good = 0;
  for (let i = 0; i < 5000; i++) {
    const text = textFrom(random);
    const parsed = parseIp(text);
    assert.equal(parsed !== undefined, isIP(text) !== 0, text);
    if (parsed === undefined) continue;
    good++;
    assert.equal(address.familyOf(parsed), isIP(parsed), text);
    const host = (one: string) => new URL(one.includes(':') ? `http://[${one}]/` : `http://${one}/`).hostname;
    const mapped = isIP(text) === 6 && isIP(parsed) === 4;
    assert.equal(host(text), mapped ? host(`::ffff:${parsed}`) : host(parsed), text);
    if (!mapped) assert.equal(host(parsed).replace(/[[\]]/g, ''), parsed, 'canonical as a URL writes it');
  }
  assert.ok(good > 1000, `${good} addresses`);
});

test("bytes and text of every address are each other's image", (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  for (let i = 0; i < 3000; i++) {
    const bytes = random.bytes(16);
    if (random.chance(0.3)) Buffer.from('00000000000000000000ffff', 'hex').copy(bytes);
    for (let at = 0; at < 16; at += 2) if (at < 10 && random.chance(0.5)) bytes.writeUInt16BE(0, at);
    const text = ipFromBytes(bytes);
    assert.deepEqual(ipToBytes(text), bytes);
    const written = Buffer.alloc(20, 0xee);
    address.writeIp(text, written, 2);
    assert.deepEqual(written, Buffer.concat([Buffer.from([0xee, 0xee]), bytes, Buffer.from([0xee, 0xee])]));
    assert.equal(parseIp(text), text);
    assert.equal(ipFromWire(ipToWire(text)), text);
    assert.equal(ipToWire(text).length, address.familyOf(text) === 4 ? 4 : 16);
    assert.equal(ipFromBytes(Buffer.concat([Buffer.alloc(3), bytes]), 3), text);
  }
});

test('a prefix holds the addresses that Node says it holds', (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  for (let i = 0; i < 1000; i++) {
    const size = random.pick([4, 16]);
    const base = random.bytes(size);
    const bits = random.below(size * 8 + 1);
    const other = random.chance(0.1) ? random.bytes(size) : Buffer.from(base);
    for (let flips = random.below(3); flips > 0; flips--) {
      const at = random.below(size);
      other[at] = (other[at] ?? 0) ^ (1 << random.below(8));
    }
    const [a, b] = [ipFromWire(base), ipFromWire(other)];
    if (address.familyOf(a) !== address.familyOf(b) || ipToWire(a).length !== size) continue;
    const family = size === 4 ? 'ipv4' : 'ipv6';
    const list = new BlockList();
    list.addSubnet(a, bits, family);
    const prefix = cidrOf(a, bits);
    assert.equal(cidrContains(prefix, b), list.check(b, family), `${b} in ${cidrText(prefix)}`);
    assert.deepEqual(parseCidr(`${a}/${bits}`), prefix);
    assert.deepEqual(cidr(cidrText(prefix)), prefix);
    const index = cidrIndex(prefix, b);
    assert.equal(index !== undefined, cidrContains(prefix, b));
    if (index !== undefined) assert.equal(cidrAddress(prefix, index), b);
  }
});

const prefixes: readonly (readonly [string, string | undefined, bigint?])[] = [
  ['10.1.2.3/8', '10.0.0.0/8', 1n << 24n],
  ['0.0.0.0/0', '0.0.0.0/0', 1n << 32n],
  ['255.255.255.255/32', '255.255.255.255/32', 1n],
  ['10.1.2.3', '10.1.2.3/32', 1n],
  ['fd00::1', 'fd00::1/128', 1n],
  ['fd00::ffff/112', 'fd00::/112', 65536n],
  ['::/0', '::/0', 1n << 128n],
  ['10.0.0.0/33', undefined],
  ['fd00::/129', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0/08', undefined],
  ['10.0.0.0/-1', undefined],
  ['10.0.0.0/8/8', undefined],
  ['10.0.0/8', undefined],
  ['::ffff:10.0.0.0/16', undefined],
  ['::ffff:10.0.0.1', '10.0.0.1/32', 1n],
  ['', undefined],
];
for (const [text, canonical, size] of prefixes) {
  test(`'${text}' ${canonical === undefined ? 'is no prefix' : `is prefix ${canonical}`}`, () => {
    const parsed = parseCidr(text);
    assert.equal(parsed && cidrText(parsed), canonical);
    assert.equal(parsed && cidrSize(parsed), size);
  });
}

const outside: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['too few bytes', () => ipFromBytes(Buffer.alloc(16), 1), /Cannot read an address at offset 1 of 16 bytes, wanted 16 bytes/],
  ['five bytes of netlink', () => ipFromWire(Buffer.alloc(5)), /wanted 4 or 16/],
  ['seventeen bytes of netlink', () => ipFromWire(Buffer.alloc(17)), /wanted 4 or 16/],
  ['33 bits of IPv4', () => cidrOf(ip('10.0.0.1'), 33), /Cannot take 33 bits of 10.0.0.1, wanted 0 to 32/],
  ['-1 bits', () => cidrOf(ip('::1'), -1), /wanted 0 to 128/],
  ['an address beyond the prefix', () => cidrAddress(cidr('10.0.0.0/30'), 4n), /Cannot take address 4 of 10.0.0.0\/30, which holds 4/],
  ['text that is no prefix', () => cidr('10.0.0.0/99'), /Cannot read '10.0.0.0\/99' as a prefix/],
  ['port 65536', () => address.port(65536), /Cannot use 65536 as a port/],
  ['port 1.5', () => address.port(1.5), /Cannot use 1.5 as a port/],
  ['five bytes of MAC', () => address.macFromBytes(Buffer.alloc(5)), /wanted 6 bytes/],
];
for (const [what, call, message] of outside) {
  test(`${what}: RangeError`, () => {
    assert.throws(call, (error) => error instanceof RangeError && message.test(error.message));
  });
}

test('a MAC is read in any case and written in lower case, and its bytes are six', () => {
  const mac = address.parseMac('0A:1b:2C:3d:4E:5f');
  assert.equal(mac, '0a:1b:2c:3d:4e:5f');
  assert.ok(mac);
  assert.deepEqual(address.macToBytes(mac), Buffer.from('0a1b2c3d4e5f', 'hex'));
  assert.equal(address.macFromBytes(Buffer.from('ff0a1b2c3d4e5f', 'hex'), 1), mac);
  for (const text of ['', '0a:1b:2c:3d:4e', '0a-1b-2c-3d-4e-5f', '0a:1b:2c:3d:4e:5g', '0a:1b:2c:3d:4e:5f:60'])
    assert.equal(address.parseMac(text), undefined);
});

test('an address with a port has IPv6 in brackets', () => {
  assert.deepEqual([address.addressPort(ip('10.0.0.1'), 80), address.addressPort(ip('fd00::1'), 80)], ['10.0.0.1:80', '[fd00::1]:80']);
});
