// SPDX-License-Identifier: Apache-2.0
// What a reconciler does to its target: the targets are maps in memory that can be told to fail.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { forEachEntry } from './ledger.ts';
import type { Entries, ReconcilerOptions } from './ledger.ts';
import { reconciler, walk, walkUntil } from './reconcile.ts';
import type { Target } from './reconcile.ts';
import { table } from './table.ts';
import type { Writer } from './table.ts';

type Call = { readonly call: 'list' | 'put' | 'remove'; readonly keys: readonly string[] };
/** A target in memory; `next` says what happens to the calls to come: 'fails' before or 'breaks' after doing half of the work. */
type Place = {
  readonly held: Map<string, number>;
  readonly calls: Call[];
  next: ('fails' | 'breaks' | 'works')[];
  readonly target: Target<string, number>;
};

function place(name = 'place', held = new Map<string, number>(), seen: (name: string, call: Call) => void = () => {}): Place {
  const calls: Call[] = [];
  const act = (call: Call['call'], entries: Entries<string, number>, one: (key: string, value: number) => void) => {
    const record = { call, keys: entries.map(([key]) => key) };
    calls.push(record);
    seen(name, record);
    const fate = self.next.shift() ?? 'works';
    if (fate === 'fails') throw new Error(`Cannot ${call}: ENOMEM`);
    for (const [key, value] of fate === 'breaks' ? entries.slice(0, Math.ceil(entries.length / 2)) : entries) one(key, value);
    if (fate === 'breaks') throw new Error(`Cannot ${call} all: EAGAIN`);
  };
  const self: Place = {
    held,
    calls,
    next: [],
    target: {
      name,
      list() {
        act('list', [], () => {});
        return [...held];
      },
      put: (entries) => act('put', entries, (key, value) => held.set(key, value)),
      remove: (entries) => act('remove', entries, (key) => held.delete(key)),
    },
  };
  return self;
}

function setup(held: Record<string, number>, rows: Record<string, number>, options: ReconcilerOptions<number> = {}) {
  const desired = table<string, number>('desired');
  const writer: Writer<string, number> = desired.writer('test');
  for (const [key, row] of Object.entries(rows)) writer.put(key, row);
  const there = place('place', new Map(Object.entries(held)));
  return { writer, there, one: reconciler(desired, there.target, options) };
}

const contents = (there: Place) => Object.fromEntries(there.held);

test('invariant 1: a target has one reconciler', () => {
  const { there } = setup({}, {});
  assert.throws(() => reconciler(table<string, number>('other'), there.target), /Cannot give target place another reconciler/);
});

test('only what differs is written, and once it agrees nothing is', () => {
  const { writer, there, one } = setup({ same: 1, different: 1, extra: 1 }, { same: 1, different: 2, missing: 3 });
  writer.complete();
  assert.equal(walk([one]), true);
  assert.deepEqual(contents(there), { same: 1, different: 2, missing: 3 });
  assert.deepEqual(there.calls, [
    { call: 'list', keys: [] },
    { call: 'put', keys: ['different', 'missing'] },
    { call: 'remove', keys: ['extra'] },
  ]);
  walk([one]);
  assert.equal(there.calls.length, 3);
  assert.equal(one.pending, 0);
});

test('invariant 3: nothing is removed while the table is incomplete, neither what was found nor what the table gave up', () => {
  const { writer, there, one } = setup({ found: 1 }, { mine: 1 });
  walk([one]);
  writer.delete('mine');
  walk([one]);
  assert.deepEqual(contents(there), { found: 1, mine: 1 });
  assert.equal(one.pending, 2);
  writer.complete();
  walk([one]);
  assert.deepEqual(contents(there), {});
  assert.equal(one.pending, 0);
});

test('invariant 3: a withdrawal that is always safe does not wait for the table to be complete', () => {
  const { there, one } = setup({ found: 1 }, { mine: 1 }, { withdrawalsAlwaysSafe: true });
  walk([one]);
  assert.deepEqual(contents(there), { mine: 1 });
});

test('invariant 3: a key that is wanted again before the table is complete is not removed', () => {
  const { writer, there, one } = setup({ found: 1 }, {});
  walk([one]);
  writer.put('found', 1);
  walk([one]);
  writer.complete();
  walk([one]);
  assert.deepEqual(there.calls, [{ call: 'list', keys: [] }]);
});

