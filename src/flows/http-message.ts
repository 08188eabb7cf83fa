// SPDX-License-Identifier: Apache-2.0
// How an HTTP/1 message begins (RFC 9112), as far as it was kept: its first line and some of its headers. Not a byte of the body.

import type { HttpHeader } from './flow.ts';

export type HttpMessage = HttpRequest | HttpResponse;

export type HttpRequest = {
  readonly kind: 'request';
  readonly method: string;
  /** As it stands in the line: mostly a path. */
  readonly target: string;
  /** 'HTTP/1.1'; undefined: the target is so long that it was not kept. */
  readonly protocol: string | undefined;
  /** Of HTTP/2: what Host is before. */
  readonly authority?: string;
  readonly headers: readonly HttpHeader[];
};

export type HttpResponse = {
  readonly kind: 'response';
  readonly protocol: string;
  readonly code: number;
  readonly headers: readonly HttpHeader[];
};

/** Headers that say who talks about what. Others may be secrets, and nobody has asked for them. */
const kept = new Set([
  'host',
  'user-agent',
  'content-type',
  'content-length',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'traceparent',
  'server',
  'location',
]);

const METHODS = 'GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH';
const REQUEST = new RegExp(`^(${METHODS}) ([!-~]+)(?: (HTTP/1\\.[01])$)?`);
const RESPONSE = /^(HTTP\/1\.[01]) ([1-5]\d\d)(?: |$)/;
const UNSEEN = /[^\P{Cc}\t]/u;

/** Whether flows have headers of that name, which is in lower case. */
export const isKept = (name: string): boolean => kept.has(name);

/** Without control characters. */
export const isShowable = (value: string): boolean => !UNSEEN.test(value);

/** Undefined for what is none. */
export function httpMessage(bytes: Buffer): HttpMessage | undefined {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\n');
  const line = (end < 0 ? text : text.slice(0, end)).replace(/\r$/, '');
  const response = RESPONSE.exec(line);
  if (response) {
    const [, protocol = '', code] = response;
    return { kind: 'response', protocol, code: Number(code), headers: headersIn(text, end) };
  }
  const [, method, target, protocol] = REQUEST.exec(line) ?? [];
  if (method === undefined || target === undefined) return undefined;
  if (protocol === undefined && end >= 0) return undefined; // the line is whole and says something else
  return { kind: 'request', method, target, protocol, headers: headersIn(text, end) };
}

/** Whole lines only: the last may have been cut. */
function headersIn(text: string, start: number): readonly HttpHeader[] {
  const headers: HttpHeader[] = [];
  for (let at = start + 1; start >= 0;) {
    const end = text.indexOf('\n', at);
    if (end < 0) break;
    const line = text.slice(at, end).replace(/\r$/, '');
    if (line === '') break;
    const colon = line.indexOf(':');
    const [key, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (colon > 0 && isKept(key.toLowerCase()) && isShowable(value)) headers.push({ key, value });
    at = end + 1;
  }
  return headers;
}

/** The value of the first header of that name, which is lower-case. */
export function headerOf(headers: readonly HttpHeader[], name: string): string | undefined {
  return headers.find(({ key }) => key?.toLowerCase() === name)?.value;
}
