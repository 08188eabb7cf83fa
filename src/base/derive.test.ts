// SPDX-License-Identifier: Apache-2.0
// What a derivation keeps true about its table: rows in, rows out.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { derive, from, late } from './derive.ts';
import type { Derivation } from './derive.ts';
import { problem, problemBook } from './problem.ts';
import type { ProblemBook } from './problem.ts';
import { randomFrom, seedOfRun } from './random.ts';
import { table } from './table.ts';
import type { Table, Writer } from './table.ts';

type Wants = Readonly<Record<string, string>>;
type Claims = {
  readonly wants: Writer<string, Wants>;
  readonly rows: Table<string, string>;
  readonly book: ProblemBook;
  readonly derivation: Derivation;
};

/** Each input wants rows under some keys; a row's value names its owner. Value '!' is bad input. */
function claims(disputed: boolean): Claims {
  const inputs = table<string, Wants>('inputs');
  const rows = table<string, string>('rows');
  const book = problemBook();
  const derivation = derive<string, string, string>({
    name: 'claims',
    inputs: [from(inputs)],
    out: rows.writer('claims'),
    problems: book,
    *compute(key) {
      for (const [want, value] of Object.entries(inputs.get(key) ?? {})) {
        if (value === '!')
          yield problem({ object: `Input ${key}`, reason: 'BadValue', message: `${want} is bad`, advice: 'Write another' });
        else yield [want, `${key}=${value}`];
      }
    },
    ...(disputed && {
      conflict: (key, winner, loser) =>
        problem({ object: `Input ${loser}`, reason: 'Taken', message: `${winner} has ${key}`, advice: 'Take another' }),
    }),
  });
  return { wants: inputs.writer('test'), rows, book, derivation };
}

const rowsOf = (rows: Table<string, string>) => Object.fromEntries(rows.entries());
const messages = (book: ProblemBook) => [...book.table.entries()].map(([, row]) => `${row.object}: ${row.message}`).toSorted();

test('what an input yielded before and does not yield now is withdrawn', () => {
  const { wants, rows, derivation } = claims(false);
  wants.put('a', { x: '1', y: '1' });
  derivation.run();
  wants.put('a', { y: '2' });
  derivation.run();
  assert.deepEqual(rowsOf(rows), { y: 'a=2' });
  wants.delete('a');
  derivation.run();
  assert.equal(rows.size, 0);
});

test('invariant 2: bad input makes a Problem row, the rest of the rows are there, and the Problem ends with its cause', () => {
  const { wants, rows, book, derivation } = claims(false);
  wants.put('a', { x: '1', y: '!' });
  derivation.run();
  assert.deepEqual(rowsOf(rows), { x: 'a=1' });
  assert.deepEqual(messages(book), ['Input a: y is bad']);
  wants.put('a', { x: '1', y: '2' });
  derivation.run();
  assert.deepEqual(messages(book), []);
});

test('invariant 2: the same inputs in the same order give the same rows, however they are sliced', () => {
  const whole = claims(false);
  const sliced = claims(false);
  for (const { wants } of [whole, sliced]) for (let i = 0; i < 50; i++) wants.put(`k${i}`, { [`x${i % 7}`]: `${i}`, own: `${i}` });
  whole.derivation.run();
  for (let turns = 0; sliced.derivation.pending > 0; turns++) {
    assert.ok(turns < 50, 'each run makes progress');
    sliced.derivation.run(3);
  }
  assert.deepEqual(rowsOf(sliced.rows), rowsOf(whole.rows));
});

test('of two inputs that want one row the first keeps it, the second has a Problem, and gets it when the first lets go', () => {
  const { wants, rows, book, derivation } = claims(true);
  wants.put('a', { vip: '1' });
  wants.put('b', { vip: '2' });
  wants.put('c', { vip: '3' });
  derivation.run();
  assert.deepEqual(rowsOf(rows), { vip: 'a=1' });
  assert.deepEqual(messages(book), ['Input b: a has vip', 'Input c: a has vip']);
  wants.delete('a');
  derivation.run();
  assert.deepEqual(rowsOf(rows), { vip: 'b=2' });
  assert.deepEqual(messages(book), ['Input c: b has vip']);
});

test('where somebody is preferred it has the row whoever came first, also once it is preferred no more', () => {
  const ranks = table<string, number>('ranks');
  const writer = ranks.writer('test');
  const rows = table<string, string>('rows');
  const book = problemBook();
  const derivation = derive<string, string, string>({
    name: 'claims',
    inputs: [from(ranks)],
    out: rows.writer('claims'),
    problems: book,
    compute: (key) => (ranks.has(key) ? [['vip', key]] : []),
    prefer: (a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0),
    conflict: (key, winner, loser) =>
      problem({ object: `Input ${loser}`, reason: 'Taken', message: `${winner} has ${key}`, advice: 'Take another' }),
  });
  const settled = () => {
    derivation.run();
    assert.equal(derivation.pending, 0);
    return [rowsOf(rows)['vip'], ...messages(book)];
  };
  writer.put('b', 2);
  assert.deepEqual(settled(), ['b']);
  writer.put('c', 3);
  assert.deepEqual(settled(), ['b', 'Input c: b has vip']);
  writer.put('a', 1);
  assert.deepEqual(settled(), ['a', 'Input b: a has vip', 'Input c: a has vip']);
  writer.put('a', 9);
  assert.deepEqual(settled(), ['b', 'Input a: b has vip', 'Input c: b has vip']);
  writer.delete('b');
  assert.deepEqual(settled(), ['c', 'Input a: c has vip']);
  writer.delete('c');
  assert.deepEqual(settled(), ['a']);
  writer.delete('a');
  assert.deepEqual(settled(), [undefined]);
});

