// SPDX-License-Identifier: Apache-2.0
// `agent`: becomes the agent of this node. Its own options are in agent/options.ts.

import { flushCompileCache } from 'node:module';
import type { Io } from './command.ts';

export const help = `Usage: NAME agent [OPTIONS]

Runs the agent of this node until it is told to stop (SIGTERM, SIGINT).
`;

/** Whoever waits for the end of an agent waits for its process. */
const LINGER_MS = 1000;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { main } = await import('../agent/main.ts');
  flushCompileCache(); // now, as nobody knows how the agent will end; the next one then starts without the TypeScript compiler in memory
  if ((await main(args)) === 'renew')
    process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], process.env); // the same process, another program
  const end = () => {
    io.err(`The agent has ended, but ${process.getActiveResourcesInfo().join(', ')} kept its process, which ends now\n`);
    process.exit(0);
  };
  setTimeout(end, LINGER_MS).unref();
  return 0;
}
