// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import type { Service } from '../kube/types.ts';
import { lopsided } from './lopsided.ts';
import { cluster, slice } from './testdata/cluster.ts';
import { usualOptions } from './testdata/options.ts';

type Given = {
  readonly flows?: number;
  readonly ofClient?: number;
  readonly backends?: readonly string[];
  readonly annotations?: Record<string, string>;
  readonly spec?: Service['spec'];
};

async function found({ flows = 50, ofClient = 45, backends = ['10.244.1.5', '10.244.2.5'], annotations = {}, spec = {} }: Given) {
  const tables = cluster(undefined, { balance: { ...usualOptions.balance, algorithm: 'maglev' } });
  tables.put({
    metadata: { namespace: 'shop', name: 'cart', annotations },
    spec: { type: 'LoadBalancer', clusterIPs: ['10.96.4.7'], ports: [{ name: 'http', port: 80 }], ...spec },
    status: { loadBalancer: { ingress: [{ ip: '192.0.2.217' }] } },
  });
  tables.putSlice(slice('a', 'cart', backends));
  await tables.synced();
  const address = ip('192.0.2.217');
  const client = { address: ip('192.168.0.10'), flows: ofClient };
  return [...lopsided({ address, frontend: '192.0.2.217:80/TCP', flows, packets: 1000, client }, tables)];
}

const cases: readonly [name: string, given: Given, lopsided: boolean][] = [
  ['one client has most of the connections', {}, true],
  ['it has half of them', { ofClient: 25 }, false],
  ['there are few', { flows: 19, ofClient: 19 }, false],
  ['there is one backend', { backends: ['10.244.1.5'] }, false],
  ['connections are spread one by one', { annotations: { 'lb.stentor.dev/maglev-key': 'flow' } }, false],
  ['backends are chosen at random', { annotations: { 'service.cilium.io/lb-algorithm': 'random' } }, false],
  ['session affinity wants it', { spec: { sessionAffinity: 'ClientIP' } }, false],
];
for (const [name, given, wanted] of cases)
  test(`${wanted ? 'lopsided' : 'not lopsided'}: ${name}`, async () => {
    const rows = await found(given);
    const row = { frontend: '192.0.2.217:80/TCP', service: 'shop/cart', client: '192.168.0.10', flows: 45, of: 50, backends: 2 };
    assert.deepEqual(rows, wanted ? [row] : []);
  });
