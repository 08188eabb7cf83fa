// SPDX-License-Identifier: Apache-2.0
// What flows do not show of HTTP (hubble.redact of the values). It is taken away where a flow is made, so that nobody who reads, keeps or
// exports flows has it.

import type { HttpHeader } from './flow.ts';

export type Redaction = {
  /** Queries and fragments of URLs. */
  readonly urlQuery: boolean;
  /** Passwords in URLs. */
  readonly userInfo: boolean;
  /** Names of headers in lower case, of one of the two lists: only `allow` are shown, or all but `deny`; with neither, none. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
};

/** What stands in place of what is not shown. */
const REDACTED = 'HUBBLE_REDACTED';

/** `url` is whole ('http://host/path'), or what a client sent in its place. */
export function redactedUrl(url: string, { urlQuery, userInfo }: Redaction): string {
  const shown = urlQuery ? url.replace(/[?#].*$/s, '') : url;
  return userInfo ? withoutPassword(shown) : shown;
}

/** 'http://ann:HUBBLE_REDACTED@host/' */
function withoutPassword(url: string): string {
  const scheme = url.indexOf('://');
  if (scheme < 0 && url.startsWith('/')) return url;
  const start = scheme < 0 ? 0 : scheme + 3; // who asks for a tunnel sends host and port alone
  const length = url.slice(start).search(/[/?#]/);
  const authority = length < 0 ? url.slice(start) : url.slice(start, start + length);
  const at = authority.lastIndexOf('@');
  const colon = authority.indexOf(':');
  if (colon < 0 || colon > at) return url;
  return `${url.slice(0, start)}${authority.slice(0, colon)}:${REDACTED}${authority.slice(at)}${url.slice(start + authority.length)}`;
}

/** The same headers, with values that may be shown; a Location is a URL. */
export function redactedHeaders(headers: readonly HttpHeader[], redaction: Redaction): readonly HttpHeader[] {
  return headers.map(({ key = '', value = '' }) => {
    const name = key.toLowerCase();
    if (!isShown(name, redaction)) return { key, value: REDACTED };
    return { key, value: name === 'location' ? redactedUrl(value, redaction) : value };
  });
}

const isShown = (name: string, { allow, deny }: Redaction): boolean =>
  allow.length > 0 ? allow.includes(name) : deny.length > 0 && !deny.includes(name);
