// SPDX-License-Identifier: Apache-2.0
// Services: from pods with and without socket hooks, from nodes, with and without backends, while they change.
import { CheckFailed, expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { isReady, podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { NAMESPACE } from './places.ts';
import type { Place } from './places.ts';
import { httpGet, ping, tcpRefusal, udpEcho, udpRefusal, udpWho, unreachable, url } from './traffic.ts';

const REFUSAL_MS = 100;

async function reaches(from: Place, addresses: readonly string[], family: Ipv): Promise<undefined> {
  const address = ofFamily(addresses, family);
  await httpGet(from, url(address, 80));
  await udpEcho(from, address, 80);
  return undefined;
}

/** All three backends are found, by TCP and by UDP, in a bounded number of tries. */
async function findsAll(from: Place, address: string): Promise<string> {
  const wanted = 3;
  const byTcp = new Set<string>();
  const byUdp = new Set<string>();
  let tries = 0;
  for (; tries < 60 && (byTcp.size < wanted || byUdp.size < wanted); tries++) {
    byTcp.add((await httpGet(from, url(address, 80))).pod);
    byUdp.add((await udpWho(from, address, 80)).pod);
  }
  expect(
    byTcp.size === wanted && byUdp.size === wanted,
    `${tries} tries found ${byTcp.size} backends by TCP and ${byUdp.size} by UDP, wanted ${wanted} each`,
  );
  return `${tries} tries`;
}

const byFamily = (name: string, run: (context: CheckContext, family: Ipv) => Promise<string | undefined>): readonly Check[] =>
  IPV.map((family) => ({ name: `${name} (${family})`, needs: 'services' as const, run: (context) => run(context, family) }));

/** The pod reaches itself; what it is told about its peer must be a working address. */
async function hairpin(pod: Place, address: string): Promise<undefined> {
  for (let tries = 0; tries < 3; tries++) {
    const seen = await httpGet(pod, url(address, 80));
    expect(seen.pod === pod.name, `${pod.name} reached ${seen.pod} through its own service`);
  }
  const { pod: answered } = await udpWho(pod, address, 80);
  expect(answered === pod.name, `${pod.name} reached ${answered} by UDP through its own service`);
  return undefined;
}

/** The fastest of three tries counts: the machine may be busy, a service that lets wait is slow every time. */
async function refusesAtOnce(from: Place, address: string, port = 80): Promise<string> {
  let [tcp, udp] = [Infinity, Infinity];
  for (let tries = 0; tries < 3 && Math.max(tcp, udp) >= REFUSAL_MS; tries++) {
    tcp = Math.min(tcp, (await tcpRefusal(from, address, port)).milliseconds);
    udp = Math.min(udp, (await udpRefusal(from, address, port)).milliseconds);
  }
  const slowest = Math.max(tcp, udp);
  expect(slowest < REFUSAL_MS, `${from.name} was refused after ${slowest.toFixed(0)} ms, wanted less than ${REFUSAL_MS} ms`);
  return `TCP ${tcp.toFixed(1)} ms, UDP ${udp.toFixed(1)} ms`;
}

const CLOSED_PORT = 81;

/** Scales the deployment and waits until its service answers from exactly the ready pods. */
async function followsTo({ cluster: { store }, places, signal }: CheckContext, replicas: number): Promise<void> {
  const key = { namespace: NAMESPACE, name: 'scaled' };
  store.patch('deployments.apps', key, { spec: { replicas } });
  const pods = () => podsIn(store, { namespace: NAMESPACE, labelSelector: 'app=scaled' });
  await until(`${replicas} pods`, 20_000, () => pods().length === replicas && pods().every(isReady), signal);
  const wanted = new Set(pods().map(({ metadata }) => metadata.name));
  const [address = ''] = places.serviceIps('scaled');
  let wrong = '';
  const settled = async () => {
    const seen = new Set<string>();
    for (let tries = 0; tries < 8 * replicas; tries++) {
      const ran = await places.client.run(['socat', '-u', '-T', '1', `TCP:${address}:80,connect-timeout=1`, '-']);
      if (ran.code !== 0) wrong = `a connection failed: ${ran.stderr.trim()}`;
      else if (!wanted.has(ran.stdout.trim())) wrong = `${ran.stdout.trim()} answered, which is gone`;
      else seen.add(ran.stdout.trim());
      if (ran.code !== 0 || !wanted.has(ran.stdout.trim())) return false;
    }
    wrong = `${seen.size} of ${replicas} pods answered`;
    return seen.size === wanted.size;
  };
  await until('the service to follow', 5_000, settled, signal).catch(() => {
    throw new CheckFailed(`After scaling to ${replicas}: ${wrong}`);
  });
}

export const serviceChecks: readonly Check[] = [
  // covers: cluster-ip
  ...byFamily('A pod reaches a ClusterIP by TCP and UDP', ({ places }, family) =>
    reaches(places.client, places.serviceIps('echo'), family),
  ),
  // covers: cluster-ip
  ...byFamily('A pod that bypasses the socket hooks reaches a ClusterIP by TCP and UDP', ({ places }, family) =>
    reaches(places.bypass, places.serviceIps('echo'), family),
  ),
  // covers: cluster-ip
  ...byFamily('A node reaches a ClusterIP by TCP and UDP', ({ places }, family) =>
    reaches(places.node('node2'), places.serviceIps('echo'), family),
  ),
  // covers: all-backends
  ...byFamily('A ClusterIP leads to every one of its backends', ({ places }, family) =>
    findsAll(places.client, ofFamily(places.serviceIps('echo'), family)),
  ),
  ...byFamily('A ClusterIP leads to every one of its backends, packet by packet', ({ places }, family) =>
    findsAll(places.bypass, ofFamily(places.serviceIps('echo'), family)),
  ),
  // covers: hairpin
  ...byFamily('A pod reaches itself through its own service', ({ places }, family) =>
    hairpin(places.client, ofFamily(places.serviceIps('client'), family)),
  ),
  ...byFamily('A pod that bypasses the socket hooks reaches itself through its own service', ({ places }, family) =>
    hairpin(places.bypass, ofFamily(places.serviceIps('bypass'), family)),
  ),
  // covers: no-endpoints
  ...byFamily('A service without backends refuses in under 100 ms', ({ places }, family) =>
    refusesAtOnce(places.client, ofFamily(places.serviceIps('nobody'), family)),
  ),
  ...byFamily('A service without backends refuses in under 100 ms, packet by packet', ({ places }, family) =>
    refusesAtOnce(places.bypass, ofFamily(places.serviceIps('nobody'), family)),
  ),
  // covers: no-endpoints
  ...byFamily('A service without backends refuses a node in under 100 ms', ({ places }, family) =>
    refusesAtOnce(places.node('node1'), ofFamily(places.serviceIps('nobody'), family)),
  ),
  // covers: closed-port
  ...byFamily('A port that a service does not have is refused at once', async ({ places }, family) => {
    const address = ofFamily(places.serviceIps('echo'), family);
    await refusesAtOnce(places.client, address, CLOSED_PORT);
    await refusesAtOnce(places.node('node1'), address, CLOSED_PORT);
    return refusesAtOnce(places.bypass, address, CLOSED_PORT);
  }),
  ...byFamily('A ClusterIP answers the ping of a pod and of a node', async ({ places }, family) => {
    await ping(places.node('node1'), ofFamily(places.serviceIps('echo'), family));
    await ping(places.node('node2'), ofFamily(places.serviceIps('nobody'), family));
    await ping(places.client, ofFamily(places.serviceIps('echo'), family));
    await ping(places.bypass, ofFamily(places.serviceIps('nobody'), family));
    return undefined;
  }),
  // covers: scale
  {
    name: 'A service follows its deployment from one pod to three and back',
    needs: 'services',
    run: async (context) => {
      await followsTo(context, 3);
      await followsTo(context, 1);
      return undefined;
    },
  },
  // covers: cluster-ip-outside
  ...byFamily('The outside cannot reach a ClusterIP, not even with a route to it', outsideCannotReach),
];

/** With a route for service addresses through a node, as an attacker on the LAN would set it. */
async function outsideCannotReach({ places }: CheckContext, family: Ipv): Promise<string> {
  const address = ofFamily(places.serviceIps('echo'), family);
  const via = ofFamily(places.node('node1').ips, family);
  const pod = places.echoOn('node1');
  const podAddress = ofFamily(pod.ips, family);
  const { outsider } = places;
  const route = (verb: string, to: string) => outsider.run(['ip', 'route', verb, to, 'via', via]);
  const bits = family === 'IPv4' ? 32 : 128;
  await route('add', `${address}/${bits}`);
  await route('add', `${podAddress}/${bits}`);
  try {
    await unreachable(outsider, address, 80);
    const control = await outsider.run(['curl', '--silent', '--globoff', '--max-time', '1', url(podAddress, 8080)]);
    return `with such a route the pod behind it is ${control.code === 0 ? 'reachable' : 'not reachable'}`;
  } finally {
    await route('del', `${address}/${bits}`);
    await route('del', `${podAddress}/${bits}`);
  }
}
