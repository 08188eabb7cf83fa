// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pattern } from './pattern.ts';

const cases: readonly (readonly [source: string, yes: readonly string[], no: readonly string[]])[] = [
  ['', ['', 'x'], []],
  ['abc', ['abc', 'xabcx'], ['ab', 'aBc']],
  ['^/page$', ['/page'], ['/page/', 'x/page']],
  ['^/v[0-9]+/', ['/v1/', '/v22/x'], ['/v/', 'x/v1/']],
  ['a.c', ['abc', 'a.c', 'aüc', 'a😀c'], ['ac', 'a\nc']],
  ['(?s)a.c', ['a\nc'], ['ac']],
  ['a\\.c', ['a.c'], ['abc']],
  ['^(foo|bar|)$', ['foo', 'bar', ''], ['fo', 'foobar']],
  ['^(?:ab)*$', ['', 'ab', 'abab'], ['aba']],
  ['^a{2,3}$', ['aa', 'aaa'], ['a', 'aaaa']],
  ['^a{2}$', ['aa'], ['a', 'aaa']],
  ['^a{2,}$', ['aa', 'aaaaa'], ['a']],
  ['^ab?c$', ['ac', 'abc'], ['abbc']],
  ['^a+?$', ['a', 'aa'], ['']],
  ['(?i)^GeT$', ['get', 'GET'], ['gets']],
  ['(?i:a)b', ['Ab', 'ab'], ['aB']],
  ['(?i)[a-f]x', ['Ax', 'FX'], ['gx']],
  ['[^a-c]', ['d', 'ad'], ['abc', '']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a\\-z]', ['-', 'a', 'z'], ['b']],
  ['[\\d.]+$', ['1.2'], ['a']],
  ['[[:alpha:]]\\d', ['a1'], ['11']],
  ['\\bcat\\b', ['a cat', 'cat'], ['cats', 'concat']],
  ['\\Bcat', ['concat'], ['cat']],
  ['\\w\\s\\D', ['a b'], ['a 1']],
  ['(?m)^b$', ['a\nb\nc'], ['ab']],
  ['\\Aa\\z', ['a'], ['ab']],
  ['(?P<name>x)y', ['xy'], ['x']],
  ['\\x41\\x{1F600}', ['A😀'], ['A']],
  ['\\Qa.b\\E+', ['a.b', 'a.bb'], ['axb']],
  ['a|b*', ['', 'a', 'bb'], []],
  ['x{', ['x{'], ['x']],
];

for (const [source, yes, no] of cases)
  test(`/${source}/ matches what it should`, () => {
    const matches = pattern(source);
    assert.deepEqual([yes.filter((text) => !matches(text)), no.filter((text) => matches(text))], [[], []]);
  });

for (const source of [
  '(',
  ')',
  'a(b',
  '[a',
  '*a',
  'a**',
  '(?=a)',
  '(?<!a)',
  '\\1',
  '\\p',
  'a{3,2}',
  'a{1001}',
  '[z-a]',
  '[[:no:]]',
  '\\',
  '((a{1000}){1000})',
  '('.repeat(500),
])
  test(`/${source.slice(0, 20)}/ is refused`, () => {
    assert.throws(() => pattern(source), SyntaxError);
  });

test('no pattern takes long, however it is made', () => {
  for (const source of ['^(a+)+$', '^(a|a)*$', '^(a*)*b', `${'a?'.repeat(30)}${'a'.repeat(30)}$`, '(.*)(.*)(.*)(.*)(.*)x']) {
    const matches = pattern(source);
    const started = performance.now();
    matches(`${'a'.repeat(200)}!`);
    assert.ok(performance.now() - started < 500, source);
  }
});

test('agrees with JavaScript, where both know the syntax', () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const parts = ['a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab)', '(a|)', '^', '$', '\\w'];
  const signs = ['', '', '', '*', '+', '?', '{1,2}'];
  for (let round = 0; round < 3000; round++) {
    const one = () => {
      const part = parts[next(parts.length)] ?? '';
      return part === '^' || part === '$' ? part : part + (signs[next(signs.length)] ?? '');
    };
    const source = Array.from({ length: 1 + next(5) }, one).join(next(4) === 0 ? '|' : '');
    const text = Array.from({ length: next(7) }, () => 'abc'[next(3)]).join('');
    assert.equal(pattern(source)(text), new RegExp(source, 'u').test(text), `/${source}/ on '${text}'`);
  }
});
