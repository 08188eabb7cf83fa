// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doctorText } from './doctor.ts';
import { tried } from './finding.ts';

const look = { name: 'kernel', necessary: true, gives: 'everything' };

test('a probe that returns is a tick, one that throws a cross in one line', async () => {
  assert.deepEqual(await tried(look, () => '6.18'), { ...look, ok: true, found: '6.18' });
  const broken = () => Promise.reject(new Error('no\n  such thing'));
  assert.deepEqual(await tried(look, broken), { ...look, ok: false, found: 'no; such thing' });
});

test('what is needed and missing is named at the end, what is only useful is not', () => {
  const kernel = { ...look, ok: false, found: '5.10, wanted 6.6 or later' };
  const tool = { name: 'bpftool', necessary: false, ok: false, found: 'is not in PATH', gives: 'a look by hand' };
  assert.equal(
    doctorText([kernel, tool]),
    '✘ kernel   5.10, wanted 6.6 or later. Needed for everything\n✘ bpftool  is not in PATH. It would give a look by hand\n\nMissing: kernel\n',
  );
  assert.match(
    doctorText([{ ...kernel, ok: true }, tool]),
    /^✔ kernel   5\.10, wanted 6\.6 or later\n[^]*\n\nNothing that is needed is missing\n$/,
  );
});
