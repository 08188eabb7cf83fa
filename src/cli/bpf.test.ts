// SPDX-License-Identifier: Apache-2.0
// Rows of the maps as users read them. Reading the pinned maps themselves is a check of the sandbox.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import { ConntrackFlag, LbServiceFlag } from '../datapath/schema.gen.ts';
import { untold } from '../datapath/testdata/rows.ts';
import type { ConntrackEntry, Flow } from '../datapath/schema.gen.ts';
import { conntrackLine, conntrackRows, natLine } from './bpf-conntrack.ts';
import { backendMapRows, reverseRows, rowsObject, serviceMapRows } from './bpf-lb.ts';
import type { ServiceMaps } from './bpf-lb.ts';
import { maglevTables, partsBy, sharesText } from './bpf-maglev.ts';

const maps: ServiceMaps = {
  services: [
    {
      key: { address: ip('fd00::9'), port: 53, protocol: 17 },
      value: { id: 7, backends: 0, affinity: 600, outside: 0, outsideBackends: 0, flags: 0, redirect: 0, redirectBackends: 0 },
    },
    {
      key: { address: ip('10.96.0.1'), port: 443, protocol: 6 },
      value: { id: 1, backends: 3, affinity: 0, outside: 0, outsideBackends: 0, flags: 0, redirect: 0, redirectBackends: 0 },
    },
  ],
  slots: [
    { key: { service: 1, slot: 0 }, value: { backend: 4 } },
    { key: { service: 1, slot: 1 }, value: { backend: 5 } },
  ],
  backends: [
    { key: { id: 9 }, value: { address: ip('fd00::5'), port: 53, protocol: 17 } },
    { key: { id: 4 }, value: { address: ip('192.168.0.11'), port: 6443, protocol: 6 } },
  ],
  addresses: [{ key: '10.96.0.1', value: { flags: 1 } }],
};

test('bpf lb list: a first row with id and flags, a row for each slot, and what leads nowhere says so', () => {
  const rows = [
    ['10.96.0.1:443/TCP (0)', '0.0.0.0:0 (1) (0) [ClusterIP, non-routable]'],
    ['10.96.0.1:443/TCP (1)', '192.168.0.11:6443/TCP (1) (1)'],
    ['10.96.0.1:443/TCP (2)', 'backend 5 not found'],
    ['10.96.0.1:443/TCP (3)', 'backend ? not found'],
    ['[fd00::9]:53/UDP (0)', '[::]:0 (7) (0) [ClusterIP, sessionAffinity]'],
  ];
  assert.deepEqual(serviceMapRows(maps, false), rows);
  assert.deepEqual(serviceMapRows(maps, true), [rows[0], rows[4]]);
  assert.deepEqual(rowsObject(serviceMapRows(maps, true)), {
    '10.96.0.1:443/TCP (0)': [rows[0]?.[1]],
    '[fd00::9]:53/UDP (0)': [rows[4]?.[1]],
  });
});

test('bpf lb list: a redirect stands in the place of the usual backends inside the cluster', () => {
  const key = { address: ip('10.96.0.10'), port: 53, protocol: 17 };
  const value = { id: 1, backends: 2, affinity: 0, outside: 0, outsideBackends: 0, flags: 0, redirect: 9, redirectBackends: 1 };
  const slots = [...maps.slots, { key: { service: 9, slot: 0 }, value: { backend: 9 } }];
  const rowsOf = (change: Partial<typeof value>) =>
    serviceMapRows({ ...maps, slots, services: [{ key, value: { ...value, ...change } }] }, false).map((row) => row.join(' '));
  assert.deepEqual(rowsOf({}), [
    '10.96.0.10:53/UDP (0) 0.0.0.0:0 (9) (0) [LocalRedirect]',
    '10.96.0.10:53/UDP (1) [fd00::5]:53/UDP (9) (1)',
  ]);
  assert.deepEqual(rowsOf({ outside: 1, outsideBackends: 1 }), [
    '10.96.0.10:53/UDP (0) 0.0.0.0:0 (1) (0) [LocalRedirect, two-scopes]',
    '10.96.0.10:53/UDP (1) 192.168.0.11:6443/TCP (1) (1)',
    '10.96.0.10:53/UDP/i (0) 0.0.0.0:0 (9) (0) [LocalRedirect, two-scopes]',
    '10.96.0.10:53/UDP/i (1) [fd00::5]:53/UDP (9) (1)',
  ]);
  assert.equal(rowsOf({ redirectBackends: 0 })[0], '10.96.0.10:53/UDP (0) 0.0.0.0:0 (1) (0) [ClusterIP]');
});

test('bpf lb list: the words of a row are in the order that users know', () => {
  const { loadBalancer, local, internalLocal, sourceRanges, sourceRangesDeny, delegate, dsr } = LbServiceFlag;
  const flags = loadBalancer | local | internalLocal | sourceRanges | sourceRangesDeny | delegate | dsr;
  const value = { id: 1, backends: 0, affinity: 9, outside: 2, outsideBackends: 0, flags, redirect: 0, redirectBackends: 0 };
  const services = [{ key: { address: ip('192.168.0.225'), port: 80, protocol: 6 }, value }];
  const words = 'LoadBalancer, Local, InternalLocal, two-scopes, sessionAffinity, check source-range, deny, delegate-if-local, dsr';
  assert.deepEqual(serviceMapRows({ ...maps, services }, true), [
    ['192.168.0.225:80/TCP (0)', `0.0.0.0:0 (2) (0) [${words}]`],
    ['192.168.0.225:80/TCP/i (0)', `0.0.0.0:0 (1) (0) [${words}]`],
  ]);
});

