// SPDX-License-Identifier: Apache-2.0
// The real kubectl against the real server, on loopback.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Store, StoreEvent } from './store.ts';
import { hasKubectl, kubectlFor, startTestServer, until, type Run, type TestServer } from './server-fixture.ts';

const skip = hasKubectl() ? false : 'needs kubectl >= 1.31';

const POD = { metadata: { name: 'web', labels: { app: 'web' } }, spec: { nodeName: 'node1', containers: [{ name: 'c', image: 'web:1' }] } };

/** A kubelet in two sentences: pods run at once, and end at once when they are to be deleted. */
const runPods = (store: Store, signal: AbortSignal): void =>
  store.watch('pods', signal, ({ type, object }: StoreEvent) => {
    const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
    if (type === 'ADDED') {
      const running = { ready: true, restartCount: 0, image: '', imageID: '', state: { running: {} } };
      store.patchStatus('pods', key, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }], containerStatuses: object['spec'].containers.map(({ name }: { name: string }) => ({ name, ...running })) });
    }
    if (type === 'MODIFIED' && object.metadata.deletionTimestamp) store.delete('pods', key, { gracePeriodSeconds: 0 });
  });

const started = async (t: TestContext): Promise<TestServer & { readonly kubectl: (args: string, input?: string) => Promise<Run> }> => {
  const server = await startTestServer(t);
  const stop = new AbortController();
  t.after(() => stop.abort());
  runPods(server.api.store, stop.signal);
  return { ...server, kubectl: await kubectlFor(server) };
};

const ok = (run: Run): string => {
  assert.equal(run.code, 0, run.err);
  return run.out;
};

test('kubectl applies, shows, changes and deletes', { skip }, async (t) => {
  const { kubectl } = await started(t);
  const manifest = (image: string): string => `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, image: '${image}', env: [{ name: A, value: b }] }, { name: d, image: 'd:1' }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }
`;
  assert.match(ok(await kubectl('apply -f -', manifest('c:1'))), /deployment.apps\/web created\nservice\/web created/);
  assert.match(ok(await kubectl('apply -f -', manifest('c:1'))), /deployment.apps\/web unchanged\nservice\/web unchanged/);
  assert.match(ok(await kubectl('apply -f -', manifest('c:2'))), /deployment.apps\/web configured\nservice\/web unchanged/);
  assert.equal(ok(await kubectl("-n shop get deploy web -o 'jsonpath={.spec.template.spec.containers[*].image} {.metadata.generation}'")), 'c:2 d:1 2');
  assert.match(ok(await kubectl('-n shop get deploy,svc -o wide')), /NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\ndeployment.apps\/web +0\/1 .* c,d +c:2,d:1 +app=web/);
  assert.match(ok(await kubectl('-n shop scale deploy web --replicas 4')), /scaled/);
  assert.equal(ok(await kubectl("-n shop get deploy web -o 'jsonpath={.spec.replicas}'")), '4');
  assert.match(ok(await kubectl('-n shop rollout restart deploy web')), /restarted/);
  assert.match(ok(await kubectl('-n shop label svc web tier=front')), /labeled/);
  assert.match(ok(await kubectl('-n shop annotate svc web a=b')), /annotated/);
  assert.match(ok(await kubectl('-n shop get svc -l tier=front -o name')), /service\/web/);
  assert.match(ok(await kubectl('-n shop describe svc web')), /Port: +http +80\/TCP/);
  assert.match(ok(await kubectl('apply --server-side --force-conflicts -f -', manifest('c:3'))), /serverside-applied/);
  assert.match(ok(await kubectl('diff -f -', manifest('c:3'))), /^$/);
  assert.match(ok(await kubectl('delete ns shop --timeout 10s')), /deleted/);
  assert.match((await kubectl('-n shop get deploy web')).err, /NotFound/);
});

