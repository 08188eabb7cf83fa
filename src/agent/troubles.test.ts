// SPDX-License-Identifier: Apache-2.0
// A failure that lasts is a Problem of the pod or of the target; one that is over at the next try is none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMac } from '../base/ip.ts';
import type { ReconcilerStatus } from '../base/ledger.ts';
import { table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import { troublesOf } from './troubles.ts';

function setup() {
  const endpoints = table<string, EndpointRow>('endpoints');
  const mac = parseMac('02:00:00:00:00:01') ?? assert.fail();
  endpoints.writer('test').put('lxc1', {
    hostInterface: 'lxc1',
    id: 1,
    interfaceIndex: 1,
    containerId: 'c',
    interfaceName: 'eth0',
    netns: '/x',
    netnsCookie: '',
    namespace: 'shop',
    pod: 'cart',
    uid: '',
    addresses: [],
    mac,
    mtu: 1500,
  });
  const refused = new Map<string, string>();
  const status: { -readonly [name in keyof ReconcilerStatus]: ReconcilerStatus[name] } = {
    name: 'pod_links',
    entries: 0,
    pending: 0,
    failures: 0,
    error: undefined,
    refused,
  };
  let now = 0;
  const troubles = troublesOf({ reconcilers: [{ status }], endpoints, clock: { now: () => 0, monotonic: () => now } });
  const at = (ms: number) => {
    now = ms;
    return troubles().map(({ object, reason, message }) => `${object} ${reason}: ${message}`);
  };
  return { status, refused, at };
}

test('what lasts for two seconds is told, and only for as long as it lasts', () => {
  const { refused, at } = setup();
  refused.set('lxc1', 'no namespace');
  assert.deepEqual(at(0), []);
  refused.clear();
  assert.deepEqual(at(1000), []);
  refused.set('lxc1', 'no namespace').set('lxc2', 'no device');
  assert.deepEqual(at(2000), [], 'it was over in between');
  assert.deepEqual(at(4000), [
    'Pod shop/cart CannotProgram: pod_links lxc1: no namespace',
    'Target pod_links lxc2 CannotProgram: pod_links lxc2: no device',
  ]);
  refused.delete('lxc1');
  assert.deepEqual(at(4100), ['Target pod_links lxc2 CannotProgram: pod_links lxc2: no device']);
});

test('a target that fails as a whole is one Problem', () => {
  const { status, at } = setup();
  status.error = 'Cannot list: EPERM';
  at(0);
  assert.deepEqual(at(3000), ['Target pod_links CannotProgram: Cannot list: EPERM']);
});

test('entries that found no room in a map are one Problem, however many they are', () => {
  const { status, refused, at } = setup();
  status.name = 'lb_slots';
  for (let i = 0; i < 5000; i++) refused.set(`7/${i}`, 'bpf(BPF_MAP_UPDATE_BATCH) on lb_slots failed: E2BIG (Argument list too long)');
  refused.set('8/1', 'something else');
  at(0);
  assert.deepEqual(at(2000), [
    'Map lb_slots EntriesLeftOut: 7/0 and 4999 more found no room; what is in the map stays in effect',
    'Target lb_slots 8/1 CannotProgram: lb_slots 8/1: something else',
  ]);
  refused.clear();
  assert.deepEqual(at(2001), []);
});
