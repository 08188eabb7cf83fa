// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactedHeaders, redactedUrl } from './redaction.ts';
import type { Redaction } from './redaction.ts';

const none: Redaction = { urlQuery: false, userInfo: false, allow: [], deny: [] };
const urls: readonly (readonly [what: Partial<Redaction>, url: string, wanted: string])[] = [
  [{}, 'http://a:b@web/c?d#e', 'http://a:b@web/c?d#e'],
  [{ urlQuery: true }, 'http://web/c?d#e', 'http://web/c'],
  [{ urlQuery: true }, 'http://web/c#e?d', 'http://web/c'],
  [{ urlQuery: true }, 'http://web?d', 'http://web'],
  [{ urlQuery: true }, '*', '*'],
  [{ userInfo: true }, 'http://a:b@web/c?d', 'http://a:HUBBLE_REDACTED@web/c?d'],
  [{ userInfo: true }, 'http://a:b@c:d@web/', 'http://a:HUBBLE_REDACTED@web/'],
  [{ userInfo: true }, 'http://:b@web', 'http://:HUBBLE_REDACTED@web'],
  [{ userInfo: true }, 'a:b@web:443', 'a:HUBBLE_REDACTED@web:443'],
  [{ userInfo: true }, 'http://a@web:80/', 'http://a@web:80/'],
  [{ userInfo: true }, 'http://web:80/c:d@e', 'http://web:80/c:d@e'],
  [{ userInfo: true }, 'http://[fd00::1]:80/', 'http://[fd00::1]:80/'],
  [{ userInfo: true }, '/c:d@e', '/c:d@e'],
];
for (const [what, url, wanted] of urls)
  test(`of ${url} flows show ${wanted} with ${JSON.stringify(what)}`, () => assert.equal(redactedUrl(url, { ...none, ...what }), wanted));

const headers = [
  { key: 'Host', value: 'web' },
  { key: 'Location', value: 'http://web/?d' },
];
const lists: readonly (readonly [what: Partial<Redaction>, wanted: readonly string[]])[] = [
  [{}, ['HUBBLE_REDACTED', 'HUBBLE_REDACTED']],
  [{ allow: ['host'] }, ['web', 'HUBBLE_REDACTED']],
  [{ deny: ['host'] }, ['HUBBLE_REDACTED', 'http://web/?d']],
  [{ deny: ['host'], urlQuery: true }, ['HUBBLE_REDACTED', 'http://web/']],
];
for (const [what, wanted] of lists)
  test(`of headers flows show ${wanted.join(' and ')} with ${JSON.stringify(what)}`, () =>
    assert.deepEqual(
      redactedHeaders(headers, { ...none, ...what }).map(({ value }) => value),
      wanted,
    ));
