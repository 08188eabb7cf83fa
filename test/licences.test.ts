// SPDX-License-Identifier: Apache-2.0
// Every source file says under which licence it is, and the text of that licence is here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repositoryFiles, textOf } from './sources.ts';

const kernelLicence = 'GPL-2.0-only OR BSD-2-Clause'; // what runs in the kernel: its helpers are for GPL programs only
const ownLicence = 'Apache-2.0';

const isSource = (path: string): boolean =>
  /\.(tsx?|css|c|h|sh)$|(^|\/)Makefile$|^bin\/|^\.ci\//.test(path) && !path.startsWith('sandbox/seed/'); // the seed is a user's own, verbatim

const wantedLicence = (path: string): string =>
  /^bpf\/.*(\.[ch]|Makefile)$/.test(path) || path.endsWith('.bpf.c') ? kernelLicence : ownLicence;

/** The SPDX expression in the first two lines: a script's first is its interpreter. */
function licenceOf(text: string): string | undefined {
  const found = /^(?:#!.*\n)?(?:\/\/|\/\*|#) SPDX-License-Identifier: (.+?)(?: \*\/)?\n/.exec(text);
  return found?.[1];
}

test('every source file names its licence in its first line', () => {
  const wrong = repositoryFiles()
    .filter(isSource)
    .map((path) => ({ path, wanted: wantedLicence(path), found: licenceOf(textOf(path)) }))
    .filter(({ wanted, found }) => wanted !== found);
  assert.deepEqual(wrong, []);
});

test('the texts of all licences are here, and no others', () => {
  const named = [ownLicence, ...kernelLicence.split(' OR ')].map((name) => `LICENSES/${name}.txt`);
  assert.deepEqual(repositoryFiles('LICENSES'), named.toSorted());
  assert.equal(textOf('LICENSE'), textOf('LICENSES/Apache-2.0.txt'));
});

test('the lock file names no registry', () => {
  assert.doesNotMatch(textOf('package-lock.json'), /"resolved"/);
});
