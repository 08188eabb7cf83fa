// SPDX-License-Identifier: Apache-2.0
// Operators are killed while Services come: each gets an address of its own, once. What moves an address is an agreement.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../sandbox/api/json.ts';
import type { Store } from '../../sandbox/api/store.ts';
import { until } from '../../src/base/until.ts';
import { operatorApi } from './testbed.ts';

const SHORT = ['--leader-election-lease-duration=1s', '--leader-election-renew-deadline=700ms', '--leader-election-retry-period=100ms'];
const IDLE = ['--identity-gc-interval=0s', '--cilium-endpoint-gc-interval=0s'];
const SERVICES = 60;
const KILLS = 4;

/** Every change of an address that somebody had, from now on. */
function movesIn(store: Store, signal: AbortSignal): { readonly moves: string[]; addresses(): readonly string[] } {
  const had = new Map<string, string>();
  const moves: string[] = [];
  store.watch('services', signal, ({ object }) => {
    const { name }: Json = object.metadata;
    const address = ((object['status'] as Json)?.loadBalancer?.ingress ?? []).map(({ ip }: Json) => ip).join(); // as: what the API has
    const before = had.get(name) ?? '';
    if (before !== '' && address !== before) moves.push(`${name} from ${before} to ${address}`);
    had.set(name, address);
  });
  return { moves, addresses: () => [...had.values()].filter((one) => one !== '') };
}

test('operators are killed while 60 Services come: each gets one address, and no other later', { timeout: 180_000 }, async (context) => {
  const api = await operatorApi(context);
  const stop = new AbortController();
  context.after(() => stop.abort());
  const { moves, addresses } = movesIn(api.store, stop.signal);
  const pool = { metadata: { name: 'pool' }, spec: { blocks: [{ cidr: '192.0.2.0/25' }] } };
  api.store.create('ciliumloadbalancerippools.cilium.io', pool);
  let started = 0;
  const start = () => api.start(`operator-${started++}`, [...SHORT, ...IDLE]);
  const running = [await start(), await start()];
  for (let i = 0; i < SERVICES; i++) {
    api.store.create('services', {
      metadata: { name: `s${i}`, namespace: 'default' },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
    });
    if (i % (SERVICES / KILLS) !== SERVICES / KILLS - 1) continue;
    await until(() => addresses().length > i - 10 && running.some(({ name }) => name === api.holder()), 60_000);
    const [leader] = running.splice(
      running.findIndex(({ name }) => name === api.holder()),
      1,
    );
    leader?.signal('SIGKILL');
    running.push(await start());
  }
  await until(() => addresses().length === SERVICES, 60_000);
  assert.deepEqual([moves, new Set(addresses()).size, started], [[], SERVICES, KILLS + 2]);

  const release = { 'lbipam.stentor.dev/release': addresses()[0] };
  api.store.patch('services', { namespace: 'default', name: 's0' }, { metadata: { annotations: release } });
  await until(() => moves.length > 0, 60_000); // negative control: a move is seen
  assert.match(moves.join(), /^s0 from 192\.0\.2\.\d+ to 192\.0\.2\.\d+$/);
});
