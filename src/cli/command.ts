// SPDX-License-Identifier: Apache-2.0
// What a command gets and gives. A command returns its exit code: 0 it is so, 1 it is not, 2 it was called wrongly.

import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';
import { codeOf, messageOf, StentorError } from '../base/errors.ts';

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** The agent's socket. */
  readonly socket: string;
  /** The name by which the user called us. */
  readonly name: string;
};
export type Run = (args: readonly string[], io: Io) => Promise<number>;

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends StentorError {
  constructor(message: string, options?: ErrorOptions) {
    super('Usage', message, options);
  }
}

/** Options and words of a command line. Throws UsageError. `words` is how many are allowed. */
export function argumentsOf<const O extends ParseArgsOptionsConfig>(args: readonly string[], options: O, words = 0) {
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: words > 0 });
    if (parsed.positionals.length > words) throw new UsageError(`Cannot use '${parsed.positionals[words]}': too many words`);
    return parsed;
  } catch (error) {
    if (codeOf(error)?.startsWith('ERR_PARSE_ARGS')) throw new UsageError(messageOf(error).split('. ')[0] ?? '', { cause: undefined });
    throw error;
  }
}

export const outputOption = { output: { type: 'string', short: 'o' } } as const;

/** Prints `rows` as JSON when -o json says so, else as `text`. Throws UsageError for another format. */
export function print<T>({ out }: Io, output: string | undefined, rows: T, text: (rows: T) => string): void {
  if (output !== undefined && output !== 'json') throw new UsageError(`Cannot print as '${output}', wanted -o json`);
  out(output === 'json' ? `${JSON.stringify(rows, undefined, 2)}\n` : text(rows));
}
