// SPDX-License-Identifier: Apache-2.0
// Finding the API and our credentials.

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { StentorError } from '../base/errors.ts';
import { kubeAccess } from './config.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n';
const base64 = (text: string) => Buffer.from(text).toString('base64');

function folderOf(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'stentor-config-'));
  context.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const kubeconfig = (user: string, cluster = '') => `
apiVersion: v1
kind: Config
current-context: home
contexts:
- {name: home, context: {cluster: talos, user: admin, namespace: shop}}
- {name: nobody, context: {cluster: talos}}
- {name: broken, context: {cluster: gone, user: admin}}
clusters:
- name: talos
  cluster:
    server: https://10.0.0.1:6443/
    ${cluster}
users:
- name: admin
  user: {${user}}
`;

test('a kubeconfig gives server, authority, user and namespace of its current context', async (context) => {
  const folder = folderOf(context, { config: kubeconfig('token: abc', `certificate-authority-data: ${base64(PEM)}`) });
  const access = await kubeAccess({ kubeconfig: join(folder, 'config') });
  assert.deepEqual([access.servers().map(({ url }) => url), access.insecure, access.namespace], [['https://10.0.0.1:6443'], false, 'shop']);
  assert.deepEqual(access.credentials(), { token: 'abc', ca: PEM, cert: undefined, key: undefined });
});

test('files that a kubeconfig names are found beside it', async (context) => {
  const user = 'tokenFile: my-token, client-certificate: my.crt, client-key-data: ' + base64('-----BEGIN KEY-----');
  const folder = folderOf(context, {
    config: kubeconfig(user, 'certificate-authority: ca.pem'),
    'my-token': 'abc\n',
    'my.crt': PEM,
    'ca.pem': PEM,
  });
  const access = await kubeAccess({ kubeconfig: join(folder, 'config') });
  assert.deepEqual(access.credentials(), { token: 'abc', ca: PEM, cert: PEM, key: '-----BEGIN KEY-----' });
});

test('another context, another server, a name for the certificate, and no verification are used as asked for', async (context) => {
  const folder = folderOf(context, { config: kubeconfig('token: abc', 'insecure-skip-tls-verify: true\n    tls-server-name: kubernetes') });
  const access = await kubeAccess({ kubeconfig: join(folder, 'config'), context: 'nobody', servers: ['https://[fd00::1]:7445'] });
  assert.deepEqual(
    [access.servers(), access.insecure, access.credentials().token],
    [[{ url: 'https://[fd00::1]:7445', name: 'kubernetes' }], true, undefined],
  );
});

const refused: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'an exec plugin of another time',
    kubeconfig('exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}'),
    'home',
    /Cannot get credentials from 'aws': its apiVersion is/,
  ],
  [
    'an exec plugin that is not there',
    kubeconfig('exec: {command: /nowhere/aws, apiVersion: client.authentication.k8s.io/v1, installHint: Install it}'),
    'home',
    /Cannot get credentials from '\/nowhere\/aws': .*ENOENT.*; Install it/,
  ],
  ['a password', kubeconfig('username: me, password: x'), 'home', /it has 'username'/],
  ['a proxy', kubeconfig('token: a', 'proxy-url: http://proxy'), 'home', /it has 'proxy-url'/],
  ['a context that is not there', kubeconfig('token: a'), 'other', /contexts has no 'other'/],
  ['a cluster that is not there', kubeconfig('token: a'), 'broken', /clusters has no 'gone'/],
  [
    'certificate data that is none',
    kubeconfig('token: a', 'certificate-authority-data: "!!"'),
    'home',
    /'certificate-authority-data' is not PEM in base64/,
  ],
  ['a file that is not there', kubeconfig('tokenFile: nowhere'), 'home', /Cannot read .*nowhere for the Kubernetes API: ENOENT/],
  ['no YAML', 'a: [', 'home', /Cannot read kubeconfig/],
  ['YAML that is no map', '- 1', 'home', /contexts has no 'home'/],
  ['an empty file', '', 'home', /contexts has no 'home'/],
  [
    'a server that is no URL',
    kubeconfig('token: a').replace('https://10.0.0.1:6443/', 'ten'),
    'home',
    /Cannot use 'ten' as the address of the Kubernetes API/,
  ],
];
for (const [what, text, name, message] of refused) {
  test(`a kubeconfig with ${what} is refused with what is wrong`, async (context) => {
    const folder = folderOf(context, { config: text });
    await assert.rejects(
      kubeAccess({ kubeconfig: join(folder, 'config'), context: name }),
      (error) => error instanceof StentorError && message.test(error.message),
    );
  });
}

test('a kubeconfig without a current context wants one', async (context) => {
  const folder = folderOf(context, { config: 'kind: Config' });
  await assert.rejects(kubeAccess({ kubeconfig: join(folder, 'config') }), /has no current-context/);
});

const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

test('in a pod the server is in the environment, or as asked for, and a token that was replaced is used', async (context) => {
  const podFolder = folderOf(context, { token: 'one\n', 'ca.crt': PEM, namespace: 'kube-system' });
  const access = await kubeAccess({ podFolder, env });
  assert.deepEqual(
    [access.servers()[0]?.url, access.namespace, access.credentials().token, access.credentials().ca],
    ['https://10.96.0.1:443', 'kube-system', 'one', PEM],
  );
  writeFileSync(join(podFolder, 'new'), 'two\n');
  renameSync(join(podFolder, 'new'), join(podFolder, 'token'));
  assert.equal(access.credentials().token, 'two');
  const learned = () => ['https://192.168.0.12:6443'];
  const both = await kubeAccess({ podFolder, env, servers: ['https://127.0.0.1:7445/'], learned });
  assert.deepEqual(both.servers(), [
    { url: 'https://127.0.0.1:7445', name: undefined },
    { url: 'https://192.168.0.12:6443', name: 'kubernetes.default.svc' },
  ]);
});

test('outside of a pod and without a kubeconfig it is said what is wanted', async () => {
  await assert.rejects(kubeAccess({ env: {} }), /KUBERNETES_SERVICE_HOST is not set, wanted a pod, a kubeconfig file, or k8sServiceHost/);
  await assert.rejects(kubeAccess({ env, podFolder: '/nowhere' }), /Cannot read \/nowhere\/token for the Kubernetes API: ENOENT/);
});
