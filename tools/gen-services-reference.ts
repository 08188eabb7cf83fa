// SPDX-License-Identifier: Apache-2.0
// Writes docs/reference/services.md; with --check says whether it is current, and changes nothing.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { behaviours } from './service-behaviours.ts';
import { servicesReference } from './services-reference.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const PAGE = 'docs/reference/services.md';

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.test.ts', 'sandbox/checks/*.ts'], {
  cwd: root,
  encoding: 'utf8',
});
const paths = listed.split('\n').filter((path) => path !== '' && !path.startsWith('tools/'));
const sources = paths.toSorted().flatMap((path) => {
  const text = textOf(path);
  return text === undefined ? [] : [{ path, text }];
});
const { text, mistakes } = servicesReference(behaviours, sources);
for (const mistake of mistakes) console.error(mistake);
const current = textOf(PAGE) === text;
if (process.argv.includes('--check')) {
  console.log(current ? `${PAGE} is current` : `${PAGE} is not what the scenarios say: run 'npm run reference'`);
  process.exitCode = current && mistakes.length === 0 ? 0 : 1;
} else {
  mkdirSync(join(root, dirname(PAGE)), { recursive: true });
  if (!current) writeFileSync(join(root, PAGE), text);
  console.log(`${PAGE} ${current ? 'is current' : 'written'}`);
  process.exitCode = mistakes.length === 0 ? 0 : 1;
}

/** Undefined: it is gone. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}
