// SPDX-License-Identifier: Apache-2.0
// Writes what of chart/ follows from the table of values; with --check says whether it is current, and changes nothing.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { valueNotes, valueRows } from '../src/agent/values-schema.ts';
import { schemaFile, tableFile, valuesFile } from './chart-files.ts';

const chart = fileURLToPath(new URL('../chart', import.meta.url));
const files = {
  'values.yaml': valuesFile(valueRows),
  'values.schema.json': schemaFile(valueRows),
  'files/values.json': tableFile(valueRows, valueNotes),
};

for (const [name, text] of Object.entries(files)) {
  const path = join(chart, name);
  const current = textOf(path) === text;
  if (process.argv.includes('--check')) {
    console.log(current ? `chart/${name} is current` : `chart/${name} is not what the table of values says: run 'npm run chart'`);
    if (!current) process.exitCode = 1;
  } else {
    if (!current) writeFileSync(path, text);
    console.log(`chart/${name} ${current ? 'is current' : 'written'}`);
  }
}

/** Undefined: it is not there. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
