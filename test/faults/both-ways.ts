// SPDX-License-Identifier: Apache-2.0
// Traffic from a pod that the socket hooks see and one that they do not, which has to go on whatever happens to the agent.

import assert from 'node:assert/strict';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { INTERNET } from '../../sandbox/layout.ts';
import type { Faulty } from './cluster.ts';
import type { Tally } from './prober.ts';
import { startTraffic } from './traffic.ts';

/** From both pods together. `long`: connections that stay; one from each pod to each target unless said otherwise. */
export type Amount = { readonly rate: number; readonly long?: number };

/** To a pod of the same node and one of another, to a service, to the outside; IPv4 and IPv6. */
export async function trafficFromBoth(faulty: Faulty, { rate, long }: Amount) {
  const { places, pod } = faulty;
  const targets = (['IPv4', 'IPv6'] as const).flatMap((family) => [
    [ofFamily(places.echoOn('node2').ips, family), 8080] as const,
    [ofFamily(places.echoOn('node1').ips, family), 8080] as const,
    [ofFamily(places.serviceIps('echo'), family), 80] as const,
    [family === 'IPv4' ? INTERNET.ipv4 : INTERNET.ipv6, INTERNET.port] as const,
  ]);
  const load = { rate: rate / 2, targets, ...(long !== undefined && { long: long / 2 }) };
  const both = await Promise.all(['client', 'bypass'].map((name) => startTraffic(faulty, pod(name), load)));
  return { tallies: () => Promise.all(both.map((one) => one.tally())) };
}

export function assertUnharmed(tallies: readonly Tally[], wantedConnections: number): string {
  for (const tally of tallies) assert.deepEqual(tally.reasons, []);
  const opened = tallies.reduce((sum, tally) => sum + tally.opened, 0);
  assert.ok(opened >= wantedConnections, `${opened} connections, wanted at least ${wantedConnections}`);
  for (const { answers } of tallies)
    for (const count of answers) assert.ok(count > 5, `Answers on long-lived connections: ${answers.join(', ')}`);
  const slowest = Math.max(...tallies.map((tally) => tally.slowest));
  const gap = Math.max(...tallies.map((tally) => tally.longestGap));
  return `${opened} new connections, slowest ${slowest.toFixed(0)} ms, longest gap on the long-lived ${gap.toFixed(0)} ms`;
}
