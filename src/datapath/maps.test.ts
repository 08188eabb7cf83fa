// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EntryErrors } from '../base/ledger.ts';
import { ip } from '../base/ip.ts';
import { isKernelError } from '../kernel/errors.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { mapEntry, mapKinds, mapTarget } from './maps.ts';

const kind = mapKinds.lbAddresses;
const entries = ['10.96.0.1', '10.96.0.2', '10.96.0.3'].map((address) => mapEntry(kind, ip(address), { flags: 1 }));

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