for (const fate of ['fails', 'breaks'] as const) {
  test(`invariant 4: after a put that ${fate}, all its keys are written again even when the wanted value is the one before`, () => {
    const { writer, there, one } = setup({}, { a: 1, b: 1 });
    writer.complete();
    walk([one]);
    there.next = [fate];
    writer.put('a', 2);
    writer.put('b', 2);
    assert.equal(walk([one]), false);
    writer.put('a', 1);
    writer.delete('b');
    assert.equal(walk([one]), true);
    assert.deepEqual(contents(there), { a: 1 });
    assert.equal(one.pending, 0);
  });

  test(`invariant 4: after a put of new keys that ${fate}, those not wanted any more are removed`, () => {
    const { writer, there, one } = setup({}, { a: 1, b: 1 });
    writer.complete();
    there.next = ['works', fate];
    assert.equal(walk([one]), false);
    writer.delete('a');
    writer.delete('b');
    walk([one]);
    assert.deepEqual(contents(there), {});
  });

  test(`invariant 4: after a removal that ${fate}, a key that is wanted again is written`, () => {
    const { writer, there, one } = setup({}, { a: 1, b: 1 });
    writer.complete();
    walk([one]);
    writer.delete('a');
    writer.delete('b');
    there.next = [fate];
    assert.equal(walk([one]), false);
    writer.put('a', 1);
    walk([one]);
    assert.deepEqual(contents(there), { a: 1 });
  });
}

test('invariant 4: looking at the target again makes what was unsure sure', () => {
  const { writer, there, one } = setup({}, { a: 1, b: 1 });
  writer.complete();
  there.next = ['works', 'breaks'];
  walk([one]);
  one.refresh();
  walk([one]);
  assert.deepEqual(there.calls.at(-1), { call: 'put', keys: ['b'] });
});

test('invariant 4: when a call says which keys are left, only those are unsure', () => {
  const { writer, there, one } = setup({}, { a: 1, b: 1 });
  writer.complete();
  const { put } = there.target;
  const bad = new Set(['b']);
  Object.assign(there.target, {
    put: (entries: Entries<string, number>) =>
      forEachEntry(entries, (key, value) => {
        if (bad.delete(key)) throw new Error('Cannot put b');
        put([[key, value]]);
      }),
  });
  assert.equal(walk([one]), false);
  assert.deepEqual([one.trouble('a'), one.trouble('b')], [undefined, 'Cannot put b']);
  assert.equal(walk([one]), true);
  assert.deepEqual(there.calls.slice(1), [
    { call: 'put', keys: ['a'] },
    { call: 'put', keys: ['b'] },
  ]);
});

test('what somebody else did to the target is repaired after a refresh, also when the target could not be listed at first', () => {
  const { writer, there, one } = setup({}, { a: 1, b: 1 });
  writer.complete();
  walk([one]);
  there.held.set('a', 9).set('stray', 9).delete('b');
  there.next = ['fails'];
  one.refresh();
  assert.equal(walk([one]), false);
  assert.match(one.status.error ?? '', /Cannot list/);
  assert.equal(walk([one]), true);
  assert.deepEqual(contents(there), { a: 1, b: 1 });
  assert.equal(one.status.error, undefined);
});

test('invariant 5: upserts walk the targets in order, deletes backwards', () => {
  const log: string[] = [];
  const made = ['backends', 'services', 'frontends'].map((name) => {
    const desired = table<string, number>(name);
    const writer = desired.writer('test');
    writer.put('new', 1);
    writer.complete();
    return reconciler(desired, place(name, new Map([['old', 1]]), (_, call) => log.push(`${call.call} ${name}`)).target);
  });
  walk(made);
  assert.deepEqual(
    log.filter((line) => !line.startsWith('list')),
    ['put backends', 'put services', 'put frontends', 'remove frontends', 'remove services', 'remove backends'],
  );
});

/** Two targets with something to put and something to remove in each; the second points at the first. */
function pair(log: string[]) {
  const [first, second] = ['first', 'second'].map((name) => {
    const desired = table<string, number>(name);
    const writer = desired.writer('test');
    writer.put('new', 1);
    writer.complete();
    const there = place(name, new Map([['old', 1]]), (_, call) => log.push(`${call.call} ${name}`));
    return { there, one: reconciler(desired, there.target) };
  });
  assert.ok(first && second);
  return { first, second };
}

