// SPDX-License-Identifier: Apache-2.0
// Times as `hubble` prints and reads them: under Go's names for layouts, always in UTC.

import { parseDuration } from '../../base/duration.ts';
import type { Nanoseconds } from '../../flows/flow.ts';
import { UsageError } from '../command.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

const SECOND = 1_000_000_000n;

const two = (number: number) => String(number).padStart(2, '0');

/** 'YYYY-MM-DDTHH:MM:SS' */
const dateTime = (date: Date) => date.toISOString().slice(0, 19);
const fraction = (nanos: number, digits: number) => String(nanos).padStart(9, '0').slice(0, digits);

type Format = (date: Date, nanos: number) => string;

export const timeFormats = {
  StampMilli: (date, nanos) =>
    `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${date.toISOString().slice(11, 19)}.${fraction(nanos, 3)}`,
  YearMonthDay: (date) => date.toISOString().slice(0, 10),
  YearMonthDayHour: (date) => `${date.toISOString().slice(0, 13)}Z`,
  YearMonthDayHourMinute: (date) => `${date.toISOString().slice(0, 16)}Z`,
  RFC3339: (date) => `${dateTime(date)}Z`,
  RFC3339Milli: (date, nanos) => `${dateTime(date)}.${fraction(nanos, 3)}Z`,
  RFC3339Micro: (date, nanos) => `${dateTime(date)}.${fraction(nanos, 6)}Z`,
  RFC3339Nano: (date, nanos) => `${dateTime(date)}${nanos === 0 ? '' : `.${fraction(nanos, 9).replace(/0+$/, '')}`}Z`,
  RFC1123Z: (date) =>
    `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()} ${date.toISOString().slice(11, 19)} +0000`,
} satisfies Readonly<Record<string, Format>>;

export type TimeFormat = keyof typeof timeFormats;

/** Throws UsageError. */
export function timeFormatIn(word: string): TimeFormat {
  const found = Object.keys(timeFormats).find((name): name is TimeFormat => name.toLowerCase() === word.toLowerCase());
  if (found === undefined) throw new UsageError(`Cannot print times as '${word}', wanted one of ${Object.keys(timeFormats).join(', ')}`);
  return found;
}

/** 'N/A' where there is no time. */
export function timeText(time: Nanoseconds | undefined, format: TimeFormat): string {
  if (time === undefined) return 'N/A';
  const date = new Date(Number(time / 1_000_000n));
  return Number.isNaN(date.valueOf()) ? 'N/A' : timeFormats[format](date, Number(time % SECOND));
}

/** What --since and --until take: a duration ago, or a time in one of the layouts above. A layout without a zone is UTC. Throws UsageError. */
export function timeIn(text: string, option: string, now: number): Nanoseconds {
  const ago = parseDuration(text);
  if (ago !== undefined) return nanosecondsAt(now - ago);
  const parsed =
    isoTime(text) ?? stampTime(text, now) ?? (/^\w{3}, \d{2} \w{3} \d{4} /.test(text) ? nanosecondsOf(Date.parse(text)) : undefined);
  if (parsed === undefined)
    throw new UsageError(
      `Cannot understand --${option} '${text}', wanted how long ago, such as 5m or 1h30m, or a time such as 2026-01-31T15:04:05Z`,
    );
  return parsed;
}

function nanosecondsAt(milliseconds: number): Nanoseconds {
  return BigInt(Math.round(milliseconds * 1000)) * 1000n;
}

function nanosecondsOf(milliseconds: number): Nanoseconds | undefined {
  return Number.isNaN(milliseconds) ? undefined : nanosecondsAt(milliseconds);
}

function isoTime(text: string): Nanoseconds | undefined {
  const parts = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?(Z|[+-]\d{2}:\d{2}))?$/.exec(text);
  if (!parts) return undefined;
  const [, day, hour = '00', minute = '00', second = '00', decimals = '', zone = 'Z'] = parts;
  const whole = nanosecondsOf(Date.parse(`${day}T${hour}:${minute}:${second}${zone}`));
  return whole === undefined ? undefined : whole + BigInt(decimals.padEnd(9, '0'));
}

/** 'Jan  2 15:04:05.000', which has no year: the last time that it was so. */
function stampTime(text: string, now: number): Nanoseconds | undefined {
  const parts = /^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?)$/.exec(text);
  const month = MONTHS.findIndex((name) => name === parts?.[1]);
  if (!parts || month < 0) return undefined;
  const year = new Date(now).getUTCFullYear();
  const inYear = (of: number) => Date.parse(`${of}-${two(month + 1)}-${two(Number(parts[2]))}T${parts[3]}Z`);
  return nanosecondsOf(inYear(year) <= now ? inYear(year) : inYear(year - 1));
}
