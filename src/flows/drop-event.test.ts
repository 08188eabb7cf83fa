// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { DropReason, eventCodec } from '../datapath/schema.gen.ts';
import { eventRow } from '../datapath/testdata/rows.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { dropOf } from './drop-event.ts';

const event = eventRow({
  time: 5_000_000_000,
  reason: DropReason.serviceBackendNotFound,
  interfaceIndex: 0x100007,
  flow: { source: ip('10.244.1.5'), destination: ip('10.96.0.9'), sourcePort: 41234, destinationPort: 80, protocol: 6 },
});

it('a drop names reason, both ends, and the pod of this node that it concerns', () => {
  const endpoints = table<string, EndpointRow>('endpoints', { indexes: { address: (row) => row.addresses } });
  endpoints.writer('test').put('lxc1', { namespace: 'shop', pod: 'cart', addresses: [ip('10.244.1.5')] } as unknown as EndpointRow); // only what is looked at
  const decoded = eventCodec.decode(eventCodec.encode(event));
  assert.deepEqual(dropOf(decoded, { endpoints, bootTime: 1000 }), {
    time: 6000,
    reason: 'SERVICE_BACKEND_NOT_FOUND',
    hook: 'POD_FROM',
    source: '10.244.1.5:41234',
    destination: '10.96.0.9:80',
    protocol: 'TCP',
    interfaceIndex: 0x100007,
    pod: 'shop/cart',
  });
});

it('a reason that this program does not know keeps its number', () => {
  const endpoints = table<string, EndpointRow>('endpoints', { indexes: { address: (row) => row.addresses } });
  const { reason, pod } = dropOf({ ...event, reason: 250 }, { endpoints, bootTime: 0 });
  assert.deepEqual([reason, pod], ['UNKNOWN_250', undefined]);
});
