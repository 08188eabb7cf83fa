// SPDX-License-Identifier: Apache-2.0
// An agent dies without warning. Traffic does not care, and the new agent finds the kernel as it should be.
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { CheckFailed, expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { podPlace } from './places.ts';
import { httpGet, url } from './traffic.ts';

const agentOn = ({ cluster }: CheckContext, node: string) =>
  podsIn(cluster.store, { namespace: 'kube-system', labelSelector: 'k8s-app=cilium', fieldSelector: `spec.nodeName=${node}` })[0];

// $1 address, $2 port, $3 how many: one connection, a request every 50 ms, each answered before the next.
const LONG_SCRIPT = `
exec 3<>"/dev/tcp/$1/$2" || exit 3
for number in $(seq "$3"); do
  printf 'GET /bytes/8 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
  while IFS= read -r -t 2 -u 3 line; do [ "$line" = $'\\r' ] && break; done || exit 4
  IFS= read -r -t 2 -N 8 -u 3 body && [ "$body" = 'stentor ' ] || exit 5
  sleep 0.05
done`;

const REQUESTS = 40;

/** Kills the agent on node1 while a connection is in use, and opens new ones until it is back. */
async function survives(context: CheckContext): Promise<string> {
  const { places, cluster, signal } = context;
  const [address = ''] = places.serviceIps('echo');
  const agent = agentOn(context, 'node1');
  const container = () => agentOn(context, 'node1')?.status?.containerStatuses?.[0];
  const restarts = container()?.restartCount ?? 0;
  const process = cluster.kubelets
    .find(({ node }) => node.name === 'node1')
    ?.worker(agent?.metadata.uid ?? '')
    ?.container(undefined)
    ?.process();
  if (process === undefined) throw new CheckFailed('There is no agent on node1');

  const long = [places.client, places.bypass].map((place) =>
    place.run(['bash', '-c', LONG_SCRIPT, 'tcp', address, '80', `${REQUESTS}`], 20_000),
  );
  globalThis.process.kill(process.pid, 'SIGKILL');
  const killed = performance.now();
  let opened = 0;
  const isBack = async () => {
    for (const place of [places.client, places.bypass]) await httpGet(place, url(address, 80));
    opened += 2;
    return container()?.restartCount === restarts + 1 && container()?.ready === true;
  };
  await until('the agent to be back', 30_000, isBack, signal);
  const back = performance.now() - killed;
  for (const ran of await Promise.all(long))
    expect(ran.code === 0, `A connection from before did not survive: exit code ${ran.code} ${ran.stderr.trim()}`);

  const difference = await podPlace(cluster, agentOn(context, 'node1'), 'cilium on node1').run(['stentor', 'maps', '--diff'], 10_000);
  expect(
    difference.code === 0 && difference.stdout.trim() === '',
    `The new agent left a difference: ${(difference.stdout + difference.stderr).trim()}`,
  );
  return `${opened} new connections, ready again after ${(back / 1_000).toFixed(1)} s`;
}

export const restartChecks: readonly Check[] = [
  { name: 'Traffic goes on while an agent is killed and comes back', needs: 'agent', run: survives },
];
