// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, cidrAddress, cidrContains, ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { randomFrom } from '../base/random.ts';
import { addressFor, usableSize } from './addresses.ts';

const small = cidr('10.244.1.0/29');

describe('addresses of pods', () => {
  const cases: readonly { name: string; range: string; used: Record<string, string>; last?: string; wanted: string }[] = [
    { name: 'the network address is never handed out', range: '10.244.1.0/24', used: {}, wanted: '10.244.1.1' },
    {
      name: 'the next one after the last is taken',
      range: '10.244.1.0/24',
      used: { '10.244.1.7': 'a' },
      last: '10.244.1.7',
      wanted: '10.244.1.8',
    },
    {
      name: 'one that was given back waits until all others were used',
      range: '10.244.1.0/29',
      used: { '10.244.1.2': 'a' },
      last: '10.244.1.2',
      wanted: '10.244.1.3',
    },
    { name: 'the broadcast address is never handed out', range: '10.244.1.0/29', used: {}, last: '10.244.1.6', wanted: '10.244.1.1' },
    {
      name: 'whoever has one keeps it',
      range: '10.244.1.0/24',
      used: { '10.244.1.9': 'me', '10.244.1.1': 'a' },
      last: '10.244.1.20',
      wanted: '10.244.1.9',
    },
    { name: 'IPv6 begins after the first address', range: 'fd00:10:244:1::/64', used: {}, wanted: 'fd00:10:244:1::1' },
    { name: 'addresses of other ranges do not count', range: '10.244.1.0/24', used: { '10.244.2.1': 'me' }, wanted: '10.244.1.1' },
  ];
  for (const { name, range, used, last, wanted } of cases) {
    it(name, () => {
      const taken = new Map(Object.entries(used).map(([address, owner]) => [ip(address), owner]));
      assert.equal(addressFor('me', cidr(range), taken, last === undefined ? undefined : ip(last)), wanted);
    });
  }

  it('a full range says which one and how many use it', () => {
    const used = new Map(Array.from({ length: 6 }, (_, i) => [cidrAddress(small, BigInt(i + 1)), `pod${i}`] as const));
    assert.deepEqual(addressFor('me', small, used, undefined), {
      kind: 'full',
      message: 'Range is full: all 6 addresses of 10.244.1.0/29 are in use, by 6 pods',
    });
  });

  it('in a random life of pods no address has two owners and none is left unused while somebody waits', (context) => {
    const seed = Date.now() % 100_000;
    context.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const used = new Map<Ip, string>();
    let last: Ip | undefined;
    for (let step = 0; step < 500; step++) {
      const owner = `pod${random.below(12)}`;
      const held = [...used].find(([, who]) => who === owner)?.[0];
      if (held !== undefined && random.chance(0.5)) {
        used.delete(held);
        continue;
      }
      const given = addressFor(owner, small, used, last);
      if (typeof given === 'string') {
        assert.ok(cidrContains(small, given));
        assert.ok(held === undefined || held === given, 'an address that is still valid never moves');
        assert.ok((used.get(given) ?? owner) === owner);
        used.set(given, owner);
        last = given;
      } else assert.equal(used.size, usableSize(small));
    }
  });
});
