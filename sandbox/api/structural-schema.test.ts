// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkStructure, schemaProblem } from './structural-schema.ts';

const ofSpec = (spec: object): object => ({ type: 'object', properties: { spec } });
const text = { type: 'string' };

test('unknown fields are pruned and named, except where the schema keeps them', () => {
  const schema = ofSpec({
    type: 'object',
    properties: {
      a: text,
      open: {
        type: 'object',
        'x-kubernetes-preserve-unknown-fields': true,
        properties: { b: { type: 'object', properties: { c: text } } },
      },
      map: { type: 'object', additionalProperties: { type: 'object', properties: { d: text } } },
      list: { type: 'array', items: { type: 'object', properties: { e: text } } },
    },
  });
  const object = {
    apiVersion: 'x/v1',
    kind: 'X',
    metadata: { anything: 1 },
    z: 1,
    spec: { a: 'x', y: 1, open: { kept: 1, b: { c: 'x', gone: 1 } }, map: { k: { d: 'x', gone: 1 } }, list: [{ e: 'x', gone: 1 }] },
  };
  const { unknown, causes } = checkStructure(object, schema);
  assert.deepEqual(unknown, ['z', 'spec.y', 'spec.open.b.gone', 'spec.map.k.gone', 'spec.list[0].gone']);
  assert.deepEqual(causes, []);
  assert.deepEqual(object, {
    apiVersion: 'x/v1',
    kind: 'X',
    metadata: { anything: 1 },
    spec: { a: 'x', open: { kept: 1, b: { c: 'x' } }, map: { k: { d: 'x' } }, list: [{ e: 'x' }] },
  });
});

test('defaults are set where fields are missing, also inside defaults and for null', () => {
  const schema = ofSpec({
    type: 'object',
    default: {},
    properties: {
      n: { type: 'integer', default: 3 },
      s: { type: 'string', default: 'x' },
      k: { type: 'string', nullable: true, default: 'y' },
    },
  });
  const missing: object = {};
  checkStructure(missing, schema);
  assert.deepEqual(missing, { spec: { n: 3, s: 'x', k: 'y' } });
  const nulls = { spec: { n: null, k: null } }; // null: bad for n, allowed for k
  checkStructure(nulls, schema);
  assert.deepEqual(nulls, { spec: { n: 3, s: 'x', k: null } });
});

test('what the schema forbids is said in words and fields users know', () => {
  const cases: readonly (readonly [object, unknown, string, string])[] = [
    [text, 5, 'spec', 'Invalid value: "number": spec in body must be of type string: "number"'],
    [{ type: 'string', enum: ['A', 'B'] }, 'C', 'spec', 'Unsupported value: "C": supported values: "A", "B"'],
    [{ type: 'string', pattern: '^[a-z\\-_]+$' }, 'X', 'spec', 'Invalid value: "X": spec in body should match \'^[a-z\\-_]+$\''],
    [{ type: 'integer', minimum: 1 }, 0, 'spec', 'Invalid value: 0: spec in body should be greater than or equal to 1'],
    [{ type: 'integer', maximum: 1, exclusiveMaximum: true }, 1, 'spec', 'Invalid value: 1: spec in body should be less than 1'],
    [{ type: 'object', required: ['a'], properties: { a: text } }, {}, 'spec.a', 'Required value'],
    [{ type: 'array', maxItems: 1, items: text }, ['a', 'b'], 'spec', 'Too many: 2: must have at most 1 items'],
    [
      { type: 'array', items: { type: 'object', properties: { a: text } } },
      [{}, { a: 1 }],
      'spec[1].a',
      'Invalid value: "number": spec[1].a in body must be of type string: "number"',
    ],
    [{ type: 'array', items: text, 'x-kubernetes-list-type': 'set' }, ['a', 'a'], 'spec[1]', 'Duplicate value: "a"'],
    [
      {
        type: 'array',
        items: { type: 'object', properties: { k: text, v: text } },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
      },
      [{ k: 'a' }, { k: 'a', v: 'b' }],
      'spec[1]',
      'Duplicate value: {"k":"a","v":"b"}',
    ],
    [{ type: 'string', format: 'cidr' }, 'x', 'spec', 'Invalid value: "x": spec in body must be of type cidr: "x"'],
    [
      { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }], properties: { a: text, b: text } },
      { a: 'x', b: 'y' },
      'spec',
      'Invalid value: "object": spec in body must validate one and only one schema (oneOf). Found more than one valid',
    ],
    [{ 'x-kubernetes-int-or-string': true }, true, 'spec', 'Invalid value: "boolean": spec in body must be of type integer: "boolean"'],
  ];
  for (const [spec, value, field, message] of cases) {
    const { causes } = checkStructure({ spec: structuredClone(value) }, ofSpec(spec));
    assert.deepEqual(
      causes.map((cause) => [cause.field, cause.message]),
      [[field, message]],
      JSON.stringify(spec),
    );
  }
});

test('what the schema allows passes', () => {
  const cases: readonly (readonly [object, unknown])[] = [
    [{ 'x-kubernetes-int-or-string': true }, '50%'],
    [{ 'x-kubernetes-int-or-string': true }, 5],
    [{ type: 'string', nullable: true }, null], // null: allowed here
    [{ type: 'string', format: 'frog' }, 'x'],
    [{ type: 'string', format: 'date-time' }, '2026-01-01T00:00:00Z'],
    [{ anyOf: [{ type: 'integer' }, text] }, 'x'],
  ];
  for (const [spec, value] of cases) assert.deepEqual(checkStructure({ spec: value }, ofSpec(spec)).causes, [], JSON.stringify(spec));
});

test('a schema that cannot be compiled has a reason', () => {
  assert.match(schemaProblem({ type: 'object', properties: { a: { type: 'string', pattern: '(' } } }) ?? '', /regular expression/i);
  assert.match(schemaProblem({ type: 'frog' }) ?? '', /type/);
});
