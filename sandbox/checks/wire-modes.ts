// SPDX-License-Identifier: Apache-2.0
// Whose address the pod sees, and which way its answers take, in each mode of the load balancer.
import { setTimeout as delay } from 'node:timers/promises';
import type { Json } from '../api/json.ts';
import { isReady, podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { expect, inBoth, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { agentOn } from './agents.ts';
import type { Place } from './places.ts';
import { httpGet, longConnection, udpWho, unreachable, url } from './traffic.ts';
import { PORT } from './wire.ts';

export type Captured = { readonly requests: number; readonly replies: number };

/** What passes `owner`, between whom: the client's address, and the port that it asks. */
type Passing = { readonly owner: Place; readonly client: string; readonly port: number; readonly seconds?: number };

/** Packets that pass the owner's uplink while `act` runs. */
export async function capture({ owner, client, port, seconds = 2 }: Passing, act: () => Promise<void>): Promise<Captured> {
  const recording = owner.run(
    ['timeout', '--signal=INT', `${seconds}`, 'tcpdump', '-i', 'eth0', '-nnq', '--immediate-mode', `host ${client}`],
    seconds * 1_000 + 5_000,
  );
  await delay(800); // until it listens
  await act();
  const lines = (await recording).stdout.split('\n');
  const from = (address: string, suffix = '') => lines.filter((line) => line.includes(` ${address}.`) && line.includes(suffix)).length;
  const replies = lines.filter((line) => line.includes(`.${port} > ${client}.`)).length;
  return { requests: from(client, `.${port}:`), replies };
}

type Expected = { readonly peer: 'client' | 'owner'; readonly passesOwner: boolean };

/** A client of node2, whose backend is on node1. */
async function seen({ places }: CheckContext, family: Ipv, port: number, { peer, passesOwner }: Expected): Promise<string> {
  const owner = places.node('node2');
  const address = ofFamily(owner.ips, family);
  const client = ofFamily(places.outsider.ips, family);
  const wanted = peer === 'client' ? client : address;
  const peers: string[] = [];
  const { requests, replies } = await capture({ owner, client, port }, async () => {
    peers.push((await httpGet(places.outsider, url(address, port))).peer);
    peers.push((await udpWho(places.outsider, address, port)).peer);
  });
  expect(
    peers.every((one) => one === wanted),
    `The pod saw ${peers.join(' and ')}, wanted ${wanted}`,
  );
  expect(requests > 0, 'The capture on node2 saw no request, so it proves nothing');
  expect(replies > 0 === passesOwner, `${replies} replies passed node2, wanted ${passesOwner ? 'all of them' : 'none'}`);
  return `the pod on node1 saw ${wanted}; ${requests} requests and ${replies} replies passed node2`;
}

const VALUES = { namespace: 'kube-system', name: 'stentor-values' };

/** A new agent on node2, with these values. */
async function restarted({ cluster: { store }, signal }: CheckContext, values: string): Promise<void> {
  store.patch('configmaps', VALUES, { data: { 'values.yaml': values } });
  const agents = () => podsIn(store, { namespace: 'kube-system', labelSelector: 'k8s-app=cilium', fieldSelector: 'spec.nodeName=node2' });
  const old = agents()[0]?.metadata;
  if (old !== undefined) store.delete('pods', old);
  await until('a new agent on node2', 30_000, () => agents().some((pod) => pod.metadata.uid !== old?.uid && isReady(pod)), signal);
}

/** `act` while node2 has other values. */
export async function withValues(context: CheckContext, change: readonly [string, string], act: () => Promise<string>): Promise<string> {
  const data: Json = context.cluster.store.get('configmaps', VALUES)?.['data'];
  const before = String(data['values.yaml']);
  expect(before.includes(change[0]), `The values do not have '${change[0]}'`);
  try {
    await restarted(context, before.replace(...change));
    return await act();
  } finally {
    await restarted(context, before);
  }
}

const hybrid = (context: CheckContext): Promise<string> =>
  withValues(context, ['mode: dsr', 'mode: hybrid'], async () => {
    const { places } = context;
    const address = ofFamily(places.node('node2').ips, 'IPv4');
    const client = ofFamily(places.outsider.ips, 'IPv4');
    const tcp = (await httpGet(places.outsider, url(address, PORT.wire))).peer;
    const udp = (await udpWho(places.outsider, address, PORT.wire)).peer;
    expect(tcp === client, `By TCP the pod saw ${tcp}, wanted the client's address ${client}`);
    expect(udp === address, `By UDP the pod saw ${udp}, wanted the node's address ${address}`);
    return `by TCP the pod saw ${tcp}, by UDP ${udp}`;
  });

/** Both families; the capture on the backend's node shows that the packets came in envelopes. */
const geneve = (context: CheckContext): Promise<string> =>
  withValues(context, ['mode: dsr', 'mode: dsr\n  dsrDispatch: geneve'], async () => {
    const filter = ['timeout', '--signal=INT', '7', 'tcpdump', '-i', 'eth0', '-nnq', '--immediate-mode', 'udp port 6081'];
    const envelopes = context.places.node('node1').run(filter, 10_000);
    for (const family of IPV) await seen(context, family, PORT.wire, { peer: 'client', passesOwner: false });
    const count = (await envelopes).stdout.split('\n').filter((line) => line.includes('.6081: ')).length;
    expect(count > 0, 'No envelope came to node1');
    return `${count} envelopes came to node1`;
  });

// $1 the port of the LAN's bridge that leads to node2
const DROP_OPTIONS = `nft -f - <<END
table netdev sandbox-options {
  chain lossy { type filter hook ingress device "$1" priority 0; ip hdrlength != 5 drop; ip6 nexthdr 60 drop; }
}
END`;

/** The LAN takes packets with options from node2 no further. */
async function optionsLost(context: CheckContext): Promise<string> {
  const { places, signal } = context;
  const owner = places.node('node2');
  const agent = agentOn(context, 'node2');
  const lossesOf = async () => (await agent.run(['stentor', 'problems'])).stdout.includes('OptionsLost');
  expect(!(await lossesOf()), 'node2 says that options are lost before they are');
  const dropping = await places.lan.run(['sh', '-c', DROP_OPTIONS, 'sh', 'node2']);
  expect(dropping.code === 0, `Cannot make the LAN drop options: ${dropping.stderr.trim()}`);
  const began = performance.now();
  try {
    await unreachable(places.outsider, ofFamily(owner.ips, 'IPv4'), PORT.wire); // control
    await until('node2 to notice', 30_000, lossesOf, signal);
    const noticed = (performance.now() - began) / 1_000;
    for (const family of IPV) await seen(context, family, PORT.wire, { peer: 'client', passesOwner: false });
    return `noticed after ${noticed.toFixed(0)} s`;
  } finally {
    await places.lan.run(['nft', 'delete', 'table', 'netdev', 'sandbox-options']);
    await until('node2 to believe in options again', 30_000, async () => !(await lossesOf()), signal);
  }
}

/** Frames from a NIC carry their checksums; those of veth do where it may not leave them out. */
async function checksums({ places }: CheckContext, where: 'in frames' | 'left out'): Promise<void> {
  for (const place of [places.outsider, places.node('node1'), places.node('node2')]) {
    const ran = await place.run(['ethtool', '-K', 'eth0', 'tx', where === 'in frames' ? 'off' : 'on']);
    expect(ran.code === 0, `${place.name} cannot set its checksum offload: ${ran.stderr.trim()}`);
  }
}

const REQUESTS = 40;

/** In the mode for any device: what the program sends on no capture sees, so of a long connection node2 shows a packet now and then. */
async function accelerated(context: CheckContext): Promise<string> {
  const { places } = context;
  const told: string[] = [];
  const captured = async (family: Ipv) => {
    const [address, client] = [ofFamily(places.node('node2').ips, family), ofFamily(places.outsider.ips, family)];
    const act = () => longConnection(places.outsider, address, PORT.snat, REQUESTS);
    return (await capture({ owner: places.node('node2'), client, port: PORT.snat, seconds: 6 }, act)).requests;
  };
  await checksums(context, 'in frames');
  try {
    const before = await captured('IPv4');
    await withValues(context, ['mode: dsr', 'mode: dsr\n  acceleration: testing-only'], async () => {
      for (const family of IPV) {
        const seenBy = await captured(family);
        expect(
          seenBy > 0 && seenBy < before / 2,
          `${seenBy} packets of ${REQUESTS} requests passed the stack's hooks over ${family}, ${before} do without XDP`,
        );
        told.push(`${seenBy} over ${family}`);
      }
      return '';
    });
    return `of ${REQUESTS} requests the stack saw ${before} packets without XDP, ${told.join(', ')} with it`;
  } finally {
    await checksums(context, 'left out');
  }
}

export const wireModeChecks: readonly Check[] = [
  ...inBoth(
    "DSR: the pod on another node sees the client's address, and answers it without the node that was asked",
    'agent',
    (context, family) => seen(context, family, PORT.wire, { peer: 'client', passesOwner: false }),
  ),
  ...inBoth('SNAT, by annotation: the pod sees the node that was asked, and answers through it', 'agent', (context, family) =>
    seen(context, family, PORT.snat, { peer: 'owner', passesOwner: true }),
  ),
  {
    name: "DSR by Geneve: the pod sees the client's address, and answers it without the node that was asked (IPv4 and IPv6)",
    needs: 'agent',
    run: geneve,
  },
  {
    name: 'Where the LAN drops packets with IP options the nodes notice, say so, and DSR goes on in envelopes',
    needs: 'agent',
    run: optionsLost,
  },
  {
    name: 'XDP: packets between a client and the backend of another node pass node2 before its stack (IPv4 and IPv6)',
    needs: 'agent',
    run: accelerated,
  },
  { name: 'Hybrid: TCP is answered directly, UDP through the node that was asked', needs: 'agent', run: hybrid },
];
