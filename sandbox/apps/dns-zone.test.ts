// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo } from './dns-zone.ts';
import type { DnsObjects } from './dns-zone.ts';

const objects: DnsObjects = {
  services: [
    {
      metadata: { uid: '1', name: 'web', namespace: 'shop' },
      spec: { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1', 'fd00:10:96::1'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
    },
    { metadata: { uid: '2', name: 'db', namespace: 'shop' }, spec: { clusterIP: 'None', clusterIPs: ['None'] } },
    { metadata: { uid: '3', name: 'other', namespace: 'shop' }, spec: { externalName: 'www.example.com' } },
    { metadata: { uid: '5', name: 'itself', namespace: 'shop' }, spec: { externalName: 'itself.shop.svc.cluster.local' } },
  ],
  slices: [
    {
      metadata: { uid: '4', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'db' } },
      endpoints: [
        { addresses: ['10.244.1.5'], hostname: 'db-0', conditions: { ready: true } },
        { addresses: ['10.244.1.6'], conditions: { ready: false } },
      ],
    },
  ],
};
const data = (name: string, type: 'A' | 'AAAA' | 'SRV') =>
  answerTo(name, type, objects)?.map((answer) => ('data' in answer ? answer.data : undefined));

for (const [name, type, wanted] of [
  ['web.shop.svc.cluster.local', 'A', ['10.96.1.1']],
  ['web.shop.svc.cluster.local', 'AAAA', ['fd00:10:96::1']],
  ['db.shop.svc.cluster.local', 'A', ['10.244.1.5']],
  ['db.shop.svc.cluster.local', 'AAAA', []],
  ['db-0.db.shop.svc.cluster.local', 'A', ['10.244.1.5']],
  ['other.shop.svc.cluster.local', 'A', ['www.example.com', '203.0.113.10']],
  ['itself.shop.svc.cluster.local', 'A', Array.from({ length: 9 }, () => 'itself.shop.svc.cluster.local')],
  ['_http._tcp.web.shop.svc.cluster.local', 'SRV', [{ port: 80, target: 'web.shop.svc.cluster.local', priority: 0, weight: 100 }]],
  ['bank.example.com', 'A', ['203.0.113.10']],
  ['nobody.shop.svc.cluster.local', 'A', undefined],
  ['web.shop.svc.cluster.local.shop.svc.cluster.local', 'A', undefined],
  ['svc.cluster.local', 'A', undefined],
  ['unknown.example.org', 'A', undefined],
] as const) {
  test(`${type} of ${name} is ${JSON.stringify(wanted) ?? 'unknown'}`, () => assert.deepEqual(data(name, type), wanted));
}
