// SPDX-License-Identifier: Apache-2.0
// A program of this directory that runs on the client of the LAN until its input ends.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CLIENT } from '../../sandbox/layout.ts';
import type { Layout } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { until } from '../../sandbox/until.ts';

export type ClientProgram = {
  /** What it has printed so far. */
  readonly said: () => string;
  /** Resolves when it has printed a line. */
  readonly ready: () => Promise<void>;
  /** Ends its input; what it has printed in all. */
  readonly end: () => Promise<string>;
};

export function clientProgram(layout: Layout, script: string, args: readonly string[]): ClientProgram {
  const [program = '', ...rest] = [...inNetns(layout, CLIENT.name), process.execPath, join(import.meta.dirname, script), ...args];
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = new Promise((resolve) => child.on('close', resolve));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    said: () => text,
    ready: () => until(`${script} to begin`, 10_000, () => text.includes('\n')),
    async end() {
      child.stdin.end();
      await closed;
      return text;
    },
  };
}
