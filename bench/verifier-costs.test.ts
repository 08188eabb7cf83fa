// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VERIFIED_BUDGET, complaintsAbout, recordWith } from './verifier-costs.ts';
import type { Cost, Found } from './verifier-costs.ts';

const cost: Cost = { verifiedInstructions: 1000, translatedBytes: 1000, jitedBytes: 1000, stackFrames: [100, 40] };
const found = (change: Partial<Cost> = {}, more: Partial<Found> = {}): Found => ({
  compiled: { pod: 1000 },
  kernel: '6.18',
  costs: { pod_from: { ...cost, ...change } },
  ...more,
});
const record = { compiled: { pod: 1000 }, kernels: { '6.18': found().costs } };

const cases: readonly { readonly name: string; readonly now: Found; readonly wanted: readonly RegExp[] }[] = [
  { name: 'the same', now: found(), wanted: [] },
  { name: 'five per cent more', now: found({ verifiedInstructions: 1050, stackFrames: [105, 105] }), wanted: [] },
  { name: 'a longer walk', now: found({ verifiedInstructions: 1051 }), wanted: [/^pod_from: from 1000 to 1051 instructions walked/] },
  { name: 'a deeper frame', now: found({ stackFrames: [100, 106] }), wanted: [/^pod_from: from 100 to 106 bytes of stack/] },
  { name: 'more code', now: found({}, { compiled: { pod: 1051 } }), wanted: [/^pod: from 1000 to 1051 compiled instructions$/] },
  { name: 'less of all', now: found({ verifiedInstructions: 1, translatedBytes: 1 }, { compiled: { pod: 1 } }), wanted: [] },
  { name: 'a kernel without figures', now: found({ verifiedInstructions: 2000 }, { kernel: '6.6' }), wanted: [] },
  {
    name: 'a kernel without figures, more code',
    now: found({}, { kernel: '6.6', compiled: { pod: 1051 } }),
    wanted: [/compiled instructions$/],
  },
  {
    name: 'a kernel without figures, far too long a walk',
    now: found({ verifiedInstructions: VERIFIED_BUDGET + 1 }, { kernel: '6.6' }),
    wanted: [/^pod_from: the verifier walks 100001/],
  },
  { name: 'a new object', now: found({}, { compiled: { pod: 1000, xdp: 7 } }), wanted: [/^xdp: is new/] },
  { name: 'a lost program', now: found({}, { costs: {} }), wanted: [/gone/, /gone/, /gone/, /gone/] },
];

for (const { name, now, wanted } of cases)
  test(`${name}: ${wanted.length} complaints`, () => {
    const complaints = complaintsAbout(now, record);
    assert.equal(complaints.length, wanted.length, complaints.join('\n'));
    for (const [i, pattern] of wanted.entries()) assert.match(complaints[i] ?? '', pattern);
  });

test('an update leaves the figures of other kernels alone', () => {
  const updated = recordWith(record, found({ verifiedInstructions: 5 }, { kernel: '6.6' }));
  assert.deepEqual(Object.keys(updated.kernels), ['6.6', '6.18']);
  assert.deepEqual(updated.kernels['6.18'], record.kernels['6.18']);
});
