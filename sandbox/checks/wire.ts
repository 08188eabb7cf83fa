// SPDX-License-Identifier: Apache-2.0
// Services as clients on the LAN reach them: at node ports of every node, and at addresses that are the service's alone.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inBoth, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { podsIn, isReady } from '../objects.ts';
import { until } from '../until.ts';
import { NAMESPACE, NODE_NAMES } from './places.ts';
import { httpGet, longConnection, ping, tcpRefusal, udpEcho, udpRefusal, udpWho, unreachable, url } from './traffic.ts';

/** The node ports of manifests/wire.yaml. */
export const PORT = { wire: 30_080, snat: 30_081, local: 30_082, sticky: 30_083, leaving: 30_084, maglev: 30_086 } as const;

const EXTERNAL = { IPv4: '192.168.7.80', IPv6: 'fd00:192:168:7::80' } as const;

async function atEveryNode({ places }: CheckContext, family: Ipv): Promise<string> {
  const reached = new Set<string>();
  for (const node of NODE_NAMES) {
    const address = ofFamily(places.node(node).ips, family);
    reached.add((await httpGet(places.outsider, url(address, PORT.wire))).pod);
    reached.add((await udpWho(places.outsider, address, PORT.wire)).pod);
  }
  return `${NODE_NAMES.length} nodes lead to ${[...reached].join(', ')}`;
}

/** From everywhere inside: a pod that the socket hooks see, one that they do not, the node that has the backend and another one. */
async function fromInside({ places }: CheckContext, family: Ipv): Promise<string | undefined> {
  const insiders = [places.client, places.bypass, places.exempt, places.node('node1'), places.node('node3')];
  for (const node of ['node1', 'node2'])
    for (const from of insiders) {
      const address = ofFamily(places.node(node).ips, family);
      await httpGet(from, url(address, PORT.wire));
      await udpWho(from, address, PORT.wire);
    }
  return undefined;
}

async function servedWhereItIs({ places }: CheckContext, family: Ipv): Promise<string> {
  const { outsider } = places;
  const here = ofFamily(places.node('node1').ips, family);
  const client = ofFamily(outsider.ips, family);
  const peers = [(await httpGet(outsider, url(here, PORT.local))).peer, (await udpWho(outsider, here, PORT.local)).peer];
  expect(
    peers.every((peer) => peer === client),
    `The pod saw ${peers.join(' and ')}, wanted the client's address ${client}`,
  );
  for (const node of ['node2', 'node3']) await unreachable(outsider, ofFamily(places.node(node).ips, family), PORT.local);
  return `the pod sees ${client}; the other nodes do not serve it`;
}

async function keepsItsBackend({ places }: CheckContext, family: Ipv): Promise<string> {
  const address = ofFamily(places.node('node2').ips, family);
  const byTcp = new Set<string>();
  const byUdp = new Set<string>();
  for (let tries = 0; tries < 6; tries++) {
    byTcp.add((await httpGet(places.outsider, url(address, PORT.sticky))).pod);
    byUdp.add((await udpWho(places.outsider, address, PORT.sticky)).pod);
  }
  expect(byTcp.size === 1 && byUdp.size === 1, `Six tries reached ${[...byTcp].join(', ')} by TCP and ${[...byUdp].join(', ')} by UDP`);
  return `six tries each`;
}

/** `act` while the client's way to the external address leads through node2. */
async function withRoute(
  { places: { outsider, node } }: CheckContext,
  family: Ipv,
  act: (address: string) => Promise<void>,
): Promise<void> {
  const to = `${EXTERNAL[family]}/${family === 'IPv4' ? 32 : 128}`;
  await outsider.run(['ip', 'route', 'replace', to, 'via', ofFamily(node('node2').ips, family)]);
  try {
    await act(EXTERNAL[family]);
  } finally {
    await outsider.run(['ip', 'route', 'del', to]);
  }
}