test("a row that is shared is its first owner's, and stays until the last one lets go", () => {
  const { wants, rows, derivation } = claims(false);
  wants.put('a', { x: '1' });
  wants.put('b', { x: '1' });
  derivation.run();
  wants.put('b', { x: '2' });
  derivation.run();
  assert.deepEqual(rowsOf(rows), { x: 'a=1' });
  wants.delete('a');
  derivation.run();
  assert.deepEqual(rowsOf(rows), { x: 'b=2' });
  wants.delete('b');
  derivation.run();
  assert.deepEqual(rowsOf(rows), {});
});

test('who takes over a row counts against the limit of a run, also one that was computed before in the same run', () => {
  const { wants, rows, derivation } = claims(false);
  wants.put('a', { x: '1' });
  wants.put('b', { x: '2' });
  derivation.run();
  wants.put('b', { x: '3' });
  wants.delete('a');
  derivation.run(1); // b, still the second
  assert.deepEqual([rowsOf(rows), derivation.pending], [{ x: 'a=1' }, 1]);
  derivation.run(1); // a lets go
  assert.equal(derivation.pending, 1);
  derivation.run(1); // b again
  assert.deepEqual([rowsOf(rows), derivation.pending], [{ x: 'b=3' }, 0]);
});

test('invariant 3: the table is complete once every input is and nothing is waiting', () => {
  const { wants, rows, derivation } = claims(false);
  for (let i = 0; i < 3; i++) wants.put(`k${i}`, {});
  derivation.run();
  assert.equal(rows.complete, false);
  wants.put('k1', { x: '1' });
  wants.put('k2', { x: '1' });
  wants.complete();
  derivation.run(1);
  assert.equal(rows.complete, false);
  derivation.run(1);
  assert.equal(rows.complete, true);
});

test('a change of a row that an input key is not named after reaches those that it concerned and concerns', () => {
  const slices = table<string, { readonly service: string }>('slices');
  const counts = table<string, number>('counts');
  const writer = slices.writer('test');
  const derivation = derive<string, string, number>({
    name: 'counts',
    inputs: [from(slices, (_key, now, before) => [now, before].flatMap((slice) => (slice ? [slice.service] : [])))],
    out: counts.writer('counts'),
    *compute(service) {
      const count = [...slices.entries()].filter(([, slice]) => slice.service === service).length;
      if (count > 0) yield [service, count];
    },
  });
  writer.put('1', { service: 'x' });
  writer.put('2', { service: 'x' });
  derivation.run();
  writer.put('2', { service: 'y' });
  derivation.run();
  assert.deepEqual(Object.fromEntries(counts.entries()), { x: 1, y: 1 });
});

test('after any history every row is that of one of those who want it now, and none is left over', (context) => {
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  const { wants, rows, derivation } = claims(false);
  const now = new Map<string, Wants>();
  for (let step = 0; step < 2000; step++) {
    const key = `k${random.below(8)}`;
    const want = Object.fromEntries(Array.from({ length: random.below(4) }, () => [`r${random.below(6)}`, `${step}`]));
    now.set(key, want);
    wants.put(key, want);
    derivation.run(random.below(3));
    if (random.chance(0.8)) continue;
    derivation.run();
    const wanted = Map.groupBy(
      [...now].flatMap(([input, rowsOfInput]) => Object.entries(rowsOfInput).map(([row, value]) => ({ row, text: `${input}=${value}` }))),
      (one) => one.row,
    );
    assert.deepEqual(new Set([...rows.entries()].map(([row]) => row)), new Set(wanted.keys()));
    for (const [row, text] of rows.entries())
      assert.ok(
        wanted.get(row)?.some((one) => one.text === text),
        `${row} is ${text}`,
      );
  }
});

test('a whole derivation goes on without an input that is late, and is not complete before it', () => {
  const [needed, more] = [table<string, number>('needed'), table<string, number>('more')];
  const rows = table<string, number>('rows');
  const derivation = derive<string, string, number>({
    name: 'rows',
    whole: true,
    inputs: [from(needed), late(from(more))],
    out: rows.writer('rows'),
    compute: (key) => [[key, needed.get(key) ?? more.get(key) ?? 0]],
  });
  const [first, second] = [needed.writer('test'), more.writer('test')];
  first.put('a', 1);
  derivation.run();
  assert.equal(rows.size, 0);
  first.complete();
  derivation.run();
  assert.deepEqual([[...rows.entries()], rows.complete], [[['a', 1]], false]);
  second.put('b', 2);
  second.complete();
  derivation.run();
  assert.deepEqual([rows.get('b'), rows.complete], [2, true]);
});
