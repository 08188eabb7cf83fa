// SPDX-License-Identifier: Apache-2.0
// Endpoints on disk, one file each: how they outlive the agent. As a Target it is written before anything else of an endpoint is
// made, and removed after everything else of it is gone.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, messageOf, StentorError } from '../base/errors.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { forEachEntry } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import { endpointOf } from '../endpoints/endpoint.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';

const SUFFIX = '.json';
const HALF_SUFFIX = '.new';

export function endpointFileTarget(directory: string): Target<string, EndpointRow> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    name: 'endpoint_files',
    *list() {
      for (const path of filesIn(directory)) {
        const row = endpointIn(path);
        if (typeof row !== 'string') yield [row.hostInterface, row];
      }
    },
    put(entries) {
      forEachEntry(entries, (key, row) => writeWhole(directory, key, `${JSON.stringify(row)}\n`));
    },
    remove(entries) {
      for (const [key] of entries) rmSync(join(directory, `${key}${SUFFIX}`), { force: true });
    },
  };
}

/** The old file or the new one, never half; nothing is left of an attempt that fails. */
function writeWhole(directory: string, key: string, text: string): void {
  const path = join(directory, `${key}${SUFFIX}`);
  const hidden = join(directory, `.${key}${HALF_SUFFIX}`);
  try {
    writeFileSync(hidden, text, { mode: 0o600, flush: true });
    renameSync(hidden, path);
  } catch (cause) {
    rmSync(hidden, { force: true });
    throw new StentorError(codeOf(cause) ?? 'WriteFailed', `Cannot write the endpoint's file ${path}`, { cause });
  }
}

/** What the directory holds; a damaged file is a Problem and the others are read. What an agent that was killed had half written goes. */
export function readEndpoints(directory: string): { readonly rows: readonly EndpointRow[]; readonly problems: readonly Problem[] } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory))
    if (name.startsWith('.') && name.endsWith(HALF_SUFFIX)) rmSync(join(directory, name), { force: true });
  const rows: EndpointRow[] = [];
  const problems: Problem[] = [];
  for (const path of filesIn(directory)) {
    const row = endpointIn(path);
    if (typeof row !== 'string') rows.push(row);
    else
      problems.push(
        problem({
          object: `File ${path}`,
          reason: 'DamagedEndpoint',
          message: `Cannot read the endpoint: ${row}`,
          advice: 'Delete the file and the pod that it belonged to; Kubernetes makes the pod anew',
        }),
      );
  }
  return { rows, problems };
}

function filesIn(directory: string): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(SUFFIX) && !file.startsWith('.'))
    .map((name) => join(directory, name));
}

function endpointIn(path: string): EndpointRow | string {
  try {
    return endpointOf(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    return messageOf(error);
  }
}
