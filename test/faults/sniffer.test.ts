// SPDX-License-Identifier: Apache-2.0
// Whatever happens to the nodes, as long as one is well: for no address does nobody answer for a second, and never do two. A short run
// allows three times as much: it stands beside other work on slow machines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ROUTER } from '../../sandbox/layout.ts';
import { randomFrom, seedOfRun } from '../../src/base/random.ts';
import { faultyCluster, skip } from './cluster.ts';
import { failoversIn, names } from './failovers.ts';
import { havoc } from './havoc.ts';
import type { Happened } from './havoc.ts';
import { complaints, startSniffer } from './sniffing.ts';
import type { Limits, Sniffed } from './sniffing.ts';

const faulty = faultyCluster('faultsn');
const VIPS = ['192.168.0.237', '192.168.0.238', '192.168.0.239'];
const failovers = failoversIn(faulty, VIPS[0] ?? '');
const { inNode, settled, signal, startOn } = failovers;
/** STENTOR_HAVOC=1000 has so many things happen, and holds them to the second. */
const COUNT = Number(process.env['STENTOR_HAVOC'] ?? 12);
const SLOWNESS = process.env['STENTOR_HAVOC'] === undefined ? 3 : 1;
const LIMITS: Limits = { silentMs: 1000 * SLOWNESS, together: [] };
/** As it is planned; after a segment was split. */
const HAND_OVER_MS = 200 * SLOWNESS;
const HEALS_MS = 1000 * SLOWNESS;
/** What ends something is over before this process knows. */
const ENDING_MS = 300;
const SPLITS = ['deaf', 'mute', 'cable cut', ...(SLOWNESS > 1 ? ['agent frozen', 'interface down'] : [])];

const told = (events: readonly Sniffed[], happened: readonly Happened[]) =>
  events.map((event) => {
    const from = event.kind === 'gap' ? event.at - event.ms - 1500 : event.at - 2500;
    const near = happened
      .filter(({ at }) => at > from && at < event.at)
      .map(({ at, ended, what, node }) => `${what} of ${node} ${(at - event.at).toFixed(0)} to ${((ended ?? NaN) - event.at).toFixed(0)}`);
    return `${JSON.stringify(event)} after ${near.join(', ')}`;
  });

test('three addresses are answered for', { skip }, async () => {
  await faulty().dismissAgents();
  await Promise.all(names.map(startOn));
  for (const [i, address] of VIPS.entries())
    faulty().cluster.store.create('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'checks', name: `sniffed-${i}`, annotations: { 'lbipam.cilium.io/ips': address } },
      spec: { type: 'LoadBalancer', selector: { app: 'echo' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
  await settled();
});

test('the sniffer complains of a second one who answers, and of silence', { skip }, async () => {
  await settled();
  const sniffer = await startSniffer(faulty().cluster.layout, VIPS);
  const [address = ''] = VIPS;
  await inNode(ROUTER.name, `ip addr add ${address}/32 dev eth0`);
  await delay(300); // for some questions
  await inNode(ROUTER.name, `ip addr del ${address}/32 dev eth0`);
  const others = names.map((name) => signal(name, 'SIGSTOP'));
  await Promise.all(others);
  await delay(2500); // nobody answers meanwhile
  await Promise.all(names.map((name) => signal(name, 'SIGCONT')));
  await settled();
  const found = complaints(await sniffer.end(), { silentMs: 1000, together: [] });
  const mac = ROUTER.mac.replaceAll(':', '');
  assert.ok(found.some((event) => event.kind === 'double' && event.ip === address && event.macs.includes(mac)));
  assert.ok(found.some((event) => event.kind === 'gap' && event.ms > 1200));
});

test(
  `whatever happens ${COUNT} times at random, nobody is silent for ${SLOWNESS === 1 ? 'a second' : `${SLOWNESS} seconds`} and never do two answer`,
  { skip },
  async (t) => {
    await settled();
    const seed = seedOfRun();
    t.diagnostic(`SEED=${seed}`);
    const sniffer = await startSniffer(faulty().cluster.layout, VIPS);
    const happened = await havoc(faulty(), failovers, { count: COUNT, random: randomFrom(seed) });
    await settled();
    const events = await sniffer.end();
    const together = happened.flatMap(({ what, at, ended = Infinity }) => {
      if (what === 'cordoned') return [{ from: at, to: at + HAND_OVER_MS }];
      return SPLITS.includes(what) ? [{ from: ended - ENDING_MS, to: ended + HEALS_MS }] : [];
    });
    const gaps = events.filter((event) => event.kind === 'gap').map(({ ms }) => ms);
    const doubles = events.filter((event) => event.kind === 'double').length;
    const moves = events.filter((event) => event.kind === 'owner').length;
    t.diagnostic(
      `${happened.length} things happened, ${moves} moves, the longest silence ${Math.max(...gaps).toFixed(0)} ms, ${doubles} questions with two answers`,
    );
    const kinds = Map.groupBy(happened, ({ what }) => what);
    t.diagnostic(Array.from(kinds, ([what, all]) => `${what} ${all.length}`).join(', '));
    assert.deepEqual(told(complaints(events, { ...LIMITS, together }), happened), []);
  },
);
