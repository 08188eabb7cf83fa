// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom } from '../base/random.ts';
import { httpMessage } from './http-message.ts';

const message = (text: string) => httpMessage(Buffer.from(text, 'latin1'));

describe('an HTTP message', () => {
  it('is a request with those of its headers that are no secrets', () => {
    const text =
      'POST /cart?item=7 HTTP/1.1\r\nHost: web\r\nAuthorization: Bearer abc\r\nCookie: s=1\r\nUser-Agent:  curl/8 \r\n\r\n{"card": 4111}';
    assert.deepEqual(message(text), {
      kind: 'request',
      method: 'POST',
      target: '/cart?item=7',
      protocol: 'HTTP/1.1',
      headers: [
        { key: 'Host', value: 'web' },
        { key: 'User-Agent', value: 'curl/8' },
      ],
    });
  });

  it('is an answer', () => {
    assert.deepEqual(message('HTTP/1.1 404 Not Found\r\nServer: nginx\r\nSet-Cookie: a=b\r\n\r\n'), {
      kind: 'response',
      protocol: 'HTTP/1.1',
      code: 404,
      headers: [{ key: 'Server', value: 'nginx' }],
    });
    assert.equal(message('HTTP/1.0 200')?.kind, 'response');
  });

  it('has no more headers than whole lines, and none of the body', () => {
    const text = 'GET / HTTP/1.1\r\nHost: web\r\nServer: x\r\n\r\nLocation: in the body\r\n';
    const counts = Array.from({ length: text.length + 1 }, (_, length) => message(text.slice(0, length))?.headers.length ?? -1);
    assert.deepEqual([...new Set(counts)], [-1, 0, 1, 2]);
  });

  it('whose target is longer than what was kept has as much of it', () => {
    const request = message(`GET /${'x'.repeat(600)}`.slice(0, 512));
    assert.ok(request?.kind === 'request');
    assert.deepEqual([request.target.length, request.protocol], [508, undefined]);
  });

  for (const [what, text] of [
    ['of another method', 'BREW /pot HTTP/1.1\r\n\r\n'],
    ['of another protocol', 'GET / SIP/2.0\r\n\r\n'],
    ['without a target', 'GET  HTTP/1.1\r\n\r\n'],
    ['with bytes in its target that no URL has', 'GET /\x1b[2J HTTP/1.1\r\n\r\n'],
    ['with a status that is none', 'HTTP/1.1 999 Odd\r\n\r\n'],
    ['with a status of letters', 'HTTP/1.1 abc\r\n\r\n'],
    ['that is empty', ''],
  ] as const)
    it(`${what} is none`, () => assert.equal(message(text), undefined));

  it('of random bytes, and one that is damaged at random, takes no time and shows nothing that moves a cursor', () => {
    const { below } = randomFrom(80);
    const whole = Buffer.from(`GET /a HTTP/1.1\r\nHost: web\r\nUser-Agent: ${'y'.repeat(300)}\r\nServer: z\r\n\r\n`);
    let understood = 0;
    const started = performance.now();
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(whole);
      for (let hits = below(8); hits > 0; hits--) bytes[below(bytes.length)] = below(256);
      const found = httpMessage(bytes.subarray(0, below(bytes.length + 1)));
      if (!found) continue;
      understood++;
      const shown = [found.kind === 'request' ? found.target : '', ...found.headers.flatMap(({ key, value }) => [key, value])].join('');
      assert.doesNotMatch(shown, /[^\P{Cc}\t]/u);
    }
    assert.ok(understood > 5000, 'else nothing was tested');
    assert.ok(performance.now() - started < 10_000);
  });

  it('that is made to be slow is not', () => {
    const started = performance.now();
    for (const text of [`GET /${' '.repeat(500)}`, `GET / HTTP/1.1\r\nHost:${' \t'.repeat(240)}x\x01\r\n`, `HTTP/1.1 ${'2'.repeat(500)}`])
      for (let i = 0; i < 1000; i++) message(text);
    assert.ok(performance.now() - started < 2000);
  });
});
