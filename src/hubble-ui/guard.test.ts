// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import type { TestContext } from 'node:test';
import { kubeClient } from '../kube/client.ts';
import type { KubeClient } from '../kube/client.ts';
import { testApi } from '../kube/testbed.ts';
import type { TestApi } from '../kube/testbed.ts';
import { certificateBook } from './certificates.ts';
import type { Admission, Guard } from './guard.ts';
import { isAmong } from './guards.ts';
import { headerGuard, tokenGuard } from './kube-guard.ts';

/** Who has which token, and whose pods who may list; '*': all. */
const people: Readonly<Record<string, { readonly user: string; readonly groups: readonly string[] }>> = {
  'ann-token': { user: 'ann', groups: ['shoppers'] },
  'root-token': { user: 'root', groups: [] },
  'eve-token': { user: 'eve', groups: [] },
};
const rights: Readonly<Record<string, readonly string[]>> = { shoppers: ['shop'], root: ['*'] };

let api: TestApi;
let client: KubeClient;
let reviews = 0;
let broken = false;

const ends: (() => void)[] = [];

before(async () => {
  api = await testApi({ after: (end: () => void) => ends.push(end) } as unknown as TestContext);
  api.hook = (request, response, url) => {
    const say = (body: unknown) => (
      response.writeHead(broken ? 500 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      true
    );
    if (url.pathname === '/api/v1/namespaces')
      return say({ metadata: {}, items: [{ metadata: { name: 'shop' } }, { metadata: { name: 'bank' } }] });
    if (!url.pathname.endsWith('reviews')) return false;
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      reviews++;
      const { spec } = JSON.parse(text);
      if (url.pathname.endsWith('tokenreviews')) {
        const user = people[spec.token];
        return say({
          status: user ? { authenticated: true, user: { username: user.user, groups: user.groups } } : { authenticated: false },
        });
      }
      const may = [spec.user, ...spec.groups].flatMap((one: string) => rights[one] ?? []);
      return say({ status: { allowed: may.includes('*') || may.includes(spec.resourceAttributes.namespace) } });
    });
    return true;
  };
  client = kubeClient({ access: api.access });
});
after(() => {
  client.close();
  for (const end of ends) end();
});
beforeEach(() => {
  reviews = 0;
  broken = false;
});

/** What the guard says of a real request with these headers. */
async function admission(guard: Guard, headers: Readonly<Record<string, string>>): Promise<Admission> {
  const { promise, resolve } = Promise.withResolvers<Admission>();
  const server = createServer((request, response) => void guard.admit(request).then((found) => (resolve(found), response.end()))).listen(
    0,
    '127.0.0.1',
  );
  await new Promise((done) => server.once('listening', done));
  get({ port: (server.address() as AddressInfo).port, headers, agent: false }, (response) => response.resume());
  const found = await promise;
  server.close();
  return found;
}

const seen = (found: Admission) => (found.kind === 'admitted' ? [found.visitor.user, found.visitor.allowed] : found.status);

const tokens: readonly (readonly [what: string, headers: Readonly<Record<string, string>>, wanted: unknown])[] = [
  ['nobody without a token', {}, 401],
  ['nobody with a token that the cluster does not know', { authorization: 'Bearer made-up' }, 401],
  ['one namespace to who may list its pods', { authorization: 'Bearer ann-token' }, ['ann', ['shop']]],
  ['everything to who may list all pods', { authorization: 'Bearer root-token' }, ['root', undefined]],
  ['nothing to who may list none', { authorization: 'Bearer eve-token' }, 403],
  ['the same with the cookie of the page', { cookie: 'a=b; hubble-token=ann-token' }, ['ann', ['shop']]],
  ['nobody with a cookie that is none', { cookie: 'hubble-token=%E0%A4%A' }, 401],
  ['nobody whom a header names', { 'x-forwarded-user': 'root' }, 401],
];
for (const [what, headers, wanted] of tokens)
  test(`by token the page is shown: ${what}`, async () => assert.deepEqual(seen(await admission(tokenGuard(client), headers)), wanted));

const names = { user: 'X-Forwarded-User', groups: 'X-Forwarded-Groups' };
const headerCases: readonly (readonly [
  what: string,
  proxies: readonly string[],
  headers: Readonly<Record<string, string>>,
  wanted: unknown,
])[] = [
  ['whom a proxy names', ['127.0.0.0/8'], { 'x-forwarded-user': 'ann', 'x-forwarded-groups': 'a, shoppers' }, ['ann', ['shop']]],
  ['nobody whom another names', ['10.0.0.0/8'], { 'x-forwarded-user': 'root' }, 403],
  ['nobody whom the proxy does not name', ['127.0.0.0/8'], {}, 401],
];
for (const [what, proxies, headers, wanted] of headerCases)
  test(`by header the page is shown: ${what}`, async () =>
    assert.deepEqual(seen(await admission(headerGuard(client, names, isAmong(proxies)), headers)), wanted));

test('a right that was taken away ends within a minute, and until then nobody is asked', async () => {
  let time = 0;
  const guard = tokenGuard(client, () => time);
  const headers = { authorization: 'Bearer ann-token' };
  await admission(guard, headers);
  const asked = reviews;
  await admission(guard, headers);
  assert.equal(reviews, asked);
  time = 61_000;
  await admission(guard, headers);
  assert.equal(reviews, 2 * asked);
});

test('while the API does not answer nobody is let in, and it is asked again', async () => {
  const guard = tokenGuard(client);
  const headers = { authorization: 'Bearer ann-token' };
  broken = true;
  const found = await admission(guard, headers);
  assert.equal(seen(found), 503);
  assert.match(found.kind === 'refused' ? found.why : '', /Cannot ask the Kubernetes API/);
  broken = false;
  assert.deepEqual(seen(await admission(guard, headers)), ['ann', ['shop']]);
});

test('a peer is known by its address, also as a socket of both families has it', () => {
  const isProxy = isAmong(['10.1.0.0/16', 'fd00::/8', '192.168.0.7']);
  assert.deepEqual(['10.1.2.3', '::ffff:10.1.2.3', '10.2.0.1', 'fd00::7', 'fe80::1', '192.168.0.7', '192.168.0.8'].map(isProxy), [
    true,
    true,
    false,
    true,
    false,
    true,
    false,
  ]);
});

test('the certificate that a server shows is read, and one that does not answer is none', async () => {
  const node = (name: string, port: number) => ({ name, address: `127.0.0.1:${port}`, tls: true });
  const found = await certificateBook()([node('a', api.port), node('b', 1), { name: 'c', address: `127.0.0.1:${api.port}`, tls: false }]);
  assert.deepEqual(
    found.map(({ of, subject }) => [of, subject]),
    [['a', 'stentor-test']],
  );
  assert.ok((found[0]?.notAfter ?? 0) > Date.now());
});
