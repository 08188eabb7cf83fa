// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { backendFor } from './gateway-routes.ts';
import type { HttpRoute } from './gateway-routes.ts';

const at = { namespace: 'networking', gateway: 'envoy-internal', section: 'https' };
const route = (spec: HttpRoute['spec']): HttpRoute => ({ metadata: { uid: '1', name: 'r', namespace: 'shop' }, spec });
const here = { name: 'envoy-internal', namespace: 'networking' };
const rule = (name: string, ...paths: readonly string[]) => ({
  backendRefs: [{ name, port: 8080 }],
  ...(paths.length > 0 && { matches: paths.map((value) => ({ path: { value } })) }),
});

test("the seed's route leads to the page and nowhere else", async () => {
  const seed = parse(await readFile(join(import.meta.dirname, '../seed/httproute-hubble.yaml'), 'utf8'));
  const page = { service: 'hubble-ui', namespace: 'kube-system', port: 80 };
  assert.deepEqual(backendFor([seed], at, 'hubble.example.com', '/api/live'), page);
  assert.deepEqual(backendFor([seed], at, 'Hubble.Example.COM', '/'), page);
  assert.equal(backendFor([seed], at, 'other.example.com', '/'), undefined);
  assert.equal(backendFor([seed], { ...at, section: 'http' }, 'hubble.example.com', '/'), undefined);
  assert.equal(backendFor([seed], { ...at, gateway: 'envoy-external' }, 'hubble.example.com', '/'), undefined);
});

const cases: readonly (readonly [what: string, routes: readonly HttpRoute[], path: string, wanted: string | undefined])[] = [
  ['any name where a route has none', [route({ parentRefs: [here], rules: [rule('a')] })], '/', 'a'],
  ['names by a star', [route({ parentRefs: [here], hostnames: ['*.example.com'], rules: [rule('a')] })], '/', 'a'],
  [
    'no name that a star does not cover',
    [route({ parentRefs: [here], hostnames: ['*.x.example.com'], rules: [rule('a')] })],
    '/',
    undefined,
  ],
  ['the longest prefix', [route({ parentRefs: [here], rules: [rule('a'), rule('b', '/api/'), rule('c', '/ap')] })], '/api/x', 'b'],
  ['whole segments', [route({ parentRefs: [here], rules: [rule('b', '/api')] })], '/apis', undefined],
  ['no route of another gateway', [route({ parentRefs: [{ name: 'envoy-internal' }], rules: [rule('a')] })], '/', undefined],
];

for (const [what, routes, path, wanted] of cases)
  test(`a gateway follows ${what}`, () => assert.equal(backendFor(routes, at, 'hubble.example.com', path)?.service, wanted));
