// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { randomFrom, seedOfRun } from '../base/random.ts';
import { beatName, helloFrames, helloOf, helloPart } from './hello.ts';
import type { Hello } from './hello.ts';

const mac = parseMac('02:00:00:00:00:01') ?? assert.fail();

function hello(claims: number): Hello {
  return {
    node: 'node1',
    uid: '0d9f5c1e-5a0c-4c58-9a53-0f6c2a1b7e11',
    instance: 7,
    interfaces: [{ name: 'eth0', index: 2, mac, prefixes: ['192.168.0.0/24'], fault: undefined }],
    claims: Array.from({ length: claims }, (_, i) => ({ ip: ip(`10.${i >> 8}.${i & 255}.${(i * 37) & 255}`), epoch: i * 7919, level: 2 })),
    sights: [{ ip: ip('192.168.0.220'), found: true }],
    cedes: [{ ip: ip('192.168.0.221'), why: 'is not found there' }],
    asks: false,
  };
}

const sent = (words: Hello) => helloFrames(words, mac, { interfaceIndex: 2, serial: 9 });

describe('a hello', () => {
  for (const claims of [0, 1, 5000])
    it(`of ${claims} claims comes out as it went in, in frames that every segment carries`, () => {
      const words = hello(claims);
      const parts = sent(words).map((frame) => {
        assert.ok(frame.length <= 1514);
        return helloPart(frame) ?? assert.fail('no part');
      });
      assert.deepEqual(new Set(parts.map(({ node, interfaceIndex, serial }) => `${node} ${interfaceIndex} ${serial}`)).size, 1);
      assert.deepEqual(helloOf(Buffer.concat(parts.map(({ bytes }) => bytes))), words);
    });

  it('that is cut, changed or not ours is not believed, and harms nobody', () => {
    const random = randomFrom(seedOfRun());
    const [frame = assert.fail()] = sent(hello(3));
    const believed = (bytes: Buffer) => {
      const part = helloPart(bytes);
      return part && helloOf(part.bytes);
    };
    assert.ok(believed(frame));
    for (let tries = 0; tries < 2000; tries++) {
      const broken = Buffer.from(frame.subarray(0, random.below(frame.length + 1)));
      if (broken.length > 0) broken[random.below(broken.length)] = random.below(256);
      const found = believed(broken);
      assert.ok(found === undefined || Array.isArray(found.claims));
    }
    assert.equal(believed(Buffer.alloc(60)), undefined);
  });

  it('names nodes in beats by numbers that a float holds', () => {
    const names = new Set(Array.from({ length: 10_000 }, (_, i) => beatName(`uid-${i}`)));
    assert.equal(names.size, 10_000);
    for (const name of names) assert.ok(Number.isSafeInteger(name) && name >= 0);
  });
});
