// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stopwatch } from './stopwatch.ts';

test('a change is timed from when it is heard until all that follows is derived', () => {
  let now = 1_000;
  const { times, timed, derived } = stopwatch({ monotonic: () => now });
  const written: string[] = [];
  const sink = timed<string>(
    { resource: 'pool' },
    {
      read: (object) => (name) => written.push(`${name} ${object}`),
      forget: (name) => written.push(`no ${name}`),
      complete: () => written.push('complete'),
    },
  );
  const write = sink.read('one');
  now += 20; // as another object of the list is read meanwhile
  write('a');
  sink.forget('b');
  sink.complete();
  now += 30;
  derived();
  derived();
  assert.deepEqual(written, ['a one', 'no b', 'complete']);
  const sums = [...times.samples()].filter(({ suffix }) => suffix === '_sum').map(({ labels, value }) => [labels?.['event'], value]);
  assert.deepEqual(sums, [
    ['upsert', 0.05],
    ['delete', 0.03],
  ]);
});
