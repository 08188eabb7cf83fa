// SPDX-License-Identifier: Apache-2.0
// `version`.

import { version } from '../agent/version.ts';
import type { Io } from './command.ts';
import { argumentsOf } from './command.ts';

export const help = `Usage: NAME version
`;

export function run(args: readonly string[], io: Io): Promise<number> {
  argumentsOf(args, {});
  io.out(`Stentor ${version()} (node ${process.version})\n`);
  return Promise.resolve(0);
}
