// SPDX-License-Identifier: Apache-2.0
// The colours of a terminal, and what may not reach one: a pod chooses the words of its requests.

const CYAN = 36;
const YELLOW = 33;
const MAGENTA = 35;
const GREEN = 32;
const RED = 31;

export type Colors = {
  readonly host: (text: string) => string;
  readonly port: (text: string) => string;
  readonly identity: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly notable: (text: string) => string;
};

const paint = (code: number) => (text: string) => (text === '' ? '' : `\u001b[${code}m${text}\u001b[0m`);
const same = (text: string) => text;

export const colored: Colors = {
  host: paint(CYAN),
  port: paint(YELLOW),
  identity: paint(MAGENTA),
  good: paint(GREEN),
  bad: paint(RED),
  notable: paint(YELLOW),
};
export const uncolored: Colors = { host: same, port: same, identity: same, good: same, bad: same, notable: same };

const escapes: Readonly<Record<string, string>> = { '\u001b': '^[', '\r': '\\r', '\n': '\\n', '\t': '\\t' };

/** `text` without what a terminal would obey or a line would end by. */
export function harmless(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) => escapes[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
