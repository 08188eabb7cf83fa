// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { convert, piecesBetween } from './conversion.ts';
import type { IntegerLayout, Layout } from './layout.ts';

const integer = (size: number, bigEndian = false): IntegerLayout => ({
  kind: 'integer',
  size,
  signed: false,
  bool: false,
  char: false,
  bigEndian,
  typedef: bigEndian ? `__be${size * 8}` : '',
});

/** Fields one after the other, without padding. */
function struct(name: string, fields: Readonly<Record<string, Layout>>): Layout {
  let size = 0;
  const placed = Object.entries(fields).map(([field, layout]) => ({ name: field, offset: (size += layout.size) - layout.size, layout }));
  return { kind: 'struct', name, size, fields: placed };
}

const address: Layout = struct('address', { word: { kind: 'array', size: 16, length: 4, element: integer(4, true) } });

const cases: readonly [what: string, from: Layout, to: Layout, bytes: string, wanted: string][] = [
  [
    'the same',
    struct('a', { x: integer(4), y: integer(2) }),
    struct('a', { x: integer(4), y: integer(2) }),
    '010203040506',
    '010203040506',
  ],
  ['a new field is zero', struct('a', { x: integer(2) }), struct('a', { x: integer(2), y: integer(4) }), '0102', '010200000000'],
  ['a field that is gone', struct('a', { x: integer(2), y: integer(2) }), struct('a', { y: integer(2) }), '01020304', '0304'],
  ['another order', struct('a', { x: integer(1), y: integer(2) }), struct('a', { y: integer(2), x: integer(1) }), '010203', '020301'],
  ['a wider number', struct('a', { x: integer(2), y: integer(1) }), struct('a', { x: integer(4), y: integer(1) }), '010203', '0102000003'],
  ['a narrower number says nothing', struct('a', { x: integer(4) }), struct('a', { x: integer(2) }), '01020304', '0000'],
  ['another byte order says nothing', struct('a', { x: integer(2, true) }), struct('a', { x: integer(2) }), '0102', '0000'],
  ['a number without a struct', integer(4), integer(4), '01020304', '01020304'],
  [
    'structs and arrays inside',
    struct('a', { x: integer(1), address }),
    struct('a', { address, z: integer(2), x: integer(1) }),
    `07${'0102030405060708090a0b0c0d0e0f10'}`,
    `${'0102030405060708090a0b0c0d0e0f10'}000007`,
  ],
];
for (const [what, from, to, bytes, wanted] of cases)
  test(`a conversion keeps what has the same name: ${what}`, () => {
    const out = Buffer.alloc(to.size);
    convert(piecesBetween(from, to), { bytes: Buffer.from(bytes, 'hex'), at: 0 }, { bytes: out, at: 0 });
    assert.equal(out.toString('hex'), wanted);
  });

test('neighbours go as one piece', () => {
  const from = struct('a', { x: integer(4), y: integer(4), z: integer(1) });
  const to = struct('a', { w: integer(4), x: integer(4), y: integer(4), z: integer(1) });
  assert.deepEqual(piecesBetween(from, to), [{ from: 0, to: 4, size: 9 }]);
});
