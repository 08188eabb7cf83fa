// SPDX-License-Identifier: Apache-2.0
// Host ports of the pod at-host-ports, on node2.
import { expect, inBoth, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { httpGet, udpWho, unreachable, url } from './traffic.ts';

const POD = 'at-host-ports';
const PORT = { every: 8091, itself: 8092, one: 8093 } as const;

async function atEveryAddress({ places }: CheckContext, family: Ipv): Promise<string> {
  const { outsider, client, bypass, node } = places;
  const address = ofFamily(node('node2').ips, family);
  for (const from of [outsider, client, bypass, node('node1'), node('node2')]) {
    expect((await httpGet(from, url(address, PORT.every))).pod === POD, `${from.name} was answered by another pod`);
    expect((await udpWho(from, address, PORT.every)).pod === POD, `${from.name} was answered by another pod, by UDP`);
  }
  const { peer } = await httpGet(outsider, url(address, PORT.every));
  expect(outsider.ips.includes(peer), `The pod saw ${peer}, wanted the client's address`);
  await unreachable(outsider, ofFamily(node('node1').ips, family), PORT.every); // control: another node has no such pod
  return `the pod sees ${peer}`;
}

async function whereTheySay({ places }: CheckContext): Promise<string> {
  const { outsider, client, node } = places;
  const [v4, v6] = [ofFamily(node('node2').ips, 'IPv4'), ofFamily(node('node2').ips, 'IPv6')];
  expect((await httpGet(node('node2'), url('127.0.0.1', PORT.itself))).pod === POD, 'node2 was answered by another pod');
  for (const from of [outsider, client, node('node1')]) await unreachable(from, v4, PORT.itself);
  for (const from of [outsider, client, node('node2')])
    expect((await httpGet(from, url(v4, PORT.one))).pod === POD, 'another pod answered');
  await unreachable(outsider, v6, PORT.one);
  return '127.0.0.1 is for the node alone';
}

export const hostPortChecks: readonly Check[] = [
  // covers: host-port
  ...inBoth("A pod's hostPort is served at its node and no other, to the LAN, to pods and to nodes", 'services', atEveryAddress),
  // covers: host-port-address
  {
    name: "A hostPort with a hostIP is served there alone: 127.0.0.1, or one of the node's addresses",
    needs: 'services',
    run: whereTheySay,
  },
];
