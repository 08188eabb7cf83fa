// SPDX-License-Identifier: Apache-2.0
// `hubble -P observe` is `hubble observe -P`: flags that say whom to ask may stand before the command.

import { serverFlags } from './server-flags.ts';

/** The command line with the command first. Unchanged where no command follows. */
export function commandFirst(args: readonly string[]): readonly string[] {
  let at = 0;
  for (let word = args[at]; word?.startsWith('-'); word = args[at]) at += takesNext(word) ? 2 : 1;
  const command = args[at];
  return command === undefined ? args : [command, ...args.slice(0, at), ...args.slice(at + 1)];
}

const takesNext = (word: string): boolean => serverFlags.some(({ name, value }) => value !== undefined && word === `--${name}`);
