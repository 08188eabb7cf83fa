// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import type { Writer } from '../base/table.ts';
import { configDefaults, conntrackEntryCodec, ConntrackFlag, flowCodec } from '../datapath/schema.gen.ts';
import { untold } from '../datapath/testdata/rows.ts';
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
  const value = {
    ...ends,
    ...untold,
    flags,
    interfaceIndex: 0,
    lastSeen: (NOW - idle) >>> 0,
    service: 0,
    backend: 0,
    packets: 1,
    bytes: 60,
  };
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

type Pod = { readonly name: string; readonly address: string; readonly interfaceIndex: number };

function endpointsOf(...pods: readonly Pod[]): Writer<string, EndpointRow> {
  const indexes = {
    address: ({ addresses }: EndpointRow) => addresses,
    interface: ({ interfaceIndex }: EndpointRow) => [`${interfaceIndex}`],
  };
  const writer = table<string, EndpointRow>('endpoints', { indexes }).writer('test');
  for (const { name, address, interfaceIndex } of pods)
    writer.put(name, { namespace: 'shop', pod: name, addresses: [ip(address)], interfaceIndex } as unknown as EndpointRow); // no more is read
  return writer;
}

/** Both entries of a connection that a pod has to 203.0.113.9, under a port of the node. */
function masqueraded(map: BpfMap, { address, interfaceIndex }: Pod, port: number): void {
  const rest = { interfaceIndex, lastSeen: NOW - 300, service: 0, backend: 0, packets: 1, bytes: 60 };
  const out = { source: ip(address), destination: ip('203.0.113.9'), sourcePort: port, destinationPort: 443 };
  const as = { ...out, source: ip('192.168.0.11') };
  const reversed = (ends: typeof out) => ({
    source: ends.destination,
    destination: ends.source,
    sourcePort: ends.destinationPort,
    destinationPort: ends.sourcePort,
  });
  const { answered, sourceNat, destinationNat, routed, local, reply } = ConntrackFlag;
  const forth = { ...untold, ...as, ...rest, interfaceIndex: 2, flags: answered | sourceNat | routed };
  const back = { ...untold, ...reversed(out), ...rest, flags: answered | destinationNat | local | reply };
  map.update(flowCodec.encode({ ...out, protocol: TCP }), conntrackEntryCodec.encode(forth));
  map.update(flowCodec.encode({ ...reversed(as), protocol: TCP }), conntrackEntryCodec.encode(back));
}

function conntrack(): BpfMap {
  const sizes = { keySize: flowCodec.size, valueSize: conntrackEntryCodec.size };
  return BpfMap.create({ name: 'conntrack', type: MapType.lruHash, ...sizes, maxEntries: 8192, flags: 0 });
}

describe('a sweep of conntrack', { skip: bpfMissing }, () => {
  it('removes what is over, keeps what lives, and says whose flows those are', () => {
    using map = conntrack();
    const put = (row: Row) => map.update(...bytesOf(row));
    for (let port = 1; port <= 1500; port++) put({ port, idle: 100 });
    for (let port = 2001; port <= 2300; port++) put({ port, idle: 1 });
    for (let port = 3001; port <= 3010; port++) put({ port, idle: 1, source: '10.244.1.6' });
    for (let port = 4001; port <= 4500; port++) put({ port, idle: 1, source: '203.0.113.9', flags: ConntrackFlag.reply });
    const { table: endpoints } = endpointsOf({ name: 'cart', address: '10.244.1.5', interfaceIndex: 0x100001 });
    const sweep = conntrackSweep({ map, endpoints, clock: systemClock, vips: () => [] });
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

  it('removes the flows of a pod that is gone, and says who holds most ports of those that live', () => {
    using map = conntrack();
    const [cart, gone] = [
      { name: 'cart', address: '10.244.1.5', interfaceIndex: 0x100001 },
      { name: 'gone', address: '10.244.1.6', interfaceIndex: 0x100002 },
    ];
    const endpoints = endpointsOf(cart, gone);
    for (let port = 40_000; port < 40_030; port++) masqueraded(map, cart, port);
    for (let port = 50_000; port < 50_050; port++) masqueraded(map, gone, port);
    const sweep = conntrackSweep({ map, endpoints: endpoints.table, clock: systemClock, vips: () => [] });
    const swept = () => {
      while (!sweep.look(() => false));
      return sweep.last;
    };
    const use = { address: '192.168.0.11', destination: '203.0.113.9:443/TCP' };
    assert.equal(swept()?.removed, 0);
    assert.deepEqual(sweep.last?.ports, [{ ...use, ports: 80, most: { name: 'shop/gone', ports: 50 } }]);
    endpoints.delete('gone');
    assert.equal(swept()?.removed, 0, 'an agent that does not know every pod yet');
    endpoints.complete();
    assert.equal(swept()?.removed, 100);
    assert.equal(map.count(), 60);
    assert.equal(swept()?.removed, 0);
    assert.deepEqual(sweep.last?.ports, [{ ...use, ports: 30, most: { name: 'shop/cart', ports: 30 } }]);
  });

  it('leaves what a new pod with the address of one that is gone has opened from the same port', () => {
    using map = conntrack();
    const [old, young] = [
      { name: 'old', address: '10.244.1.5', interfaceIndex: 0x100001 },
      { name: 'young', address: '10.244.1.5', interfaceIndex: 0x100002 },
    ];
    masqueraded(map, old, 40_000);
    const [reply] = [...map.entries()].filter(([, value]) => value.readUInt32LE(36) & ConntrackFlag.reply);
    masqueraded(map, young, 40_000);
    assert.ok(reply);
    const [key, value] = reply;
    key.writeUInt16BE(45_000, 34); // the old one left with another port
    map.update(key, value);
    const endpoints = endpointsOf(young);
    endpoints.complete();
    const sweep = conntrackSweep({ map, endpoints: endpoints.table, clock: systemClock, vips: () => [] });
    while (!sweep.look(() => false));
    assert.deepEqual([sweep.last?.removed, map.count()], [1, 2]);
  });
});
