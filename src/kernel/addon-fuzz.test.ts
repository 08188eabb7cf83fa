// SPDX-License-Identifier: Apache-2.0
// Random misuse: any function with any handle, buffer and number. A crash takes this process down; under `npm run sanitize` a byte read or
// written where it should not be does so too. SEED=... repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { randomFrom, seedOfRun } from '../base/random.ts';
import { native } from './addon.ts';
import type { Addon } from './addon.ts';
import { MapType } from './map.ts';
import { bpfMissing, compiled, netnsMissing, temporaryNetns } from './testdata/harness.ts';

const CALLS = 4000;

/** Not what would leave this process: pins, namespaces, attachments; nor what waits. Those have cases of their own. */
const FUNCTIONS = `
  describeErrno close isClosed descriptor mapCreate mapInfo mapValueBytes mapLookup mapUpdate mapDelete mapTake
  mapUpdateBatch mapDeleteBatch mapRead mapFreeze mapOpenById objectMaps objectPrograms objectSetData objectSetMaxEntries
  objectReuseMap objectSetAutoload objectMap objectProgram programInfo programTestRun programOpenById linkInfo
  linkOpenById ringOpen ringDrain ringUsedBytes socketOpen socketSend socketReceive
`
  .trim()
  .split(/\s+/) as readonly (keyof Addon)[]; // as: the test looks

// unknown: handing over the wrong thing is the point, so the types of Addon must not stop us.
const misused = () => native() as unknown as Record<keyof Addon, (...values: readonly unknown[]) => unknown>;

const creation = (type: number, keySize: number, valueSize: number, maxEntries: number) => ({
  name: 't_fuzz',
  type,
  keySize,
  valueSize,
  maxEntries,
  flags: 0,
});

async function handles(netns: string): Promise<readonly unknown[]> {
  const addon = native();
  const loaded = addon.objectOpen(compiled('handles'));
  await addon.objectLoad(loaded);
  const maps = [
    creation(MapType.hash, 4, 4, 8),
    creation(MapType.array, 4, 40, 3),
    creation(MapType.perCpuArray, 4, 12, 2),
    creation(MapType.lpmTrie, 8, 1, 8),
  ].map((of) => addon.mapCreate(of.type === MapType.lpmTrie ? { ...of, flags: 1 } : of)); // 1: BPF_F_NO_PREALLOC
  const ring = addon.mapCreate(creation(MapType.ringBuffer, 0, 0, 4096));
  return [
    ...maps,
    ring,
    addon.ringOpen(ring),
    addon.objectOpen(compiled('handles')),
    loaded,
    addon.objectProgram(loaded, 'another_verdict'),
    addon.socketOpen(0, [], 4096, netns),
  ];
}

test('random calls end in a value or an error', { skip: bpfMissing || netnsMissing }, async (context) => {
  assert.deepEqual(
    FUNCTIONS.filter((name) => typeof native()[name] !== 'function'),
    [],
  );
  const seed = seedOfRun();
  context.diagnostic(`SEED=${seed}`);
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T; // as: never out of range
  using netns = temporaryNetns();
  let pool = await handles(netns.path);
  const numbers = [0, 1, 2, 3, 7, 8, 64, 4095, 4096, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -1, 0.5, Number.NaN];
  const buffer = (): unknown => {
    const whole = new Uint8Array(pick([0, 1, 3, 4, 5, 8, 12, 40, 64, 4096]));
    return whole.subarray(pick([0, 0, 1, 3]));
  };
  const argument = (): unknown =>
    pick<() => unknown>([
      ...Array.from({ length: 4 }, () => buffer),
      () => pick(numbers),
      () => pick(['t_hash', '.rodata', 'emit_records', '', 'a\0b', 'x'.repeat(5000)]),
      () => pick([undefined, null, true, [], {}, Symbol('x'), 1n, () => {}]),
      () => ({ data: buffer(), dataOut: buffer(), context: buffer(), contextOut: buffer(), repeat: pick([0, 1, 2]) }),
      () => creation(pick([1, 2, 6, 11, 27, 99]), pick([0, 1, 4, 8, 4096]), pick([0, 1, 8, 4096]), pick([0, 1, 7, 4096])),
    ])();
  const ended = { values: 0, errors: 0 };
  for (let i = 0; i < CALLS; i++) {
    const name = pick(FUNCTIONS);
    const given = [random.chance(0.9) ? pick(pool) : argument(), argument(), argument(), argument()].slice(0, 1 + random.below(4));
    if (name === 'close' && random.chance(0.9)) continue; // leave something open
    try {
      misused()[name](...given);
      ended.values++;
    } catch (error) {
      assert.ok(error instanceof Error, `${name}(${inspect(given)}) threw ${String(error)}`);
      ended.errors++;
    }
    if (i % 500 === 499) pool = [...pool.slice(0, 5), ...(await handles(netns.path))]; // some of them closed or frozen
  }
  context.diagnostic(inspect(ended));
  assert.ok(ended.values > CALLS / 50 && ended.errors > CALLS / 50, `Wanted a mixture, had ${inspect(ended)}`);
});
