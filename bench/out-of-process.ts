// SPDX-License-Identifier: Apache-2.0
// Measurements that need a network namespace of their own, and so a process.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What a script of this directory prints as JSON. Throws with what it said when it fails. */
export async function outOfProcess<Found>(script: string, ...words: readonly string[]): Promise<Found> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, script), ...words], { maxBuffer: 1 << 24 });
  return JSON.parse(stdout) as Found; // as: the script's own type
}
