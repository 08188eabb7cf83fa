// SPDX-License-Identifier: Apache-2.0
// Pods, nodes and the machines around them reach each other directly.
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import type { Place } from './places.ts';
import { httpGet, ping, udpEcho, url } from './traffic.ts';

const PORT = 8080;

/** TCP, UDP and ping, both families; the receiver must see the sender's own address. */
async function allWays(from: Place, to: Place): Promise<undefined> {
  for (const family of IPV) {
    const address = ofFamily(to.ips, family);
    const { peer } = await httpGet(from, url(address, PORT));
    expect(from.ips.includes(peer), `${to.name} saw ${peer}, wanted an address of ${from.name}: ${from.ips.join(', ')}`);
    await udpEcho(from, address, PORT);
    await ping(from, address);
  }
  return undefined;
}

const pingsBoth = async (from: Place, to: Place): Promise<undefined> => {
  for (const family of IPV) await ping(from, ofFamily(to.ips, family));
  return undefined;
};

export const podChecks: readonly Check[] = [
  check('A pod reaches a pod on the same node (TCP, UDP, ping; IPv4 and IPv6)', ({ places }) =>
    allWays(places.client, places.echoOn('node1')),
  ),
  check('A pod reaches a pod on another node (TCP, UDP, ping; IPv4 and IPv6)', ({ places }) =>
    allWays(places.client, places.echoOn('node2')),
  ),
  check('A pod that bypasses the socket hooks reaches pods on both nodes', async ({ places }) => {
    await allWays(places.bypass, places.echoOn('node1'));
    return allWays(places.bypass, places.echoOn('node2'));
  }),
  check('A node reaches its own pods', ({ places }) => reachesPod(places.node('node1'), places.echoOn('node1'))),
  check('A node reaches pods on another node', ({ places }) => reachesPod(places.node('node1'), places.echoOn('node3'))),
  check('A pod reaches its node', ({ places }) => pingsBoth(places.client, places.node('node1'))),
  check('A pod reaches another node', ({ places }) => pingsBoth(places.client, places.node('node2')), 'agent'),
];

async function reachesPod(node: Place, pod: Place): Promise<undefined> {
  for (const family of IPV) {
    const address = ofFamily(pod.ips, family);
    await httpGet(node, url(address, PORT));
    await udpEcho(node, address, PORT);
    await ping(node, address);
  }
  return undefined;
}

function check(name: string, run: (context: CheckContext) => Promise<string | undefined>, needs: Check['needs'] = 'pods'): Check {
  return { name, needs, run };
}
