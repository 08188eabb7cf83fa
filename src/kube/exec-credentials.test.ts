// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { kubeAccess } from './config.ts';
import { credentialsIn, keptCredentials } from './exec-credentials.ts';
import type { ExecPlugin } from './exec-credentials.ts';

const V1 = 'client.authentication.k8s.io/v1';
const answer = (status: object, apiVersion = V1) => JSON.stringify({ kind: 'ExecCredential', apiVersion, status });

const answers: readonly [what: string, text: string, says: RegExp | undefined][] = [
  ['a token', answer({ token: 'abc' }), undefined],
  ['a certificate', answer({ clientCertificateData: 'C', clientKeyData: 'K' }), undefined],
  ['an expiry', answer({ token: 'abc', expirationTimestamp: '2030-01-02T03:04:05Z' }), undefined],
  ['nothing', '', /no JSON/],
  ['another kind', '{"kind":"Status"}', /kind is .{1,2}Status.{1,2}, wanted ExecCredential/],
  ['another version', answer({ token: 'abc' }, `${V1}beta1`), /answers in .*v1beta1.*, asked in/],
  ['no credentials', answer({}), /neither token nor clientCertificateData/],
  ['half a certificate', answer({ clientCertificateData: 'C' }), /wanted both/],
  ['an expiry that is none', answer({ token: 'abc', expirationTimestamp: 'soon' }), /'soon', wanted RFC 3339/],
];
for (const [what, text, says] of answers)
  test(`an answer with ${what} is ${says === undefined ? 'read' : 'refused'}`, () => {
    const found = credentialsIn(text, V1);
    if (says === undefined) assert.equal(typeof found, 'object');
    else assert.match(JSON.stringify(found), says);
  });

/** A program that answers with a new token each time, and writes down what it was told. */
function program(context: TestContext, lifetimeSeconds: number) {
  const folder = mkdtempSync(join(tmpdir(), 'stentor-exec-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const script = `#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" > ${folder}/asked
echo x >> ${folder}/count
date=$(date -u -d "+${lifetimeSeconds} seconds" +%Y-%m-%dT%H:%M:%SZ)
echo "{\\"kind\\":\\"ExecCredential\\",\\"apiVersion\\":\\"${V1}\\",\\"status\\":{\\"token\\":\\"$PREFIX$1$(wc -l < ${folder}/count)\\",\\"expirationTimestamp\\":\\"$date\\"}}"
`;
  writeFileSync(join(folder, 'tool'), script);
  chmodSync(join(folder, 'tool'), 0o755);
  const plugin: ExecPlugin = {
    apiVersion: V1,
    command: './tool',
    args: ['-'],
    env: { PREFIX: 'token' },
    installHint: undefined,
    interactiveMode: 'Never',
    cluster: undefined,
  };
  return { folder, plugin, config: join(folder, 'config') };
}

test('a token is asked for again before it ends, and when the server rejects it', async (context) => {
  const short = program(context, 30);
  const kept = await keptCredentials(short.plugin, short.config);
  assert.equal(kept.now().token, 'token-1');
  await Promise.all([kept.renew(false), kept.renew(false)]);
  assert.equal(kept.now().token, 'token-2', 'it ends within a minute: asked again, once for both');
  for (let request = 0; request < 50; request++) await kept.renew(false);
  assert.equal(kept.now().token, 'token-2', 'a clock that is wrong by days starts no program for each request');
  await kept.renew(true);
  assert.equal(kept.now().token, 'token-3', 'a server that says no is believed');
  const long = program(context, 3600);
  const calm = await keptCredentials(long.plugin, long.config);
  await calm.renew(false);
  assert.equal(calm.now().token, 'token-1');
  await calm.renew(true);
  assert.equal(calm.now().token, 'token-2');
});

test('a kubeconfig with a plugin gives its token, and tells it of the cluster when it asks for that', async (context) => {
  const { folder, config } = program(context, 3600);
  writeFileSync(
    config,
    JSON.stringify({
      'current-context': 'home',
      contexts: [{ name: 'home', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443' } }],
      users: [
        {
          name: 'u',
          user: {
            exec: { apiVersion: V1, command: './tool', args: ['-'], env: [{ name: 'PREFIX', value: 't' }], provideClusterInfo: true },
          },
        },
      ],
    }),
  );
  const access = await kubeAccess({ kubeconfig: config });
  assert.equal(access.credentials().token, 't-1');
  const asked = JSON.parse(readFileSync(join(folder, 'asked'), 'utf8'));
  assert.deepEqual([asked.kind, asked.spec.interactive, asked.spec.cluster.server], ['ExecCredential', false, 'https://10.0.0.1:6443']);
  await access.renew?.(true);
  assert.equal(access.credentials().token, 't-2');
});

test('a plugin that wants to be talked to, and one that fails, say so', async (context) => {
  const { plugin, config } = program(context, 60);
  await assert.rejects(keptCredentials({ ...plugin, interactiveMode: 'Always' }, config), /nobody is here to be asked/);
  await assert.rejects(
    keptCredentials({ ...plugin, command: 'sh', args: ['-c', 'echo log in first >&2; exit 3'] }, config),
    /'sh': log in first/,
  );
});
