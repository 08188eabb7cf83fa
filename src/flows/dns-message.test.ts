// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from 'dns-packet';
import type { Packet } from 'dns-packet';
import { randomFrom } from '../base/random.ts';
import { dnsMessage } from './dns-message.ts';

const query: Packet = { type: 'query', id: 4711, flags: 256, questions: [{ type: 'A', name: 'Web.shop.svc.cluster.local' }] };
const answer: Packet = {
  ...query,
  type: 'response',
  answers: [
    { type: 'CNAME', name: 'web.shop.svc.cluster.local', ttl: 30, data: 'cart.example' },
    { type: 'A', name: 'cart.example', ttl: 5, data: '192.0.2.1' },
    { type: 'AAAA', name: 'cart.example', ttl: 60, data: '2001:db8::1' },
    { type: 'TXT', name: 'cart.example', ttl: 60, data: 'hello' },
  ],
};

/** A question for a name of these labels, whose end is at offset 12 + their length. */
function asking(...labels: readonly (string | Buffer)[]): Buffer {
  const header = Buffer.from('126701000001000000000000', 'hex');
  const parts = labels.flatMap((label) => [Buffer.from([Buffer.byteLength(label)]), Buffer.from(label)]);
  return Buffer.concat([header, ...parts, Buffer.from([0, 0, 1, 0, 1])]);
}

describe('a DNS message', () => {
  it('is a question', () => {
    assert.deepEqual(dnsMessage(encode(query)), {
      id: 4711,
      response: false,
      rcode: 0,
      name: 'web.shop.svc.cluster.local.',
      type: 'A',
      answers: [],
    });
  });

  it('is an answer with addresses and names', () => {
    assert.deepEqual(dnsMessage(encode(answer))?.answers, [
      { type: 'CNAME', ttl: 30, target: 'cart.example.' },
      { type: 'A', ttl: 5, address: '192.0.2.1' },
      { type: 'AAAA', ttl: 60, address: '2001:db8::1' },
      { type: 'TXT', ttl: 60 },
    ]);
  });

  it('is known by as much of it as there is', () => {
    const bytes = encode(answer);
    const lengths = Array.from({ length: bytes.length }, (_, length) => dnsMessage(bytes.subarray(0, length))?.answers.length ?? -1);
    assert.deepEqual([...new Set(lengths)], [-1, 0, 1, 2, 3], 'more with every whole record, and nothing that is not there');
    assert.deepEqual(
      lengths,
      lengths.toSorted((a, b) => a - b),
    );
  });

  it('says why there is no answer', () => {
    const bytes = encode({ ...query, type: 'response' });
    bytes.writeUInt16BE(bytes.readUInt16BE(2) | 3, 2);
    const message = dnsMessage(bytes);
    assert.deepEqual([message?.rcode, message?.answers], [3, []]);
  });

  it('has a type without a name as a number, and the root as a dot', () => {
    const bytes = asking();
    bytes.writeUInt16BE(4000, bytes.length - 4);
    const message = dnsMessage(bytes);
    assert.deepEqual([message?.name, message?.type], ['.', 'TYPE4000']);
  });

  it('shows labels that would be taken for something else as zone files do', () => {
    assert.equal(dnsMessage(asking('a.b', Buffer.from([7, 0x1b]), 'c d"'))?.name, String.raw`a\.b.\007\027.c\032d\".`);
  });

  for (const [what, bytes] of [
    ['too short for a header', Buffer.alloc(11)],
    ['without a question', encode({ type: 'query', id: 1 })],
    ['with two questions', encode({ ...query, questions: [...(query.questions ?? []), { type: 'AAAA', name: 'b' }] })],
    ['of another opcode', encode({ ...query, flags: 5 << 11 })],
    ['whose name is too long', asking(...Array.from({ length: 5 }, () => 'x'.repeat(60)))],
    ['whose label is longer than what is there', Buffer.concat([asking().subarray(0, 12), Buffer.from([60, 97])])],
    ['whose label has a length that is none', Buffer.concat([asking().subarray(0, 12), Buffer.from([0x80, 97, 0, 0, 1, 0, 1])])],
    ['whose name points at itself', Buffer.concat([asking().subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])],
    ['whose name points ahead', Buffer.concat([asking().subarray(0, 12), Buffer.from([0xc0, 20, 0, 1, 0, 1, 0, 0, 0, 0])])],
    ['whose name points past the end', Buffer.concat([asking().subarray(0, 12), Buffer.from([0xff, 0xff, 0, 1, 0, 1])])],
  ] as const)
    it(`${what} is none`, () => assert.equal(dnsMessage(bytes), undefined));

  it('of random bytes, and one that is damaged at random, ends and throws nothing', () => {
    const { below } = randomFrom(53);
    const whole = encode(answer);
    let understood = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = i % 2 ? Buffer.from(whole) : Buffer.from(Array.from({ length: below(80) }, () => below(256)));
      for (let hits = below(6); hits > 0 && bytes.length > 0; hits--) bytes[below(bytes.length)] = below(256);
      const message = dnsMessage(bytes.subarray(0, i % 3 ? bytes.length : below(bytes.length + 1)));
      if (message === undefined) continue;
      understood++;
      assert.ok(message.name.length <= 4 * 255 && message.answers.length <= 64);
      assert.match(message.name, /^[!-~]+$/);
    }
    assert.ok(understood > 1000, 'else nothing was tested');
  });
});
