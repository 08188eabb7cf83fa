// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { configOf } from '../src/agent/config.ts';
import { valueNotes, valueRows } from '../src/agent/values-schema.ts';
import type { ValueRow } from '../src/agent/values-schema.ts';
import { schemaFile, tableFile, valuesFile } from './chart-files.ts';

const rows: readonly ValueRow[] = [
  ['a.on', 'boolean', true, 'acts', 'chart', 'Whether'],
  ['a.mode', ['fast', 'slow'], 'fast', 'acts', 'agent', 'How'],
  ['a.more', 'any', undefined, 'acts', 'chart', 'What else'],
  ['a.list', 'texts', ['x', 'y'], 'acts', 'agent', 'Which'],
  ['b.only', 'any', undefined, 'acts', 'chart', 'Alone'],
  ['c', 'port', undefined, 'acts', 'agent', 'Where'],
  ['d.e', 'number', 3, 'accepted', 'none', 'Nothing'],
  ['f.*', 'any', undefined, 'accepted', 'none', 'Nothing at all'],
];

test('defaults stand in values.yaml with what they are for; what does nothing is not there', () => {
  const text = valuesFile(rows);
  assert.deepEqual(parse(text), { a: { on: true, mode: 'fast', list: ['x', 'y'] }, b: {} });
  for (const line of ['  # Whether\n  on: true', '  # How: fast, slow\n  mode: fast', '# more:  # What else', '# c:  # Where'])
    assert.ok(text.includes(line), `${line} is not in\n${text}`);
});

test('the schema knows types and choices, and lets other keys to the templates', () => {
  const schema: unknown = JSON.parse(schemaFile(rows));
  assert.deepEqual(schema, {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart cilium',
    type: ['object', 'null'],
    properties: {
      a: {
        type: ['object', 'null'],
        properties: {
          on: { description: 'Whether', default: true, type: ['boolean', 'null'] },
          mode: { description: 'How', default: 'fast', enum: ['fast', 'slow', null] }, // null: JSON's
          more: { description: 'What else' },
          list: { description: 'Which', default: ['x', 'y'], type: ['array', 'string', 'null'], items: { type: 'string' } },
        },
      },
      b: { type: ['object', 'null'], properties: { only: { description: 'Alone' } } },
      c: { description: 'Where', type: ['integer', 'string', 'null'], minimum: 1, maximum: 65_535, pattern: '^[0-9]{1,5}$' },
      d: {
        type: ['object', 'null'],
        properties: { e: { description: 'Nothing (no effect)', default: 3, type: ['number', 'null'], minimum: 0 } },
      },
      f: { type: ['object', 'null'], properties: {} },
    },
  });
});

test('templates find keys, folders, and those below which everything is known', () => {
  const table: unknown = JSON.parse(tableFile(rows, [['a.mode', 'slow', 'refused', 'too slow']]));
  assert.deepEqual(table, {
    keys: {
      'a.on': { acts: true, drives: 'chart', default: true },
      'a.mode': { acts: true, drives: 'agent', default: 'fast' },
      'a.more': { acts: true, drives: 'chart' },
      'a.list': { acts: true, drives: 'agent', default: ['x', 'y'] },
      'b.only': { acts: true, drives: 'chart' },
      c: { acts: true, drives: 'agent' },
      'd.e': { default: 3 },
    },
    folders: { a: true, b: true, d: true, f: true },
    anywhere: ['f'],
    notes: [{ path: 'a.mode', value: 'slow', effect: 'refused', reason: 'too slow' }],
  });
});

test("the chart's defaults are the programs'", () => {
  const { config, warnings } = configOf(valuesFile(valueRows), 'values.yaml');
  assert.deepEqual(config, configOf('', 'values.yaml').config);
  assert.deepEqual(warnings, []);
  assert.ok(tableFile(valueRows, valueNotes).length < 100_000);
});
