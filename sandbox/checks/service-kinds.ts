// SPDX-License-Identifier: Apache-2.0
// What a Service may ask for beside a ClusterIP: affinity, backends of the client's node, named ports, pods that are not ready, names only.
import { CheckFailed, expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { INTERNET } from '../layout.ts';
import { pause, until } from '../until.ts';
import { NAMESPACE } from './places.ts';
import type { Place, Places } from './places.ts';
import { httpGet, tcpRefusal, udpRefusal, udpWho, unreachable, url } from './traffic.ts';

const TRIES = 12;

const byFamily = (name: string, run: (context: CheckContext, family: Ipv) => Promise<string | undefined>): readonly Check[] =>
  IPV.map((family) => ({ name: `${name} (${family})`, needs: 'agent' as const, run: (context) => run(context, family) }));

/** A client by its sockets, one by its packets, and a node. */
const vantages = ({ client, bypass, node }: Places): readonly Place[] => [client, bypass, node('node2')];

/** The names of the pods that answer, by TCP and by UDP. */
async function answering(from: Place, address: string, protocols: readonly ('TCP' | 'UDP')[] = ['TCP', 'UDP']): Promise<readonly string[]> {
  const names: string[] = [];
  for (let tries = 0; tries < TRIES; tries++)
    for (const protocol of protocols)
      names.push(`${protocol} ${(await (protocol === 'TCP' ? httpGet(from, url(address, 80)) : udpWho(from, address, 80))).pod}`);
  return [...new Set(names)];
}

/** 12 connections and 12 datagrams of new sockets: one backend each. Of three backends, chance would do that once in 30 billion runs. */
async function keepsBackend(from: Place, address: string): Promise<void> {
  const names = await answering(from, address);
  expect(names.length === 2, `${from.name} was answered by ${names.join(', ')}, wanted one pod by TCP and one by UDP`);
}

async function staysOnNode(from: Place, address: string, wanted: string): Promise<void> {
  const names = await answering(from, address);
  const others = names.filter((name) => !name.endsWith(` ${wanted}`));
  expect(others.length === 0, `${from.name} was answered by ${others.join(', ')}, wanted ${wanted} alone`);
}

async function refuses(from: Place, address: string): Promise<void> {
  await tcpRefusal(from, address, 80);
  await udpRefusal(from, address, 80);
}

async function says(from: Place, address: string, wanted: string): Promise<void> {
  const ran = await from.run([
    'socat',
    '-u',
    '-T',
    '2',
    `TCP:${address.includes(':') ? `[${address}]` : address}:80,connect-timeout=2`,
    '-',
  ]);
  expect(ran.stdout.trim() === wanted, `${from.name} was answered '${ran.stdout.trim() || ran.stderr.trim()}', wanted '${wanted}'`);
}

async function addressesOf(from: Place, name: string): Promise<string> {
  const ran = await from.run(['getent', 'ahosts', name]);
  return [...new Set(ran.stdout.split('\n').map((line) => line.split(' ')[0] ?? ''))].filter(Boolean).toSorted().join();
}

// $1 address, $2 port: a connected socket asks once, says so, and waits for a second answer, which nobody gives.
const WAITING =
  'exec 3<>"/dev/udp/$1/$2" && printf who >&3 && dd bs=512 count=1 status=none <&3 && echo && timeout 3 dd bs=512 count=1 status=none <&3';

/** Moves the label that the service `moving` looks for from one pod to another, and tells what sockets hear that were connected before. */
async function hearsOfTheEnd({ cluster: { store }, places, signal }: CheckContext, family: Ipv): Promise<undefined> {
  const [before, after] = [places.echoOn('node2'), places.echoOn('node3')];
  const label = (name: string, moving?: 'here') =>
    store.patch('pods', { namespace: NAMESPACE, name }, { metadata: { labels: { moving: moving ?? null } } }); // null: a merge patch takes the label away
  const address = ofFamily(places.serviceIps('moving'), family);
  const answers = (from: Place) =>
    udpWho(from, address, 80).then(
      ({ pod }) => pod,
      () => 'nobody',
    );
  const answered = (wanted: string) => until(`${wanted} to serve`, 5_000, async () => (await answers(places.client)) === wanted, signal);
  label(before.name, 'here');
  try {
    await answered(before.name);
    const wait = (from: Place, to: string, port: number) => from.run(['bash', '-c', WAITING, 'udp', to, `${port}`], 8_000);
    const waits = [wait(places.client, address, 80), wait(places.node('node1'), address, 80)];
    const direct = wait(places.client, ofFamily(before.ips, family), 8080);
    await pause(500, signal);
    label(after.name, 'here');
    label(before.name);
    for (const ran of await Promise.all(waits)) {
      expect(ran.stdout.startsWith(before.name), `${ran.stdout.trim() || 'nobody'} answered at first, wanted ${before.name}`);
      expect(
        /abort/i.test(ran.stderr),
        `the socket heard '${ran.stderr.trim() || `nothing, exit code ${ran.code}`}' when its backend went`,
      );
    }
    expect((await direct).code === 124, `a socket to the pod itself ended, too: ${(await direct).stderr.trim()}`);
    await answered(after.name);
  } finally {
    for (const { name } of [before, after]) label(name);
  }
  return undefined;
}

// What an application sees as its peer. $1: address; prints getpeername() of a TCP and of a UDP socket, and from whom an unconnected one is answered.
const PEERS = `
const [address] = process.argv.slice(1);
const type = address.includes(':') ? 'udp6' : 'udp4';
const tcp = require('node:net').connect({ host: address, port: 80 }, () => {
  const connected = require('node:dgram').createSocket(type);
  connected.connect(80, address, () => {
    const free = require('node:dgram').createSocket(type);
    free.on('message', (_, { address: answered }) => {
      console.log([tcp.remoteAddress, connected.remoteAddress().address, answered].join());
      process.exit(0);
    });
    free.send('who', 80, address);
    setTimeout(() => process.exit(1), 3000);
  });
});`;

async function seesAsPeer(from: Place, address: string): Promise<void> {
  const ran = await from.run([process.execPath, '-e', PEERS, address]);
  const wanted = Array.from({ length: 3 }, () => address).join();
  expect(ran.stdout.trim() === wanted, `${from.name} sees ${ran.stdout.trim() || ran.stderr.trim()}, wanted ${wanted}`);
}

export const serviceKindChecks: readonly Check[] = [
  ...byFamily('A socket sees the service as its peer, and is answered by it', async ({ places }, family) => {
    for (const from of vantages(places)) await seesAsPeer(from, ofFamily(places.serviceIps('echo'), family));
    return undefined;
  }),
  {
    name: 'A v4-mapped address leads an IPv6 socket to an IPv4 service, which it sees as its peer',
    needs: 'agent',
    run: async ({ places }) => {
      for (const from of vantages(places)) await seesAsPeer(from, `::ffff:${ofFamily(places.serviceIps('echo'), 'IPv4')}`);
      return undefined;
    },
  },
  // covers: affinity
  ...byFamily('A client keeps its backend where the Service has session affinity', async ({ places }, family) => {
    const address = ofFamily(places.serviceIps('sticky'), family);
    for (const from of vantages(places)) await keepsBackend(from, address);
    const control = await answering(places.client, ofFamily(places.serviceIps('echo'), family));
    expect(control.length > 2, `without affinity, too, only ${control.join(', ')} answered`);
    return undefined;
  }),
  // covers: internal-local
  ...byFamily("internalTrafficPolicy: Local leads each node's clients to the backend of their node", async ({ places }, family) => {
    const address = ofFamily(places.serviceIps('local'), family);
    for (const from of [places.client, places.bypass, places.node('node1')]) await staysOnNode(from, address, places.echoOn('node1').name);
    await staysOnNode(places.node('node2'), address, places.echoOn('node2').name);
    return undefined;
  }),
  // covers: internal-local
  ...byFamily('internalTrafficPolicy: Local refuses at once where the node has no backend', async ({ places }, family) => {
    const address = ofFamily(places.serviceIps('local-on-node1'), family);
    await httpGet(places.bypass, url(address, 80));
    await refuses(places.node('node2'), address);
    await refuses(places.echoOn('node3'), address);
    return undefined;
  }),
  // covers: target-port
  ...byFamily('A named port leads to the number that each pod gives the name', async ({ places }, family) => {
    const names = await answering(places.bypass, ofFamily(places.serviceIps('named'), family), ['TCP']);
    expect(names.toSorted().join() === 'TCP client,TCP named', `${names.join(', ')} answered, wanted client (port 8080) and named (9090)`);
    return undefined;
  }),
  // covers: unready
  ...byFamily('A pod that is not ready is behind a Service only with publishNotReadyAddresses', async ({ places }, family) => {
    await says(places.client, ofFamily(places.serviceIps('unready-published'), family), 'unready');
    await says(places.bypass, ofFamily(places.serviceIps('unready-published'), family), 'unready');
    await tcpRefusal(places.client, ofFamily(places.serviceIps('unready'), family), 80);
    return undefined;
  }),
  // covers: udp-stale
  ...byFamily('A connected UDP socket hears that its backend is gone', hearsOfTheEnd),
  // covers: headless
  {
    name: 'A headless Service is its pods, an ExternalName another name; neither has a frontend',
    needs: 'agent',
    run: async ({ places }) => {
      const pods = ['node1', 'node2', 'node3'].flatMap((node) => places.echoOn(node).ips);
      const headless = await addressesOf(places.client, 'headless');
      expect(headless === pods.toSorted().join(), `headless is ${headless}, wanted ${pods.join()}`);
      await httpGet(places.client, url('headless', 8080));
      const outside = await addressesOf(places.client, 'outside');
      expect(outside === [INTERNET.ipv4, INTERNET.ipv6].toSorted().join(), `outside is ${outside}`);
      return undefined;
    },
  },
  // covers: proxy-name
  {
    name: 'A Service with service-proxy-name of another proxy is left alone',
    needs: 'agent',
    run: async ({ places }) => {
      const [address] = places.serviceIps('others');
      if (address === undefined) throw new CheckFailed('The Service others has no address');
      for (const from of [places.client, places.bypass]) await unreachable(from, address, 80);
      return undefined;
    },
  },
];
