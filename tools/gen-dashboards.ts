// SPDX-License-Identifier: Apache-2.0
// Writes chart/files/dashboards; with --check says whether it is current, and changes nothing.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dashboardFiles } from '../src/dashboards/dashboards.ts';

const FOLDER = 'chart/files/dashboards';
const folder = join(fileURLToPath(new URL('..', import.meta.url)), FOLDER);

mkdirSync(folder, { recursive: true });
const wanted = dashboardFiles();
const there = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
const stale = [...new Set([...wanted.keys(), ...there.keys()])].filter((name) => wanted.get(name) !== there.get(name));

if (process.argv.includes('--check')) {
  console.log(
    stale.length === 0
      ? `${FOLDER} is current`
      : `${stale.join(', ')} in ${FOLDER} is not what src/dashboards says: run 'npm run dashboards'`,
  );
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const name of stale) {
    const text = wanted.get(name);
    if (text === undefined) rmSync(join(folder, name));
    else writeFileSync(join(folder, name), text);
  }
  console.log(stale.length === 0 ? `${FOLDER} is current` : `${FOLDER}: ${stale.join(', ')}`);
}
