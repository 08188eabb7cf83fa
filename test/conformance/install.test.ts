// SPDX-License-Identifier: Apache-2.0
// The chart in the hands of the real helm before an API that validates what it gets.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kubectlFor, startTestServer } from '../../sandbox/api/server-fixture.ts';
import { CHART, helm, SEED } from './helm.ts';

const run = helm();
const options = typeof run === 'string' ? { skip: run } : {};

test('an API takes all of it: installed, upgraded, removed; the notes have what does nothing', options, async (t) => {
  assert.ok(typeof run !== 'string');
  const server = await startTestServer(t);
  await kubectlFor(server); // writes the kubeconfig
  const env = { KUBECONFIG: join(server.dir, 'kubeconfig'), HOME: server.dir };
  const helmed = (verb: string, ...args: readonly string[]) => run.beside([verb, 'cilium', ...args, '--namespace', 'kube-system'], env);
  const values = join(server.dir, 'values.yaml');
  writeFileSync(values, `${readFileSync(SEED, 'utf8')}\nenvoy: {enabled: false}\nsctp: {enabled: true}\n`);
  const { code, out, err } = await helmed('install', CHART, '-f', values);
  assert.equal(code, 0, err);
  assert.match(out, /Values without effect:\n {2}envoy\.enabled has no effect in this version\n {2}sctp\.enabled has no effect/);
  const { store } = server.api;
  assert.ok(store.get('daemonsets.apps', { namespace: 'kube-system', name: 'cilium' }));
  assert.ok(store.get('customresourcedefinitions.apiextensions.k8s.io', { name: 'ciliumnodes.cilium.io' }));
  const upgraded = await helmed('upgrade', CHART, '-f', values, '--set', 'hubble.ui.enabled=false');
  assert.equal(upgraded.code, 0, upgraded.err);
  assert.equal(store.get('deployments.apps', { namespace: 'kube-system', name: 'hubble-ui' }), undefined);
  const removed = await helmed('uninstall');
  assert.equal(removed.code, 0, removed.err);
  assert.equal(store.get('daemonsets.apps', { namespace: 'kube-system', name: 'cilium' }), undefined);
  assert.ok(store.get('customresourcedefinitions.apiextensions.k8s.io', { name: 'ciliumnodes.cilium.io' }));
});
