// SPDX-License-Identifier: Apache-2.0
// Pods and the world beyond the cluster.
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, Ipv } from './check.ts';
import { HOST_DNS, INTERNET } from '../layout.ts';
import type { Place } from './places.ts';
import { httpGet, ping, udpEcho, udpWho, unreachable, url } from './traffic.ts';

const internet = (family: Ipv): string => (family === 'IPv4' ? INTERNET.ipv4 : INTERNET.ipv6);

/** The other side answers, and has seen the node's address: the router could not send anything back to a pod's. */
async function masqueraded(from: Place, node: Place, address: string): Promise<undefined> {
  const { peer } = await httpGet(from, url(address, INTERNET.port));
  expect(node.ips.includes(peer), `${address} saw ${peer}, wanted the node's address ${node.ips.join(' or ')}`);
  const { peer: udpPeer } = await udpWho(from, address, INTERNET.port);
  expect(node.ips.includes(udpPeer), `${address} saw ${udpPeer} by UDP, wanted the node's address ${node.ips.join(' or ')}`);
  await udpEcho(from, address, INTERNET.port, 1_000);
  await ping(from, address);
  return undefined;
}

export const outsideChecks: readonly Check[] = [
  ...IPV.map((family): Check => ({
    name: `A pod reaches the outside, which sees the node's address (TCP, UDP, ping; ${family})`,
    needs: 'agent',
    run: ({ places }) => masqueraded(places.client, places.node('node1'), internet(family)),
  })),
  ...IPV.map((family): Check => ({
    name: `A pod that bypasses the socket hooks reaches the outside as well (${family})`,
    needs: 'agent',
    run: ({ places }) => masqueraded(places.bypass, places.node('node1'), internet(family)),
  })),
  {
    name: 'A pod reaches a machine on the LAN that is no node (IPv4 and IPv6)',
    needs: 'agent',
    run: async ({ places }) => {
      for (const family of IPV) await masqueraded(places.client, places.node('node1'), ofFamily(places.outsider.ips, family));
      return undefined;
    },
  },
  {
    name: `A pod reaches what its node serves at ${HOST_DNS.ipv4}, as Talos serves DNS, with its own address (TCP, UDP, ping)`,
    needs: 'agent',
    run: async ({ places: { client, bypass } }) => {
      for (const from of [client, bypass]) {
        const { peer } = await httpGet(from, url(HOST_DNS.ipv4, HOST_DNS.port));
        const { peer: udpPeer } = await udpWho(from, HOST_DNS.ipv4, HOST_DNS.port);
        for (const seen of [peer, udpPeer])
          expect(from.ips.includes(seen), `${HOST_DNS.ipv4} saw ${seen}, wanted an address of ${from.name}: ${from.ips.join(', ')}`);
        await ping(from, HOST_DNS.ipv4);
      }
      return undefined;
    },
  },
  {
    name: 'The outside cannot reach a pod (IPv4 and IPv6)',
    needs: 'pods',
    run: async ({ places }) => {
      for (const family of IPV) await unreachable(places.outsider, ofFamily(places.echoOn('node1').ips, family), 8080);
      return 'without a route of its own';
    },
  },
];
