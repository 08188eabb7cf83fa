// SPDX-License-Identifier: Apache-2.0
// Endpoints on disk, one file each: how they outlive the agent. As a Target it is written before anything else of an endpoint is
// made, and removed after everything else of it is gone.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { problem, type Problem } from '../base/problem.ts';
import type { Target } from '../base/reconcile.ts';
import { endpointOf, type EndpointRow } from '../endpoints/endpoint.ts';

const SUFFIX = '.json';

export function endpointFileTarget(directory: string): Target<string, EndpointRow> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    name: 'endpoint_files',
    list: () => readEndpoints(directory).rows.map((row) => [row.hostInterface, row] as const),
    put(entries) {
      for (const [key, row] of entries) {
        const hidden = join(directory, `.${key}.new`);
        writeFileSync(hidden, `${JSON.stringify(row)}\n`, { mode: 0o600, flush: true });
        renameSync(hidden, join(directory, `${key}${SUFFIX}`));
      }
    },
    remove(entries) {
      for (const [key] of entries) rmSync(join(directory, `${key}${SUFFIX}`), { force: true });
    },
  };
}

/** What the directory holds; a damaged file is a Problem and the others are read. */
export function readEndpoints(directory: string): { readonly rows: readonly EndpointRow[]; readonly problems: readonly Problem[] } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const rows: EndpointRow[] = [];
  const problems: Problem[] = [];
  for (const name of readdirSync(directory).filter((file) => file.endsWith(SUFFIX) && !file.startsWith('.'))) {
    const path = join(directory, name);
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

function endpointIn(path: string): EndpointRow | string {
  try {
    return endpointOf(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    return messageOf(error);
  }
}
