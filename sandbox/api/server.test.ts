// SPDX-License-Identifier: Apache-2.0
// The real kubectl against the real server, on loopback.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { Store, StoreEvent } from './store.ts';
import { hasKubectl, kubectlFor, ok, startTestServer, until } from './server-fixture.ts';
import type { Run, TestServer } from './server-fixture.ts';

const skip = hasKubectl() ? false : 'needs kubectl >= 1.31';

const POD = { metadata: { name: 'web', labels: { app: 'web' } }, spec: { nodeName: 'node1', containers: [{ name: 'c', image: 'web:1' }] } };

/** A kubelet in two sentences: pods run at once, and end at once when they are to be deleted. */
const runPods = (store: Store, signal: AbortSignal): void =>
  store.watch('pods', signal, ({ type, object }: StoreEvent) => {
    const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
    if (type === 'ADDED') {
      const running = { ready: true, restartCount: 0, image: '', imageID: '', state: { running: {} } };
      store.patchStatus('pods', key, {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: object['spec'].containers.map(({ name }: { name: string }) => ({ name, ...running })),
      });
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
  assert.equal(
    ok(await kubectl("-n shop get deploy web -o 'jsonpath={.spec.template.spec.containers[*].image} {.metadata.generation}'")),
    'c:2 d:1 2',
  );
  assert.match(
    ok(await kubectl('-n shop get deploy,svc -o wide')),
    /NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\ndeployment.apps\/web +0\/1 .* c,d +c:2,d:1 +app=web/,
  );
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
    'create cm settings --from-literal a=b',
    'create secret generic s --from-literal k=v',
    'create deploy demo --image web:1 --replicas 0 --port 80',
    'create svc clusterip sv --tcp 80:8080',
    'create sa bob',
    'create role r --verb get --resource pods',
    'create rolebinding rb --role r --serviceaccount default:bob',
    'create clusterrole cr --verb get --resource nodes',
    'create clusterrolebinding crb --clusterrole cr --user bob',
    'create job j --image x -- true',
    "create cronjob cj --image x --schedule '* * * * *'",
    'create pdb p --selector app=x --min-available 1',
    'create ingress i --rule a.example.com/=sv:80',
    'create token bob',
  ])
    ok(await kubectl(command));
  assert.equal(ok(await kubectl("get secret s -o 'jsonpath={.data.k}'")), 'dg==');
  assert.equal(
    ok(await kubectl("get deploy demo -o 'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort}'")),
    '0 80',
  );
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
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
    },
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
