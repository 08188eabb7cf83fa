// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonPath } from './json-path.ts';

const value = {
  a: {
    'b.c': 1,
    list: [
      { t: 'x', v: 10 },
      { t: 'y', v: 20 },
    ],
  },
  'd e': false,
  nothing: null,
}; // null: absent, for a path

test('paths select what kubectl would', () => {
  const cases: readonly (readonly [string, readonly unknown[]])[] = [
    ['.a.b\\.c', [1]],
    ["{.a['b.c']}", [1]],
    ['$.a["b.c"]', [1]],
    ['.a.list[0].v', [10]],
    ['.a.list[-1].v', [20]],
    ['.a.list[*].v', [10, 20]],
    ['.a.list[?(@.t=="y")].v', [20]],
    ["{.a.list[?(@.t!='y')].v}", [10]],
    ['.nothing', []],
    ['.a.missing.deep', []],
    ['.a.list[5].v', []],
    ['', [value]],
    ['.a[?frog]', []],
    ['.a.list[', []],
  ];
  for (const [path, wanted] of cases) assert.deepEqual(jsonPath(path)(value), wanted, path);
});
