// SPDX-License-Identifier: Apache-2.0
// The real kubectl with custom resources, and what it says when the server refuses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasKubectl, kubectlFor, ok, startTestServer } from './server-fixture.ts';

const skip = hasKubectl() ? false : 'needs kubectl >= 1.31';

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: pools.example.com }
spec:
  group: example.com
  scope: Cluster
  names: { plural: pools, singular: pool, kind: Pool, shortNames: [pl] }
  versions:
    - name: v2
      served: true
      storage: true
      subresources: { status: {} }
      additionalPrinterColumns:
        - { name: Disabled, type: boolean, jsonPath: .spec.disabled }
        - { name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status' }
        - { name: Blocks, type: string, jsonPath: '.spec.blocks[*].cidr', priority: 1 }
      schema: &schema
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              properties:
                disabled: { type: boolean, default: false }
                mode: { type: string, enum: [A, B] }
                blocks: { type: array, maxItems: 2, items: { type: object, required: [cidr], properties: { cidr: { type: string, format: cidr } } } }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
    - { name: v1, served: true, storage: false, schema: *schema }
`;

test('kubectl uses custom resources as their definition says', { skip }, async (t) => {
  const kubectl = await kubectlFor(await startTestServer(t));
  ok(await kubectl('apply -f -', CRD));
  ok(await kubectl('wait --for condition=Established crd/pools.example.com --timeout 5s'));
  const pool = (spec: string, version = 'v2'): string =>
    `apiVersion: example.com/${version}\nkind: Pool\nmetadata: {name: p}\nspec: ${spec}`;
  assert.match(
    (await kubectl('apply -f -', pool('{mode: C, blocks: [{cidr: x}, {}, {}]}'))).err,
    /spec.mode: Unsupported value: "C": supported values: "A", "B"/,
  );
  assert.match((await kubectl('apply -f -', pool('{modus: A}'))).err, /unknown field "spec.modus"/);
  assert.match((await kubectl('apply -f -', 'apiVersion: example.com/v2\nkind: Pool\nmetadata: {name: p}')).err, /spec: Required value/);
  assert.match(ok(await kubectl('apply -f -', pool('{blocks: [{cidr: 10.0.0.0/8}]}'))), /created/);
  assert.match(ok(await kubectl('get pl -o wide')), /NAME +DISABLED +READY +BLOCKS\np +false +10\.0\.0\.0\/8/);
  assert.match(
    ok(
      await kubectl(
        `patch pool p --subresource status --type merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]},"spec":{"mode":"B"}}'`,
      ),
    ),
    /patched/,
  );
  assert.equal(
    ok(await kubectl("get pools.v1.example.com p -o 'jsonpath={.apiVersion} {.spec.mode} {.status.conditions[0].status}'")),
    'example.com/v1  True',
  );
  assert.match(ok(await kubectl('apply -f -', pool('{blocks: [{cidr: 10.0.0.0/9}], mode: B}', 'v1'))), /configured/);
  assert.match(ok(await kubectl('explain pool.spec.mode')), /mode <string>/);
  assert.match(ok(await kubectl('delete -f - --timeout 5s', CRD)), /deleted/);
  assert.match((await kubectl('get pools')).err, /the server doesn't have a resource type "pools"|could not find the requested resource/);
});

test('kubectl says what the server refuses', { skip }, async (t) => {
  const server = await startTestServer(t);
  const kubectl = await kubectlFor(server);
  const { api } = server;
  api.store.create('services', { metadata: { name: 'fixed' }, spec: { clusterIP: '10.96.0.10', ports: [{ port: 80 }] } });
  const service = (spec: string): string => `apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: ${spec}`;
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['create cm Bad_Name', '', /metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/],
    ['create cm x -n nowhere', '', /namespaces "nowhere" not found/],
    ['get cm nobody', '', /configmaps "nobody" not found/],
    [
      'apply -f -',
      'apiVersion: frogs.io/v1\nkind: Frog\nmetadata: {name: f}',
      /no matches for kind "Frog" in version "frogs.io\/v1"\s+ensure CRDs are installed first/,
    ],
    ['get frogs', '', /the server doesn't have a resource type "frogs"/],
    ['create svc clusterip fixed --tcp 80', '', /services "fixed" already exists/],
    [`patch svc fixed -p '{"spec":{"clusterIP":"10.96.0.11","clusterIPs":["10.96.0.11"]}}'`, '', /may not change once set/],
    [`patch svc fixed --type json -p '[{"op":"remove","path":"/spec/nothing"}]'`, '', /request is invalid/],
    ['get pods --field-selector spec.frog=1', '', /field label not supported: spec.frog/],
    ['apply -f -', service('{ports: [{port: 80}], selektor: {}}'), /unknown field "spec.selektor"/],
    [
      'apply -f -',
      service('{ports: [{port: 70000, protocol: FROG}, {port: many}]}'),
      /spec.ports\[1\].port: expected an integer, got a string/,
    ],
    ['apply -f -', service('{ports: [{port: 70000}]}'), /spec.ports\[0\].port: Invalid value: 70000: must be between 1 and 65535/],
  ];
  for (const [command, input, message] of cases) {
    const run = await kubectl(command, input);
    assert.notEqual(run.code, 0, command);
    assert.match(run.err, message, command);
  }
});