const failures: readonly (readonly [string, 'first' | 'second', ('works' | 'fails')[], readonly string[]])[] = [
  ['listing the first target', 'first', ['fails'], ['list first']],
  ['putting into the first target', 'first', ['works', 'fails'], ['list first', 'put first']],
  ['listing the second target', 'second', ['fails'], ['list first', 'put first', 'list second']],
  [
    'removing from the second target',
    'second',
    ['works', 'works', 'fails'],
    ['list first', 'put first', 'list second', 'put second', 'remove second'],
  ],
];
for (const [what, where, fates, expected] of failures) {
  test(`invariant 5: a failure in ${what} ends the walk, and the next walk completes it`, () => {
    const log: string[] = [];
    const both = pair(log);
    both[where].there.next = fates;
    const reconcilers = [both.first.one, both.second.one];
    assert.equal(walk(reconcilers), false);
    assert.deepEqual(log, expected);
    assert.equal(walk(reconcilers), true);
    assert.deepEqual([contents(both.first.there), contents(both.second.there)], [{ new: 1 }, { new: 1 }]);
  });
}

test('invariant 5: a walk that is cut short after every step keeps the order and comes to the same end', () => {
  const log: string[] = [];
  const { first, second } = pair(log);
  let walks = 1;
  while (walks < 9 && walkUntil([first.one, second.one], () => true) === 'more') walks++;
  assert.deepEqual(
    log.filter((line) => !line.startsWith('list')),
    ['put first', 'put second', 'remove second', 'remove first'],
  );
  assert.ok(walks > 1 && walks < 9, `${walks} walks`);
});

test('a large table is written in batches, and no key is written twice', () => {
  const { writer, there, one } = setup({}, {});
  for (let i = 0; i < 5000; i++) writer.put(`${i}`, i);
  writer.complete();
  walk([one]);
  assert.equal(there.held.size, 5000);
  const sizes = there.calls.filter(({ call }) => call === 'put').map(({ keys }) => keys.length);
  assert.ok(sizes.length > 1 && Math.max(...sizes) <= 1024);
  assert.equal(
    sizes.reduce((a, b) => a + b),
    5000,
  );
});

test('a walk over keys that all go can be cut short before the first is removed', () => {
  const { writer, there, one } = setup({}, {});
  for (let i = 0; i < 5000; i++) writer.put(`${i}`, i);
  writer.complete();
  walk([one]);
  for (let i = 0; i < 5000; i++) writer.delete(`${i}`);
  assert.equal(
    walkUntil([one], () => true),
    'more',
  );
  assert.equal(there.held.size, 5000);
  let walks = 1;
  while (walks < 20 && walkUntil([one], () => true) === 'more') walks++;
  assert.equal(there.held.size, 0);
});

test('invariant 8: status is beside the rows: what is pending, why a key is in trouble, and how often the target failed', () => {
  const { writer, there, one } = setup({}, { a: 1 });
  assert.equal(one.trouble('a'), 'place has not been reached yet');
  there.next = ['works', 'fails'];
  walk([one]);
  assert.equal(one.trouble('a'), 'Cannot put: ENOMEM');
  assert.equal(one.trouble('b'), undefined);
  assert.deepEqual(one.status, { name: 'place', entries: 1, pending: 1, failures: 1, error: 'Cannot put: ENOMEM', refused: new Map() });
  walk([one]);
  assert.equal(one.trouble('a'), undefined);
  assert.deepEqual(one.status, { name: 'place', entries: 1, pending: 0, failures: 1, error: undefined, refused: new Map() });
  writer.put('a', 2);
  assert.equal(one.pending, 1);
});

test('differences are those between the table and what the target lists now', () => {
  const { writer, there, one } = setup({}, { a: 1, b: 1, c: 1 });
  writer.complete();
  walk([one]);
  there.held.set('b', 2).set('stray', 1).delete('c');
  assert.deepEqual(one.differences(), [
    { target: 'place', key: 'b', kind: 'different' },
    { target: 'place', key: 'c', kind: 'missing' },
    { target: 'place', key: 'stray', kind: 'extra' },
  ]);
});

test('a table that is not complete cannot be compared', () => {
  const { one } = setup({}, {});
  assert.throws(() => one.differences(), /Cannot compare place with table desired, which has not heard from all its sources yet/);
});
