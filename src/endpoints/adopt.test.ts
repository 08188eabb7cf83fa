// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { mapEntry, mapKinds } from '../datapath/maps.ts';
import { adoptedEndpoints } from './adopt.ts';
import { endpointOf } from './endpoint.ts';

const mac = parseMac('02:00:00:00:00:01') ?? assert.fail();
const entry = (address: string, interfaceIndex: number, id: number) =>
  mapEntry(mapKinds.endpoints, ip(address), { interfaceIndex, identity: 0, mac, id });
const inKernel = {
  links: [
    ['lxc1', { name: 'lxc1', index: 0x100001 }],
    ['lxc2', { name: 'lxc2', index: 0x100002 }],
    ['lxc3', { name: 'lxc3', index: 0x100003 }],
  ] as const,
  entries: [entry('10.244.1.1', 0x100001, 1), entry('fd00:10:244:1::1', 0x100001, 1), entry('10.244.1.2', 0x100002, 2)],
};

it('an interface without a file keeps its number and its addresses', () => {
  const known = adoptedEndpoints(inKernel, []).filter((row) => row.hostInterface === 'lxc2');
  const rows = adoptedEndpoints(inKernel, known);
  assert.deepEqual(
    rows.map(({ hostInterface, id, addresses }) => ({ hostInterface, id, addresses })),
    [{ hostInterface: 'lxc1', id: 1, addresses: ['10.244.1.1', 'fd00:10:244:1::1'] }],
  );
});

it('an adopted row can be written to a file and read', () => {
  for (const row of adoptedEndpoints(inKernel, [])) assert.deepEqual(endpointOf(JSON.parse(JSON.stringify(row))), row);
});