test('bpf lb list --backends and --revnat are sorted by id', () => {
  assert.deepEqual(backendMapRows(maps.backends), [
    ['4', '192.168.0.11:6443/TCP'],
    ['9', '[fd00::5]:53/UDP'],
  ]);
  assert.deepEqual(reverseRows(maps.services), [
    ['1', '10.96.0.1:443'],
    ['7', '[fd00::9]:53'],
  ]);
});

const pod = { source: ip('10.244.1.5'), sourcePort: 40_000 };
const service = { destination: ip('10.96.0.1'), destinationPort: 443 };
const backend = { destination: ip('192.168.0.11'), destinationPort: 6443 };
const entry = { ...untold, flags: 0, interfaceIndex: 0, lastSeen: 1000, service: 1, backend: 4, packets: 3, bytes: 180 };
const request: { key: Flow; value: ConntrackEntry } = {
  key: { ...pod, ...service, protocol: 6 },
  value: { ...entry, ...pod, ...backend, flags: ConntrackFlag.destinationNat | ConntrackFlag.answered },
};
const reply: { key: Flow; value: ConntrackEntry } = {
  key: { source: backend.destination, sourcePort: 6443, destination: pod.source, destinationPort: 40_000, protocol: 6 },
  value: {
    ...entry,
    source: service.destination,
    sourcePort: 443,
    destination: pod.source,
    destinationPort: 40_000,
    flags: ConntrackFlag.reply | ConntrackFlag.sourceNat | ConntrackFlag.local | ConntrackFlag.answered,
  },
};
const rowsAt = (now: number, ...pairs: readonly (typeof request)[]) => [...conntrackRows(pairs, now)];

test('bpf ct list global: a line for each direction', () => {
  const lines = rowsAt(1005, request, reply).map((row) => conntrackLine(row, 1005, false));
  assert.deepEqual(lines, [
    'TCP SVC 10.244.1.5:40000 -> 10.96.0.1:443 expires=9000 Packets=3 Bytes=180 Flags=0x0084 [ DestinationNat Answered ] RevNAT=1 BackendID=4\n',
    'TCP IN 192.168.0.11:6443 -> 10.244.1.5:40000 expires=9000 Packets=3 Bytes=180 Flags=0x00a3 [ Reply SourceNat Local Answered ] RevNAT=1 BackendID=4\n',
  ]);
});

const idle: readonly [what: string, protocol: number, flags: number, seconds: number][] = [
  ['TCP that was answered', 6, ConntrackFlag.answered, 8000],
  ['TCP that was not', 6, 0, 60],
  ['TCP that is closing', 6, ConntrackFlag.answered | ConntrackFlag.closing, 10],
  ['UDP', 17, ConntrackFlag.answered, 60],
];
for (const [what, protocol, flags, seconds] of idle)
  test(`${what} is forgotten ${seconds} s after its last packet`, () => {
    const pair = { key: { ...request.key, protocol }, value: { ...request.value, flags } };
    const [row] = rowsAt(1000 + seconds, pair);
    assert.ok(row);
    assert.match(conntrackLine(row, 1000 + seconds - 3, true), new RegExp(` expires=${1000 + seconds} \\(remaining: 3 sec\\(s\\)\\) `));
    assert.deepEqual(rowsAt(1000 + seconds + 1, pair), []);
  });

test('bpf nat list: what is translated, and into what', () => {
  const masqueraded = { key: request.key, value: { ...request.value, source: ip('192.0.2.1'), sourcePort: 50_000, flags: 6 } };
  const plain = { key: request.key, value: { ...request.value, flags: ConntrackFlag.local } };
  assert.deepEqual(
    rowsAt(1005, request, reply, masqueraded, plain).map((row) => natLine(row, 1005)),
    [
      'TCP OUT 10.244.1.5:40000 -> 10.96.0.1:443 XLATE_DST 192.168.0.11:6443 LastSeen=5sec ago\n',
      'TCP IN 192.168.0.11:6443 -> 10.244.1.5:40000 XLATE_SRC 10.96.0.1:443 LastSeen=5sec ago\n',
      'TCP OUT 10.244.1.5:40000 -> 10.96.0.1:443 XLATE_SRC 192.0.2.1:50000 XLATE_DST 192.168.0.11:6443 LastSeen=5sec ago\n',
      undefined,
    ],
  );
});

test('bpf lb maglev list: the share of each backend, and a table that lacks a part says so', () => {
  const backends = new Uint8Array(4096);
  const view = new DataView(backends.buffer);
  for (let i = 0; i < 1021; i++) view.setUint32(4 * i, i % 4 === 0 ? 9 : 4, true);
  const tables = [7, 3].map((service) => ({ key: { service }, value: { generation: 5, size: 1021 } }));
  const part = partsBy([{ key: { service: 7, generation: 5, part: 0 }, value: { backends } }]);
  const [missing, whole] = maglevTables({ tables, part });
  assert.ok(missing && whole);
  assert.deepEqual([missing.service, whole.service, whole.backends.length], [3, 7, 1021]);
  assert.deepEqual(whole.backends.slice(0, 5), [9, 4, 4, 4, 9]);
  assert.equal(sharesText(whole), '4 (74.9 %), 9 (25.1 %)');
  assert.equal(sharesText(missing), '1021 of 1021 entries are missing');
});
