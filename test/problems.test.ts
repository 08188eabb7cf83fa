// SPDX-License-Identifier: Apache-2.0
// Whoever meets the reason of a Problem finds it: in the README of a feature, or in docs/operate.md.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const checkout = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(checkout, path), 'utf8');
const REASON = /\bproblem\(\{[^]{0,200}?\breason: '([A-Z][A-Za-z]+)'/g;

/** 'src/services FrontendTaken' of every Problem that the program raises. */
function raised(): readonly string[] {
  const files = readdirSync(join(checkout, 'src'), { recursive: true, encoding: 'utf8' });
  const found = files
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .flatMap((name) => Array.from(read(`src/${name}`).matchAll(REASON), ([, reason]) => `src/${dirname(name)} ${reason}`));
  return [...new Set(found)].toSorted();
}

test('every reason of a Problem is told where a user looks for it', () => {
  const all = raised();
  assert.ok(all.length > 25, `${all.length} found`);
  const readmes = readdirSync(join(checkout, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('README.md'));
  const texts = [read('docs/operate.md'), ...readmes.map((name) => read(`src/${name}`))];
  const missing = all.filter((one) => !texts.some((text) => text.includes(`\`${one.split(' ')[1]}\``)));
  assert.deepEqual(missing, []);
});
