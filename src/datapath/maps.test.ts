// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EntryErrors } from '../base/ledger.ts';
import { reconciler, walk } from '../base/reconcile.ts';
import { table } from '../base/table.ts';
import { ip } from '../base/ip.ts';
import { isKernelError } from '../kernel/errors.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { mapEntry, mapKinds, mapTarget } from './maps.ts';

const kind = mapKinds.lbAddresses;
const guards = [0, 0, 0];
const entries = ['10.96.0.1', '10.96.0.2', '10.96.0.3'].map((address) => mapEntry(kind, ip(address), { flags: 1, guards }));

/** A map that holds two entries, or why there is none. */
function small(): BpfMap | string {
  try {
    return BpfMap.create({
      type: MapType.hash,
      name: 'small',
      keySize: kind.key.size,
      valueSize: kind.value.size,
      maxEntries: 2,
      flags: 0,
    });
  } catch (error) {
    if (isKernelError(error, 'EPERM')) return 'missing capability: bpf(2) is refused with EPERM';
    throw error;
  }
}

const map = small();

test('a full map takes what fits and names the rest, and can be emptied', { skip: typeof map === 'string' && map }, () => {
  if (typeof map === 'string') return;
  const target = mapTarget(kind, map);
  assert.throws(
    () => target.put(entries),
    (error: unknown) => error instanceof EntryErrors && [...error.failures.keys()].join() === '10.96.0.3',
  );
  assert.equal([...target.list()].length, 2);
  void target.remove(entries);
  assert.deepEqual([...target.list()], []);
});

test(
  'a full map goes on taking values for the keys that it has, also behind one that does not fit',
  { skip: typeof map === 'string' && map },
  () => {
    if (typeof map === 'string') return;
    const target = mapTarget(kind, map);
    const [first, second, third] = entries.map(([key, { key: address }]) => [key, { key: address, value: { flags: 7, guards } }] as const);
    if (!first || !second || !third) assert.fail();
    target.put(entries.slice(0, 2));
    assert.throws(
      () => target.put([third, second, first]),
      (error: unknown) => error instanceof EntryErrors && [...error.failures.keys()].join() === '10.96.0.3',
    );
    assert.deepEqual(new Map(target.list()), new Map([first, second]));
    void target.remove([first]);
    target.put([third]);
    assert.deepEqual(new Map(target.list()), new Map([second, third]));
    void target.remove(entries);
  },
);

test(
  'what found no room is written as soon as there is some, and what points at it waits until then',
  { skip: typeof map === 'string' && map },
  () => {
    if (typeof map === 'string') return;
    const [wanted, pointers, written] = [
      table<string, (typeof entries)[number][1]>('wanted'),
      table<string, string>('pointers'),
      new Map<string, string>(),
    ];
    const one = reconciler(wanted, mapTarget(kind, map));
    const points = {
      name: 'pointers',
      list: () => [],
      put: (rows: readonly (readonly [string, string])[]) => rows.forEach(([key, row]) => written.set(key, row)),
      remove: () => undefined,
    };
    const other = reconciler(pointers, points, { waitsFor: (key) => one.trouble(key) });
    const [writer, pointing] = [wanted.writer('test'), pointers.writer('test')];
    for (const [key, row] of entries) {
      writer.put(key, row);
      pointing.put(key, key);
    }
    writer.complete();
    pointing.complete();
    assert.equal(walk([one, other]), false);
    assert.deepEqual([...written.keys()], ['10.96.0.1', '10.96.0.2']);
    assert.deepEqual([[...one.status.refused.keys()], [...map.entries()].length], [['10.96.0.3'], 2]);
    writer.delete('10.96.0.1');
    pointing.delete('10.96.0.1');
    walk([one, other]); // room comes with its end
    assert.equal(walk([one, other]), true);
    assert.deepEqual([...written.keys()], ['10.96.0.1', '10.96.0.2', '10.96.0.3']);
    assert.deepEqual([one.status.refused.size, one.differences()], [0, []]);
  },
);
