// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../base/ip.ts';
import { conntrackEntryCodec, ConntrackFlag, flowCodec } from '../datapath/schema.gen.ts';
import { untold } from '../datapath/testdata/rows.ts';
import { visitCount } from './visits.ts';

type Told = { readonly port?: number; readonly protocol?: number; readonly packets?: number; readonly flags?: number };

function flow(source: string, destination: string, { port = 80, protocol = 6, packets = 1, flags = 0 }: Told = {}): [Buffer, Buffer] {
  const key = { source: ip(source), destination: ip(destination), sourcePort: 1, destinationPort: port, protocol };
  const rest = { interfaceIndex: 1, lastSeen: 0, service: 1, backend: 1, packets, bytes: 0 };
  return [flowCodec.encode(key), conntrackEntryCodec.encode({ ...untold, ...key, flags, ...rest })];
}

test('flows to service addresses are counted by frontend, with the client that has most of them', () => {
  const count = visitCount([ip('192.168.0.225'), ip('fd00::225')]);
  for (const entry of [
    flow('192.168.0.10', '192.168.0.225', { packets: 7 }),
    flow('192.168.0.11', '192.168.0.225', { packets: 1 }),
    flow('192.168.0.11', '192.168.0.225', { packets: 2 }),
    flow('192.168.0.10', '192.168.0.225', { protocol: 17 }),
    flow('fd00::9', 'fd00::225', { port: 443 }),
    flow('192.168.0.10', '192.168.0.226'),
    flow('10.244.1.5', '192.168.0.225', { flags: ConntrackFlag.reply }),
  ])
    count.add(...entry);
  assert.deepEqual(count.visits(), [
    { address: '192.168.0.225', frontend: '192.168.0.225:80/TCP', flows: 3, packets: 10, client: { address: '192.168.0.11', flows: 2 } },
    { address: '192.168.0.225', frontend: '192.168.0.225:80/UDP', flows: 1, packets: 1, client: { address: '192.168.0.10', flows: 1 } },
    { address: 'fd00::225', frontend: '[fd00::225]:443/TCP', flows: 1, packets: 1, client: { address: 'fd00::9', flows: 1 } },
  ]);
  assert.deepEqual(visitCount([]).visits(), []);
});
