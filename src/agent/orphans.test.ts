// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMac } from '../base/ip.ts';
import { logTo } from '../base/log.ts';
import { table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { PodRow } from '../identities/facts.ts';
import { orphans } from './orphans.ts';

const row = (pod: string, change: Partial<EndpointRow> = {}): EndpointRow => ({
  hostInterface: `lxc-${pod}`,
  id: 1,
  interfaceIndex: 1,
  containerId: pod,
  interfaceName: 'eth0',
  netns: `/run/netns/${pod}`,
  netnsCookie: '',
  namespace: 'shop',
  pod,
  uid: `${pod}-1`,
  addresses: [],
  mac: parseMac('02:00:00:00:00:01') ?? assert.fail(),
  mtu: 1500,
  ...change,
});

const cases: readonly [what: string, row: EndpointRow, pod: Partial<PodRow> | undefined, netns: boolean, ends: boolean][] = [
  ['pod and namespace are gone', row('a'), undefined, false, true],
  ['another pod has the name, and the namespace is gone', row('a'), { uid: 'a-2' }, false, true],
  ['the namespace is there', row('a'), undefined, true, false],
  ['the API has the pod', row('a'), { uid: 'a-1' }, false, false],
  ['the uid is not known', row('a', { uid: '' }), undefined, false, false],
  ['the namespace is not known', row('a', { netns: '' }), undefined, false, false],
];
for (const [what, endpoint, pod, netns, ends] of cases)
  test(`an endpoint ${ends ? 'ends' : 'stays'} when ${what}`, () => {
    const [endpoints, pods] = [table<string, EndpointRow>('endpoints').writer('test'), table<string, PodRow>('pods').writer('test')];
    endpoints.put(endpoint.hostInterface, endpoint);
    if (pod) pods.put('shop/a', { name: 'a', namespace: 'shop', uid: '', labels: {}, serviceAccount: 'default', ...pod });
    const look = orphans({ endpoints, pods: pods.table, log: logTo(() => undefined, {}), exists: () => netns });
    for (let i = 0; i < 3; i++) assert.equal(look(), false, 'before the API has been heard completely');
    pods.complete();
    assert.equal(look(), false, 'at the first look');
    assert.equal(look(), ends);
    assert.equal(endpoints.table.size, ends ? 0 : 1);
  });
