// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { configDefaults, conntrackEntryCodec, ConntrackFlag, flowCodec } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { bpfMissing } from '../kernel/testdata/harness.ts';
import { isExpired } from '../flows/conntrack.ts';
import { conntrackSweep } from './conntrack-sweep.ts';

const NOW = Number(process.hrtime.bigint() / 1_000_000_000n);
const [TCP, UDP] = [6, 17];

type Row = { readonly source?: string; readonly port: number; readonly protocol?: number; readonly flags?: number; readonly idle: number };

function bytesOf({ source = '10.244.1.5', port, protocol = UDP, flags = 0, idle }: Row): readonly [Buffer, Buffer] {
  const ends = { source: ip(source), destination: ip('203.0.113.9'), sourcePort: port, destinationPort: 53 };
  const value = { ...ends, flags, interfaceIndex: 0, lastSeen: (NOW - idle) >>> 0, service: 0, backend: 0, packets: 1, bytes: 60 };
  return [flowCodec.encode({ ...ends, protocol }), conntrackEntryCodec.encode(value)];
}

const { timeoutAny, timeoutTcp, timeoutTcpClosing } = configDefaults;
const cases: readonly [what: string, row: Omit<Row, 'port'>, expired: boolean][] = [
  ['UDP within its time', { idle: timeoutAny }, false],
  ['UDP after it', { idle: timeoutAny + 1 }, true],
  ['TCP that nobody answered', { protocol: TCP, idle: timeoutAny + 1 }, true],
  ['TCP that was answered', { protocol: TCP, flags: ConntrackFlag.answered, idle: timeoutAny + 1 }, false],
  ['TCP that was answered long ago', { protocol: TCP, flags: ConntrackFlag.answered, idle: timeoutTcp + 1 }, true],
  ['TCP that is closed', { protocol: TCP, flags: ConntrackFlag.answered | ConntrackFlag.closing, idle: timeoutTcpClosing + 1 }, true],
  ['what another CPU saw a second later', { idle: -1 }, false],
];
for (const [what, row, expired] of cases)
  it(`${what} is ${expired ? 'over' : 'alive'}`, () => assert.equal(isExpired(...bytesOf({ ...row, port: 1 }), NOW), expired));

describe('a sweep of conntrack', { skip: bpfMissing }, () => {
  it('removes what is over, keeps what lives, and says whose flows those are', () => {
    const sizes = { keySize: flowCodec.size, valueSize: conntrackEntryCodec.size };
    using map = BpfMap.create({ name: 'conntrack', type: MapType.lruHash, ...sizes, maxEntries: 8192, flags: 0 });
    const put = (row: Row) => map.update(...bytesOf(row));
    for (let port = 1; port <= 1500; port++) put({ port, idle: 100 });
    for (let port = 2001; port <= 2300; port++) put({ port, idle: 1 });
    for (let port = 3001; port <= 3010; port++) put({ port, idle: 1, source: '10.244.1.6' });
    for (let port = 4001; port <= 4500; port++) put({ port, idle: 1, source: '203.0.113.9', flags: ConntrackFlag.reply });
    const endpoints = table<string, EndpointRow>('endpoints', { indexes: { address: ({ addresses }) => addresses } });
    const pod = { namespace: 'shop', pod: 'cart', addresses: [ip('10.244.1.5')] };
    endpoints.writer('test').put('lxc1', pod as unknown as EndpointRow); // the sweep reads no more of it
    const sweep = conntrackSweep({ map, endpoints, clock: systemClock });
    let turns = 0;
    while (!sweep.look(() => true)) turns++;
    assert.ok(turns > 5, `${turns} turns: it leaves the loop to others`);
    assert.deepEqual([sweep.last?.entries, sweep.last?.removed, sweep.runs], [810, 1500, 1]);
    assert.deepEqual(sweep.last?.talkers, [
      { name: 'shop/cart', flows: 300 },
      { name: '10.244.1.6', flows: 10 },
    ]);
    assert.equal(map.count(), 810);
    while (!sweep.look(() => false));
    assert.deepEqual([sweep.last?.entries, sweep.last?.removed], [810, 0]);
  });
});
