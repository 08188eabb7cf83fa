// SPDX-License-Identifier: Apache-2.0
// Log lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { logTo } from './log.ts';
import type { Fields, Level } from './log.ts';

const lineOf = (level: Level, fields: Fields): Fields => {
  let line = '';
  logTo((text) => (line += text), { part: 'agent' })[level]('Something changed', fields);
  assert.equal(line.indexOf('\n'), line.length - 1, 'one line');
  return JSON.parse(line) as Fields; // a line is an object
};

test('a line has time, level, message and the fields of the log and of the call', () => {
  const { time, ...rest } = lineOf('warn', { pods: 3 });
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
  assert.deepEqual(rest, { level: 'warn', message: 'Something changed', part: 'agent', pods: 3 });
});

test('errors are logged with their causes, and big counters as text', () => {
  const line = lineOf('error', { error: new Error('Cannot attach', { cause: new Error('EBUSY') }), bytes: 2n ** 64n });
  assert.deepEqual([line['error'], line['bytes']], ['Cannot attach: EBUSY', '18446744073709551616']);
});
