// SPDX-License-Identifier: Apache-2.0
// The chart's CustomResourceDefinitions against what users have: pools in both versions, L2 policies, and the seed as it is.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { hasKubectl, kubectlFor, ok, startTestServer } from './api/server-fixture.ts';
import { createAll, definitions, manifest, seed as seedOf } from './manifests.ts';

const needsKubectl = { skip: hasKubectl() ? false : 'kubectl 1.31 or later is missing' };

test(
  'the seed is applied as it is, pools are one object in two versions, and columns say what is in them',
  needsKubectl,
  async (context) => {
    const server = await startTestServer(context);
    const { store } = server.api;
    for (const one of await definitions()) store.create('customresourcedefinitions.apiextensions.k8s.io', one);
    const kubectl = await kubectlFor(server);
    const seed = await readFile(join(import.meta.dirname, 'seed', 'cilium-l2.yaml'), 'utf8');
    const applied = ok(await kubectl('apply -f -', seed));
    assert.match(applied, /ciliuml2announcementpolicy\.cilium\.io\/policy created\nciliumloadbalancerippool\.cilium\.io\/pool created/);
    assert.match(ok(await kubectl('apply -f -', seed)), /pool unchanged/);
    for (const version of ['v2', 'v2alpha1']) {
      const pool = JSON.parse(ok(await kubectl(`get ciliumloadbalancerippools.${version}.cilium.io pool -o json`)));
      assert.equal(pool.apiVersion, `cilium.io/${version}`);
      assert.deepEqual(pool.spec.blocks, [{ start: '192.168.0.220', stop: '192.168.0.239' }]);
    }
    const pools = ok(await kubectl('get ippools'));
    assert.match(pools, /^NAME +DISABLED +CONFLICTING +IPS AVAILABLE +IPS USED +READY +RANGES +AGE\npool +false /);
    assert.match(ok(await kubectl('get l2announcement')), /^NAME +LOADBALANCER IPS +EXTERNAL IPS +AGE\npolicy +true /);
  },
);

test("the seed's HTTPRoute is applied as it is, and keeps all that it says", needsKubectl, async (context) => {
  const server = await startTestServer(context);
  for (const one of await manifest('gateway-api.yaml')) server.api.store.create('customresourcedefinitions.apiextensions.k8s.io', one);
  const kubectl = await kubectlFor(server);
  const seed = await readFile(join(import.meta.dirname, 'seed', 'httproute-hubble.yaml'), 'utf8');
  assert.match(ok(await kubectl('apply -f -', seed)), /httproute\.gateway\.networking\.k8s\.io\/hubble-ui created/);
  const stored = JSON.parse(ok(await kubectl('-n kube-system get httproutes hubble-ui -o json')));
  assert.deepEqual(stored.spec, parse(seed).spec);
});

test('the seed comes into a sandbox without kubectl, too', async (context) => {
  const { store } = (await startTestServer(context)).api;
  createAll(store, await definitions());
  createAll(store, await seedOf('cilium-l2.yaml'));
  assert.equal(store.get('ciliumloadbalancerippools.cilium.io', { name: 'pool' })?.apiVersion, 'cilium.io/v2');
});

test('a policy of redirects is taken as users have it, and its frontend and backend stay', needsKubectl, async (context) => {
  const server = await startTestServer(context);
  for (const one of await definitions()) server.api.store.create('customresourcedefinitions.apiextensions.k8s.io', one);
  const kubectl = await kubectlFor(server);
  const [, ...policies] = await manifest('local-dns.yaml');
  for (const one of policies) ok(await kubectl('apply -f -', JSON.stringify(one)));
  assert.match(ok(await kubectl('get clrp -A')), /^NAMESPACE +NAME +AGE\nkube-system +internet-dns /);
  assert.match(ok(await kubectl('get ciliumpolicy -A -o name')), /ciliumlocalredirectpolicy\.cilium\.io\/local-dns\n/);
});

const refused = [
  ['allowFirstLastIPs: maybe', /spec\.allowFirstLastIPs: Unsupported value: "maybe": supported values: "Yes", "No"/],
  ['blocks: [{cidr: 192.168.0.0/33}]', /spec\.blocks\[0\]\.cidr/],
  ['blocks: [{begin: 192.168.0.1}]', /unknown field "spec\.blocks\[0\]\.begin"/],
  ['serviceSelector: {matchExpressions: [{key: a, operator: Is}]}', /operator: Unsupported value: "Is"/],
  ['serviceSelector: {matchLabels: {a: "no good"}}', /matchLabels\.a/],
] as const;

for (const [spec, why] of refused)
  test(`a pool with ${spec} is refused by its field`, needsKubectl, async (context) => {
    const server = await startTestServer(context);
    for (const one of await definitions()) server.api.store.create('customresourcedefinitions.apiextensions.k8s.io', one);
    const kubectl = await kubectlFor(server);
    const pool = `apiVersion: cilium.io/v2\nkind: CiliumLoadBalancerIPPool\nmetadata: {name: pool}\nspec: {${spec}}\n`;
    const ran = await kubectl('apply -f -', pool);
    assert.equal(ran.code, 1);
    assert.match(ran.err, why);
  });
