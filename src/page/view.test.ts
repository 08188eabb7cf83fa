// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Verdict } from '../flows/flow-enums.ts';
import type { Flow } from '../flows/flow.ts';
import { flowPredicate } from '../hubble/filter.ts';
import { endOf, workloadName } from './ends.ts';
import { filtersOf } from './flow-filter.ts';
import { paramsOf, viewOf } from './view.ts';

const addresses = [
  '',
  'ns=checks&ns=shop',
  'verdict=dropped&from.pod=shop%2Fcart&not.port=53&window=15m',
  'link=shop%2Ffrontend%3Eshop%2Fcart&since=2026-03-01T12%3A00%3A00Z&until=2026-03-01T13%3A00%3A00Z',
  'to.name=*.example.com&status=5%2B&window=1h',
];
for (const address of addresses)
  test(`an address is the view, and the view the address: ?${address}`, () => {
    assert.equal(String(paramsOf(viewOf(new URLSearchParams(address)))), address);
  });

const refused: readonly (readonly [address: string, says: RegExp])[] = [
  ['verdict=maybe', /Cannot filter by verdict 'maybe', wanted one of/],
  ['port=70000', /wanted a port/],
  ['from.verdict=dropped', /verdict has no sides/],
  ['ns=Shop', /namespace 'Shop'/],
  ['window=2h', /window of '2h'/],
  ['since=2026-03-01T12:00:00Z', /without since and until/],
  ['since=2026-03-02T12:00:00Z&until=2026-03-01T12:00:00Z', /ends before it begins/],
  ['since=yesterday&until=now', /Cannot look since 'yesterday'/],
  [Array.from({ length: 41 }, (_, i) => `port=${i + 1}`).join('&'), /more than 40/],
];
for (const [address, says] of refused)
  test(`?${address.slice(0, 60)} is refused with what is wrong`, () => {
    assert.throws(() => viewOf(new URLSearchParams(address)), { name: 'ViewError', message: says });
  });

const frontend = { identity: 1001, namespace: 'shop', podName: 'frontend-6c9f8b7d45-x2b4z' };
const cart = { identity: 1002, namespace: 'shop', podName: 'cart-6c9f8b7d45-x2b4z' };
const cartDb = { identity: 1003, namespace: 'shop', podName: 'cart-db-6c9f8b7d45-x2b4z' };
const check = { identity: 1004, namespace: 'checks', podName: 'client' };
const flow = (rest: Partial<Flow>): Flow => ({
  time: 1n,
  uuid: 'a',
  verdict: Verdict.FORWARDED,
  type: 1,
  nodeName: 'default/node1',
  summary: '',
  ip: { source: '10.0.0.1', destination: '10.0.0.2', ipVersion: 1 },
  l4: { kind: 'TCP', sourcePort: 40_000, destinationPort: 80 },
  isReply: false,
  ...rest,
});
const flows: Readonly<Record<string, Flow>> = {
  asks: flow({ source: frontend, destination: cart }),
  answers: flow({ source: cart, destination: frontend, isReply: true }),
  other: flow({ source: cart, destination: frontend }),
  dropped: flow({ source: frontend, destination: cart, isReply: undefined, verdict: Verdict.DROPPED }),
  database: flow({ source: cart, destination: cartDb, l4: { kind: 'TCP', sourcePort: 40_000, destinationPort: 5432 } }),
  check: flow({ source: check, destination: frontend }),
  world: flow({ source: frontend, destination: { identity: 2, labels: ['reserved:world'] } }),
  named: flow({ source: cart, destination: { identity: 2, labels: ['reserved:world'] }, destinationNames: ['api.example.com'] }),
};
const all = Object.keys(flows);

const filtered: readonly (readonly [address: string, wanted: readonly string[], allowed?: readonly string[]])[] = [
  ['', all],
  ['at=shop/cart', ['asks', 'answers', 'other', 'dropped', 'database', 'named']],
  ['link=shop/frontend>shop/cart', ['asks', 'answers', 'dropped']],
  ['link=shop/frontend>shop/cart&verdict=dropped', ['dropped']],
  ['not.at=shop/cart', ['check', 'world']],
  ['at=world', ['world']],
  ['at=name:api.example.com', ['named']],
  ['from.pod=shop/cart-db', []],
  ['to.pod=shop/cart-db', ['database']],
  ['ns=checks', ['check']],
  ['port=5432', ['database']],
  ['port=5432&port=80&not.pod=shop/frontend', ['database', 'named']],
  ['verdict=dropped', ['dropped']],
  ['pod=shop/frontend&ns=checks', ['check']],
  ['', ['check'], ['checks']],
  ['at=shop/cart', [], ['checks']],
  ['ns=shop', ['check'], ['checks']], // between a namespace that they may see and one that they may not
  ['', [], []],
];
for (const [address, wanted, allowed] of filtered)
  test(`?${address} shows ${wanted.join(', ') || 'nothing'}${allowed ? ` to who may see ${allowed.join(', ') || 'nothing'}` : ''}`, () => {
    const { whitelist, blacklist, matches } = filtersOf(viewOf(new URLSearchParams(address)), allowed);
    const isGiven = flowPredicate({ whitelist, blacklist });
    const shown = Object.entries(flows).filter(([, one]) => isGiven(one) && matches(one));
    assert.deepEqual(
      shown.map(([name]) => name),
      wanted,
    );
  });

test('two conditions for the pod of one side cannot be joined', () => {
  assert.throws(() => filtersOf(viewOf(new URLSearchParams('from.pod=a/b&pod=c/d'))), {
    name: 'ViewError',
    message: /both speak of the source/,
  });
});

for (const [pod, workload] of [
  ['cart-6c9f8b7d45-x2b4z', 'cart'],
  ['store-0', 'store'],
  ['node-agent-x2b4z', 'node-agent'],
  ['client', 'client'],
  ['cart-db-6c9f8b7d45-x2b4z', 'cart-db'],
] as const)
  test(`the pod ${pod} belongs to ${workload}`, () => assert.equal(workloadName(pod), workload));

test('an end is its workload, else a name by which it was asked for, else what it is reserved for', () => {
  assert.equal(endOf({ ...cart, workloads: [{ name: 'basket', kind: 'Deployment' }] }).id, 'shop/basket');
  assert.equal(endOf({ identity: 2 }, ['API.example.com.']).id, 'name:api.example.com');
  assert.equal(endOf({ identity: 16_777_300 }).id, 'world');
  assert.equal(endOf({ identity: 6 }).id, 'host');
  assert.equal(endOf({ identity: 7, labels: ['reserved:kube-apiserver', 'reserved:remote-node'] }).id, 'kube-apiserver');
  assert.equal(endOf({ identity: 6, labels: ['reserved:kube-apiserver', 'reserved:remote-node'] }).id, 'kube-apiserver');
  assert.equal(endOf(undefined).id, 'unknown');
});
