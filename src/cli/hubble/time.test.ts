// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeIn, timeFormatIn, timeText } from './time.ts';
import type { TimeFormat } from './time.ts';

const moment = 1_234_567_800_000n;
const formats: readonly (readonly [TimeFormat, string])[] = [
  ['StampMilli', 'Jan  1 00:20:34.567'],
  ['YearMonthDay', '1970-01-01'],
  ['YearMonthDayHour', '1970-01-01T00Z'],
  ['YearMonthDayHourMinute', '1970-01-01T00:20Z'],
  ['RFC3339', '1970-01-01T00:20:34Z'],
  ['RFC3339Milli', '1970-01-01T00:20:34.567Z'],
  ['RFC3339Micro', '1970-01-01T00:20:34.567800Z'],
  ['RFC3339Nano', '1970-01-01T00:20:34.5678Z'],
  ['RFC1123Z', 'Thu, 01 Jan 1970 00:20:34 +0000'],
];
for (const [format, text] of formats)
  test(`a time as ${format}`, () => {
    assert.equal(timeText(moment, format), text);
    assert.equal(timeFormatIn(format.toLowerCase()), format);
  });

test('no time and no possible time are N/A', () => {
  assert.equal(timeText(undefined, 'RFC3339'), 'N/A');
  assert.equal(timeText(10n ** 25n, 'RFC3339'), 'N/A');
  assert.equal(timeText(5_000_000_000n, 'RFC3339Nano'), '1970-01-01T00:00:05Z');
});

const NOW = Date.parse('2026-03-01T12:00:00.250Z');
const inputs: readonly (readonly [string, string])[] = [
  ['5m', '2026-03-01T11:55:00.25Z'],
  ['1h30m', '2026-03-01T10:30:00.25Z'],
  ['2026-02-28', '2026-02-28T00:00:00Z'],
  ['2026-02-28T15Z', '2026-02-28T15:00:00Z'],
  ['2026-02-28T15:04+01:00', '2026-02-28T14:04:00Z'],
  ['2026-02-28T15:04:05Z', '2026-02-28T15:04:05Z'],
  ['2026-02-28T15:04:05.123456789Z', '2026-02-28T15:04:05.123456789Z'],
  ['Feb 28 15:04:05.000', '2026-02-28T15:04:05Z'],
  ['Dec  2 15:04:05.000', '2025-12-02T15:04:05Z'],
  ['Sat, 28 Feb 2026 15:04:05 +0100', '2026-02-28T14:04:05Z'],
];
for (const [text, meant] of inputs)
  test(`--since ${text} is ${meant}`, () => assert.equal(timeText(timeIn(text, 'since', NOW), 'RFC3339Nano'), meant));

test('what is no time is refused, with what would be one', () => {
  for (const text of ['', 'yesterday', '2026-13-01', '2026-02-28T25:00:00Z', 'Foo  1 00:00:00.000', '-5m'])
    assert.throws(() => timeIn(text, 'since', NOW), /^UsageError: Cannot understand --since '.*', wanted how long ago/, text);
  assert.throws(() => timeFormatIn('ISO'), /wanted one of StampMilli, YearMonthDay/);
});
