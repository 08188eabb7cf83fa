// SPDX-License-Identifier: Apache-2.0
// Objects that agents own, against the API of the sandbox.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestServer, TOKEN } from '../../sandbox/api/server-fixture.ts';
import { kubeClient } from './client.ts';
import { isStatus } from './kube-error.ts';
import { objectTarget } from './objects.ts';
import { pathOf, pathOfObject, resources } from './resources.ts';
import type { KubeObject, Pod } from './types.ts';

type Thing = KubeObject & { readonly data: Readonly<Record<string, string>> };
const things = { kind: 'ConfigMap', apiVersion: 'v1', plural: 'configmaps', namespaced: true } as const;
const NODE = 'stentor.dev/node';

async function startedApi(context: Parameters<typeof startTestServer>[0]) {
  const { api, port } = await startTestServer(context);
  const access = {
    servers: () => [{ url: `https://127.0.0.1:${port}`, name: undefined }],
    insecure: false,
    namespace: undefined,
    credentials: () => ({ token: TOKEN, ca: api.caPem, cert: undefined, key: undefined }),
  };
  const client = kubeClient({ access });
  context.after(() => client.close());
  const agent = (node: string) => {
    const target = objectTarget<Thing>({
      client,
      resource: things,
      owner: resources.pods,
      selection: { labelSelector: `${NODE}=${node}` },
      ours: ({ metadata: { name, namespace = '', labels = {}, ownerReferences = [] }, data }) => ({
        metadata: { name, namespace, labels, ownerReferences },
        data,
      }),
    });
    const row = (uid: string, data: Record<string, string> = { node }): Thing => ({
      metadata: {
        name: 'web-0',
        namespace: 'default',
        labels: { [NODE]: node },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'web-0', uid }],
      },
      data,
    });
    return {
      target,
      put: (uid: string, data?: Record<string, string>) => target.put([['default/web-0', row(uid, data)]]),
      remove: (uid: string) => target.remove([['default/web-0', row(uid)]]),
      row,
    };
  };
  const newPod = async () => {
    const path = pathOfObject(resources.pods, 'web-0', 'default');
    await client.delete(path).catch((error: unknown) => assert.ok(isStatus(error, 404)));
    const { metadata } = await client.create<Pod>(pathOf(resources.pods, 'default'), {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web-0' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    return metadata.uid ?? assert.fail();
  };
  const found = () =>
    client
      .get<Thing>(pathOfObject(things, 'web-0', 'default'))
      .catch((error: unknown) => (isStatus(error, 404) ? undefined : assert.fail(String(error))));
  return { agent, newPod, found };
}

test('an object is made, listed as it was written, changed and removed', async (context) => {
  const { agent, newPod, found } = await startedApi(context);
  const uid = await newPod();
  const { target, put, remove, row } = agent('node1');
  await put(uid);
  assert.deepEqual([...(await target.list())], [['default/web-0', row(uid)]]);
  const before = await found();
  await put(uid, { node: 'node1', more: 'x' });
  assert.deepEqual([(await found())?.data, (await found())?.metadata.uid], [{ node: 'node1', more: 'x' }, before?.metadata.uid]);
  await remove(uid);
  await remove(uid);
  assert.equal(await found(), undefined);
  assert.deepEqual([...(await target.list())], []);
});

test('an agent whose pod has moved on neither overwrites nor removes what the other node says', async (context) => {
  const { agent, newPod, found } = await startedApi(context);
  const [here, there] = [agent('node1'), agent('node2')];
  const old = await newPod();
  await here.put(old);
  const now = await newPod();
  await there.put(now);
  assert.equal((await found())?.data['node'], 'node2');
  await here.put(old);
  await here.remove(old);
  assert.equal((await found())?.data['node'], 'node2');
});
