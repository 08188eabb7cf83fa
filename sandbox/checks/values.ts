// SPDX-License-Identifier: Apache-2.0
// Agents with other values than the seed's: what Prometheus reads, and an API server that is dead.
import { until } from '../until.ts';
import { expect, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn } from './agents.ts';
import { httpGet, unreachable, url } from './traffic.ts';
import { withValues } from './wire-modes.ts';

const DROPS = /^cilium_drop_count_total\{reason="IS_A_CLUSTERIP"\} (\d+)$/m;

/** A packet from the LAN to a ClusterIP is dropped by node2, and its page counts it. */
const counts = (context: CheckContext): Promise<string> =>
  withValues(context, ['localRedirectPolicy: true', 'localRedirectPolicy: true\nprometheus: { enabled: true }'], async () => {
    const { places, signal } = context;
    const node = ofFamily(places.node('node2').ips, 'IPv4');
    const page = async () => (await places.outsider.run(['curl', '--silent', '--max-time', '3', `http://${node}:9962/metrics`])).stdout;
    const drops = async () => Number(DROPS.exec(await page())?.[1] ?? 0);
    await until('the page', 10_000, async () => (await page()).includes('cilium_endpoint_state'), signal);
    const before = await drops();
    const address = ofFamily(places.serviceIps('echo'), 'IPv4');
    const route = [`${address}/32`, 'via', node];
    await places.outsider.run(['ip', 'route', 'add', ...route]);
    try {
      await unreachable(places.outsider, address, 80);
    } finally {
      await places.outsider.run(['ip', 'route', 'del', ...route]);
    }
    await until('the drop to be counted', 10_000, async () => (await drops()) > before, signal);
    return `${(await drops()) - before} packets to ${address} counted`;
  });

/** node2's agent is started with an address where nobody listens. */
const goesRound = (context: CheckContext): Promise<string> =>
  withValues(context, ['k8sServicePort: 7445', 'k8sServicePort: 1'], async () => {
    const { places, signal } = context;
    const agent = agentOn(context, 'node2');
    const problems = async () => (await agent.run(['stentor', 'problems'])).stdout;
    await until('node2 to say so', 10_000, async () => (await problems()).includes('ApiServerUnreachable'), signal);
    const instead = /; (https:\/\/\S+) is used in its place/.exec(await problems())?.[1];
    expect(instead !== undefined, `The Problem does not say which is used in its place: ${await problems()}`);
    for (const address of places.serviceIps('echo')) await httpGet(places.echoOn('node2'), url(address, 80));
    return `${instead} is used in its place`;
  });

export const valueChecks: readonly Check[] = [
  { name: 'With prometheus.enabled an agent answers at port 9962, and counts a packet that it drops', needs: 'agent', run: counts },
  { name: 'An agent whose API server is dead works by one that it has learned, and says so', needs: 'agent', run: goesRound },
];
