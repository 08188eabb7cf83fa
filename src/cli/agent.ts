// SPDX-License-Identifier: Apache-2.0
// `agent`: becomes the agent of this node. Its own options are in agent/options.ts.

import { flushCompileCache } from 'node:module';
import type { Io } from './command.ts';

export const help = `Usage: NAME agent [OPTIONS]

Runs the agent of this node until it is told to stop (SIGTERM, SIGINT).
`;

export async function run(args: readonly string[], _io: Io): Promise<number> {
  const { main } = await import('../agent/main.ts');
  flushCompileCache(); // now, as nobody knows how the agent will end; the next one then starts without the TypeScript compiler in memory
  if ((await main(args)) === 'renew')
    process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], process.env); // the same process, another program
  return 0;
}