test('kubectl creates by typed commands (protobuf bodies)', { skip }, async (t) => {
  const { kubectl } = await started(t);
  for (const command of [
    'create cm settings --from-literal a=b', 'create secret generic s --from-literal k=v', 'create deploy demo --image web:1 --replicas 0 --port 80',
    'create svc clusterip sv --tcp 80:8080', 'create sa bob', 'create role r --verb get --resource pods', 'create rolebinding rb --role r --serviceaccount default:bob',
    'create clusterrole cr --verb get --resource nodes', 'create clusterrolebinding crb --clusterrole cr --user bob', 'create job j --image x -- true',
    "create cronjob cj --image x --schedule '* * * * *'", 'create pdb p --selector app=x --min-available 1', 'create ingress i --rule a.example.com/=sv:80', 'create token bob',
  ])
    ok(await kubectl(command));
  assert.equal(ok(await kubectl("get secret s -o 'jsonpath={.data.k}'")), 'dg==');
  assert.equal(ok(await kubectl("get deploy demo -o 'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort}'")), '0 80');
  assert.equal(ok(await kubectl("get ingress i -o 'jsonpath={.spec.rules[0].http.paths[0].backend.service.port.number}'")), '80');
  assert.match(ok(await kubectl('auth can-i create pods')), /yes/);
  assert.match(ok(await kubectl('auth whoami')), /tester/);
});

test('kubectl runs commands in pods and reads logs', { skip }, async (t) => {
  const { kubectl, api } = await started(t);
  api.store.create('pods', POD);
  ok(await kubectl('wait --for condition=Ready pod/web --timeout 5s'));
  const both = await kubectl("exec web -- sh -c 'echo out; echo err >&2; exit 7'");
  assert.equal(both.code, 7);
  assert.equal(both.out, 'out\n');
  assert.match(both.err, /^err\n/);
  assert.equal(ok(await kubectl('exec -i web -- cat', 'through stdin')), 'through stdin');
  assert.equal(ok(await kubectl("exec web -- sh -c 'head -c 3000000 /dev/zero'")).length, 3_000_000);
  assert.equal(ok(await kubectl('logs web')), 'line 1\nline 2\nline 3\n');
  assert.equal(ok(await kubectl('logs -f web')), 'line 1\nline 2\nline 3\n');
  assert.match((await kubectl('exec nobody -- true')).err, /pods "nobody" not found/);
  assert.match((await kubectl('logs web -c nothing')).err, /container nothing is not valid for pod web/);
  ok(await kubectl('delete pod web --timeout 5s'));
});

test('kubectl reaches pods through the workload that owns them', { skip }, async (t) => {
  const { kubectl, api } = await started(t);
  const { uid } = api.store.create('daemonsets.apps', {
    metadata: { name: 'agent', namespace: 'kube-system' },
    spec: { selector: { matchLabels: { app: 'agent' } }, template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } } },
  }).metadata;
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'agent', uid, controller: true }];
  api.store.create('pods', { ...POD, metadata: { name: 'agent-1', namespace: 'kube-system', labels: { app: 'agent' }, ownerReferences } });
  assert.equal(ok(await kubectl('-n kube-system exec ds/agent -- echo here')), 'here\n');
  assert.match(ok(await kubectl('-n kube-system delete ds agent --timeout 5s')), /deleted/);
  await until('the pod of the daemonset is collected', () => api.store.list('pods').length === 0);
});