async function behavesLikeAHost(context: CheckContext, family: Ipv): Promise<string> {
  const { outsider } = context.places;
  let told = '';
  await withRoute(context, family, async (address) => {
    await httpGet(outsider, url(address, 80));
    await udpWho(outsider, address, 80);
    await ping(outsider, address);
    const tcp = await tcpRefusal(outsider, address, 81);
    const udp = await udpRefusal(outsider, address, 81);
    told = `closed ports refuse after ${tcp.milliseconds.toFixed(1)} ms (TCP) and ${udp.milliseconds} ms (UDP)`;
  });
  return told;
}

const MTU = 1_500; // bytes

/** The largest datagram that the LAN carries in one packet, marked "do not fragment" and not. */
async function carriesTheLargest({ places }: CheckContext, family: Ipv): Promise<string> {
  const bytes = MTU - 8 - (family === 'IPv4' ? 20 : 40);
  const address = ofFamily(places.node('node2').ips, family);
  for (const port of [PORT.wire, PORT.snat]) {
    await udpEcho(places.outsider, address, port, bytes); // the kernel marks it
    const host = family === 'IPv4' ? `UDP4:${address}` : `UDP6:[${address}]`;
    const script = `head -c ${bytes} /dev/zero | socat -T 2 -b 2000 - ${host}:${port}${family === 'IPv4' ? ',mtudiscover=0' : ''} | wc -c`;
    const { stdout } = await places.outsider.run(['sh', '-c', script]);
    expect(Number(stdout) === bytes, `${stdout.trim()} bytes came back from ${address} port ${port}, wanted ${bytes}`);
  }
  return `${bytes} bytes, through DSR and through SNAT`;
}

const CONNECTIONS = 8;

/** A pod is deleted while clients are connected to it: they finish, and nobody new comes to it. */
async function drains({ cluster: { store }, places, signal }: CheckContext): Promise<string> {
  const pods = () => podsIn(store, { namespace: NAMESPACE, labelSelector: 'app=leaving' });
  await until('two pods', 20_000, () => pods().filter(isReady).length === 2, signal);
  const address = ofFamily(places.node('node2').ips, 'IPv4');
  const before = Promise.allSettled(Array.from({ length: CONNECTIONS }, () => longConnection(places.outsider, address, PORT.leaving, 40)));
  await delay(500, undefined, { signal });
  const leaving = pods()[0];
  store.delete('pods', { namespace: NAMESPACE, name: leaving?.metadata.name ?? '' });
  await delay(300, undefined, { signal }); // until every node has heard
  const answered = new Set<string>();
  for (let tries = 0; tries < 12; tries++) answered.add((await httpGet(places.outsider, url(address, PORT.leaving))).pod);
  expect(!answered.has(leaving?.metadata.name ?? ''), `A new connection came to ${leaving?.metadata.name}, which is leaving`);
  expect(
    pods().some(({ metadata }) => metadata.name === leaving?.metadata.name),
    `${leaving?.metadata.name} had gone already: nothing was seen`,
  );
  const broken = (await before).find((one) => one.status === 'rejected');
  expect(broken === undefined, String(broken?.reason));
  return `${CONNECTIONS} connections from before went on`;
}

export const wireChecks: readonly Check[] = [
  // covers: node-port
  ...inBoth('A node port answers a client on the LAN at every node, by TCP and UDP', 'services', atEveryNode),
  // covers: node-port-inside
  ...inBoth('Pods and nodes reach a node port of their own node and of another', 'services', fromInside),
  // covers: external-local
  ...inBoth('With externalTrafficPolicy: Local a node serves what it has, and the pod sees the client', 'services', servedWhereItIs),
  // covers: affinity
  ...inBoth('A client of a node port keeps its backend with sessionAffinity: ClientIP', 'services', keepsItsBackend),
  // covers: external-ip
  ...inBoth('An external address behaves like a host: it serves, answers a ping and refuses closed ports', 'services', behavesLikeAHost),
  ...inBoth('A datagram as large as the LAN carries goes through a node port and back', 'services', carriesTheLargest),
  // covers: draining
  {
    name: 'A pod that is deleted finishes what it has begun for clients on the LAN, and gets nothing new (drain)',
    needs: 'services',
    run: drains,
  },
];
