// SPDX-License-Identifier: Apache-2.0
// Rows as JSON and back, with the two kinds of value that JSON has not: whole numbers of any size, and bytes.

import { messageOf } from '../base/errors.ts';
import { FormatError } from './bytes.ts';

const NUMBER = '$n';
const BYTES = '$b';

export function textOf(value: unknown): string {
  return JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, shown: unknown) {
    const one = this[key]; // a Buffer has become something else in `shown`
    if (typeof one === 'bigint') return { [NUMBER]: String(one) };
    return one instanceof Uint8Array ? { [BYTES]: Buffer.from(one).toString('base64') } : shown;
  });
}

/** Throws FormatError. */
export function valueOf(text: string): unknown {
  try {
    return text.includes(`"${NUMBER}":`) || text.includes(`"${BYTES}":`) ? JSON.parse(text, revived) : JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`Rows are no JSON: ${messageOf(cause)}`, { cause });
  }
}

function revived(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (NUMBER in value && typeof value[NUMBER] === 'string' && /^-?\d{1,40}$/.test(value[NUMBER])) return BigInt(value[NUMBER]);
  if (BYTES in value && typeof value[BYTES] === 'string') return new Uint8Array(Buffer.from(value[BYTES], 'base64'));
  return value;
}
