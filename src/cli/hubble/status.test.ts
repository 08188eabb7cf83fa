// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateText, compactStatus } from './status.ts';

const NOW = Date.parse('2026-11-28T02:00:00Z');
const cases: readonly (readonly [until: string, says: string])[] = [
  ['2027-11-27T02:00:00Z', 'valid for 364 more days, until 2027-11-27T02:00:00Z'],
  ['2026-11-29T01:30:00Z', 'valid for 23 more hours, until 2026-11-29T01:30:00Z'],
  ['2026-11-28T01:59:00Z', 'expired at 2026-11-28T01:59:00Z'],
];
for (const [until, says] of cases)
  test(`a certificate that ends at ${until} is ${says}`, () => {
    assert.equal(certificateText(BigInt(Date.parse(until)) * 1_000_000n, NOW), says);
  });

test('who has no certificate says nothing of one', () => {
  const status = { numFlows: 1, maxFlows: 2, flowsRate: 3 };
  assert.equal(compactStatus(status), 'Current/Max Flows: 1/2 (50.00%)\nFlows/s: 3.00\n');
  assert.match(compactStatus({ ...status, certificateUntil: 1n }), /\nCertificates: expired at 1970-01-01T00:00:00Z\n$/);
});