test('kubectl follows changes with get -w', { skip }, async (t) => {
  const { kubectl, api } = await started(t);
  const watching = kubectl('get cm -w --request-timeout 3s --field-selector metadata.name=seen');
  const write = setInterval(() => {
    const existing = api.store.get('configmaps', { name: 'seen' });
    if (existing) api.store.patch('configmaps', { name: 'seen' }, { data: { [`k${Date.now()}`]: '' } });
    else api.store.create('configmaps', { metadata: { name: 'seen' } });
  }, 400);
  const { out } = await watching;
  clearInterval(write);
  assert.match(out, /^NAME +DATA +AGE\nseen +\d/);
  assert.ok(out.trim().split('\n').length >= 4, out);
});

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
  const { kubectl } = await started(t);
  ok(await kubectl('apply -f -', CRD));
  ok(await kubectl('wait --for condition=Established crd/pools.example.com --timeout 5s'));
  const pool = (spec: string, version = 'v2'): string => `apiVersion: example.com/${version}\nkind: Pool\nmetadata: {name: p}\nspec: ${spec}`;
  assert.match((await kubectl('apply -f -', pool('{mode: C, blocks: [{cidr: x}, {}, {}]}'))).err, /spec.mode: Unsupported value: "C": supported values: "A", "B"/);
  assert.match((await kubectl('apply -f -', pool('{modus: A}'))).err, /unknown field "spec.modus"/);
  assert.match((await kubectl('apply -f -', 'apiVersion: example.com/v2\nkind: Pool\nmetadata: {name: p}')).err, /spec: Required value/);
  assert.match(ok(await kubectl('apply -f -', pool('{blocks: [{cidr: 10.0.0.0/8}]}'))), /created/);
  assert.match(ok(await kubectl('get pl -o wide')), /NAME +DISABLED +READY +BLOCKS\np +false +10\.0\.0\.0\/8/);
  assert.match(ok(await kubectl(`patch pool p --subresource status --type merge -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]},"spec":{"mode":"B"}}'`)), /patched/);
  assert.equal(ok(await kubectl("get pools.v1.example.com p -o 'jsonpath={.apiVersion} {.spec.mode} {.status.conditions[0].status}'")), 'example.com/v1  True');
  assert.match(ok(await kubectl('apply -f -', pool('{blocks: [{cidr: 10.0.0.0/9}], mode: B}', 'v1'))), /configured/);
  assert.match(ok(await kubectl('explain pool.spec.mode')), /mode <string>/);
  assert.match(ok(await kubectl('delete -f - --timeout 5s', CRD)), /deleted/);
  assert.match((await kubectl('get pools')).err, /the server doesn't have a resource type "pools"|could not find the requested resource/);
});

test('kubectl says what the server refuses', { skip }, async (t) => {
  const { kubectl, api } = await started(t);
  api.store.create('services', { metadata: { name: 'fixed' }, spec: { clusterIP: '10.96.0.10', ports: [{ port: 80 }] } });
  const service = (spec: string): string => `apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: ${spec}`;
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['create cm Bad_Name', '', /metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/],
    ['create cm x -n nowhere', '', /namespaces "nowhere" not found/],
    ['get cm nobody', '', /configmaps "nobody" not found/],
    ['apply -f -', 'apiVersion: frogs.io/v1\nkind: Frog\nmetadata: {name: f}', /no matches for kind "Frog" in version "frogs.io\/v1"\s+ensure CRDs are installed first/],
    ['get frogs', '', /the server doesn't have a resource type "frogs"/],
    ['create svc clusterip fixed --tcp 80', '', /services "fixed" already exists/],
    [`patch svc fixed -p '{"spec":{"clusterIP":"10.96.0.11","clusterIPs":["10.96.0.11"]}}'`, '', /may not change once set/],
    [`patch svc fixed --type json -p '[{"op":"remove","path":"/spec/nothing"}]'`, '', /request is invalid/],
    ['get pods --field-selector spec.frog=1', '', /field label not supported: spec.frog/],
    ['apply -f -', service('{ports: [{port: 80}], selektor: {}}'), /unknown field "spec.selektor"/],
    ['apply -f -', service('{ports: [{port: 70000, protocol: FROG}, {port: many}]}'), /spec.ports\[1\].port: expected an integer, got a string/],
    ['apply -f -', service('{ports: [{port: 70000}]}'), /spec.ports\[0\].port: Invalid value: 70000: must be between 1 and 65535/],
  ];
  for (const [command, input, message] of cases) {
    const run = await kubectl(command, input);
    assert.notEqual(run.code, 0, command);
    assert.match(run.err, message, command);
  }
});
