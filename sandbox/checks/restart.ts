// SPDX-License-Identifier: Apache-2.0
// An agent dies without warning. Traffic does not care, and the new agent finds the kernel as it should be.
import { until } from '../until.ts';
import { CheckFailed } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn, killAgent } from './agents.ts';
import { httpGet, longConnection, url } from './traffic.ts';

const REQUESTS = 40;

/** Kills the agent on node1 while a connection is in use, and opens new ones until it is back. */
async function survives(context: CheckContext): Promise<string> {
  const { places, cluster, signal } = context;
  const [address = ''] = places.serviceIps('echo');
  const long = [places.client, places.bypass].map((place) => longConnection(place, address, 80, REQUESTS));
  const isReady = killAgent(cluster, 'node1');
  const killed = performance.now();
  let opened = 0;
  const isBack = async () => {
    for (const place of [places.client, places.bypass]) await httpGet(place, url(address, 80));
    opened += 2;
    return isReady();
  };
  await until('the agent to be back', 30_000, isBack, signal);
  const back = performance.now() - killed;
  await Promise.all(long);

  let difference = 'nobody answered';
  const isSame = async () => {
    const ran = await agentOn(context, 'node1').run(['stentor', 'maps', '--diff'], 10_000);
    difference = (ran.stdout + ran.stderr).trim(); // of what an agent has not heard of yet it says so
    return ran.code === 0 && difference === '';
  };
  await until('the new agent to leave no difference', 20_000, isSame, signal).catch(() => {
    throw new CheckFailed(`The new agent left a difference: ${difference}`);
  });
  return `${opened} new connections, ready again after ${(back / 1_000).toFixed(1)} s`;
}

export const restartChecks: readonly Check[] = [
  // covers: restart
  { name: 'Traffic goes on while an agent is killed and comes back', needs: 'agent', run: survives },
];
