// SPDX-License-Identifier: Apache-2.0
// One line of JSON per change of state. Fields, not prose; never on the packet or derivation path.

import { messageOf } from './errors.ts';

export type Level = 'info' | 'warn' | 'error';
export type Fields = Readonly<Record<string, unknown>>;
export type Log = {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
};

/** A log that writes lines to `write`, each with `base` in it. */
export function logTo(write: (line: string) => void, base: Fields = {}): Log {
  const at =
    (level: Level) =>
    (message: string, fields: Fields = {}) => {
      write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...base, ...fields }, loggable)}\n`);
    };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

/** Errors as their words, counters as numbers in text: a field never makes a line fail or come out empty. */
function loggable(_name: string, value: unknown): unknown {
  if (value instanceof Error) return messageOf(value);
  return typeof value === 'bigint' ? String(value) : value;
}
