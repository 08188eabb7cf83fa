// SPDX-License-Identifier: Apache-2.0
// What a user tries first on the LAN, with the tools that he has: 192.168.0.225, which the Service `balanced` asks for, by the seed's pool
// and policy.
import { NODES } from '../layout.ts';
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { neighbour } from './announcements.ts';
import { kubectl } from './balancers.ts';
import { CheckFailed, expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { NAMESPACE, NODE_NAMES } from './places.ts';
import type { Place } from './places.ts';
import { httpGet, ping, url } from './traffic.ts';
import { capture } from './wire-modes.ts';

const ADDRESS = '192.168.0.225';
const SERVICE = { namespace: NAMESPACE, name: 'balanced' };
const PATIENCE_MS = 10_000;
const CLOSED = 81;

/** `act` while the Service has one pod, on another node than the one that answers for the address. */
async function elsewhere(context: CheckContext, act: (owner: Place, pod: string) => Promise<string>): Promise<string> {
  const { cluster, places, signal } = context;
  const { store } = cluster;
  const owner = await neighbour(context, ADDRESS);
  const node = NODE_NAMES.find((name) => name !== owner) ?? '';
  const [pod] = podsIn(store, { namespace: NAMESPACE, labelSelector: 'app=echo', fieldSelector: `spec.nodeName=${node}` });
  if (pod === undefined) throw new CheckFailed(`There is no pod on ${node}`);
  const named = { namespace: NAMESPACE, name: pod.metadata.name };
  store.patch('pods', named, { metadata: { labels: { behind: 'the-address' } } });
  store.patch('services', SERVICE, { spec: { selector: { behind: 'the-address' } } });
  try {
    const isAlone = async () => (await httpGet(places.outsider, url(ADDRESS, 80))).pod === named.name;
    await until(`${named.name} to be the only one`, PATIENCE_MS, () => isAlone().catch(() => false), signal);
    return await act(places.node(owner), named.name);
  } finally {
    store.patch('services', SERVICE, { spec: { selector: { behind: null } } }); // null: a merge patch takes it away
    store.patch('pods', named, { metadata: { labels: { behind: null } } }); // the same
  }
}

/** curl: the pod's log has the client, and the node that answers for the address sees no reply. */
const curl = (context: CheckContext): Promise<string> =>
  elsewhere(context, async (owner, pod) => {
    const { outsider } = context.places;
    const [client = ''] = outsider.ips;
    const word = `shown${Date.now()}`;
    const { requests, replies } = await capture({ owner, client, port: 80 }, async () => {
      await httpGet(outsider, url(ADDRESS, 80, `/log/${word}`));
    });
    expect(requests > 0, `The capture on ${owner.name} saw no request, so it proves nothing`);
    expect(replies === 0, `${replies} replies passed ${owner.name}, wanted none`);
    const wanted = `${word}: a request of ${client}`;
    const logs = () => kubectl(context, ['-n', NAMESPACE, 'logs', pod]);
    await until(`'${wanted}' in the log of ${pod}`, PATIENCE_MS, async () => (await logs()).includes(wanted), context.signal);
    return `${pod} logs ${client}; ${requests} requests and no reply passed ${owner.name}, which answers for the address`;
  });

/** ping, also one whose time is over at its first hop, and arping: one machine answers, and it is the owner's link address. */
async function found(context: CheckContext): Promise<string> {
  const { outsider } = context.places;
  const owner = await neighbour(context, ADDRESS);
  await ping(outsider, ADDRESS);
  const near = await outsider.run(['ping', '-n', '-c', '1', '-W', '2', '-t', '1', ADDRESS]);
  expect(near.code === 0, `A ping that may make one hop is not answered by ${ADDRESS}, where traceroute has to end: ${near.stdout}`);
  const ran = await outsider.run(['arping', '-c', '3', '-w', '4', '-I', 'eth0', ADDRESS], 10_000);
  const answers = Array.from(ran.stdout.matchAll(/reply from (\S+) \[([0-9A-F:]+)\]/gi), ([, ip, mac]) => `${ip} ${mac?.toLowerCase()}`);
  const mac = NODES.find(({ name }) => name === owner)?.mac ?? '';
  expect(
    ran.code === 0 && answers.length === 3 && answers.every((one) => one === `${ADDRESS} ${mac}`),
    `arping: wanted three answers of ${mac} (${owner}), saw exit code ${ran.code}: ${ran.stdout}${ran.stderr}`,
  );
  return `${owner} answers as ${mac}`;
}

/** nc to a port that nobody serves, and to one that is. */
async function refused({ places: { outsider } }: CheckContext): Promise<string> {
  const nc = (...more: readonly string[]) => outsider.run(['nc', '-vz', '-w', '3', ...more]);
  for (const kind of [[], ['-u']]) {
    const started = performance.now();
    const closed = await nc(...kind, ADDRESS, `${CLOSED}`);
    const ms = performance.now() - started;
    expect(
      closed.code === 1 && ms < 2_500,
      `nc ${kind.join(' ')} to port ${CLOSED}: exit code ${closed.code} after ${ms.toFixed(0)} ms, ${closed.stderr.trim()}`,
    );
    if (kind.length === 0) expect(closed.stderr.includes('Connection refused'), `nc says ${closed.stderr.trim()}`);
    const open = await nc(...kind, ADDRESS, '80');
    expect(open.code === 0, `nc ${kind.join(' ')} to port 80: exit code ${open.code}, ${open.stderr.trim()}`);
  }
  return `port ${CLOSED} is refused at once, by TCP and by UDP`;
}

/** What kubectl shows of it. */
async function columns(context: CheckContext): Promise<string> {
  const both = await kubectl(context, ['get', 'ciliuml2announcementpolicies,ciliumloadbalancerippools']);
  for (const [what, wanted] of [
    ['the policy', /ciliuml2announcementpolicy\.cilium\.io\/policy +\S/],
    ['the pool', /ciliumloadbalancerippool\.cilium\.io\/pool +false +False +\d+ +\d+ +Ready +192\.168\.0\.220-192\.168\.0\.239 /],
  ] as const)
    expect(wanted.test(both), `kubectl get does not show ${what}:\n${both}`);
  const services = await kubectl(context, ['get', 'services', '-A', '-o', 'wide']);
  const line = services.split('\n').find((one) => one.includes('LoadBalancer') && one.includes(` ${ADDRESS} `));
  expect(line !== undefined, `kubectl get services does not show ${ADDRESS}:\n${services}`);
  return line.replaceAll(/ +/g, ' ').trim();
}

export const seedAddressChecks: readonly Check[] = [
  {
    name: `curl to ${ADDRESS}: the pod on another node logs the client's own address, and its answer does not pass the node that has the address`,
    needs: 'agent',
    run: curl,
  },
  { name: `ping and arping to ${ADDRESS}: one node answers`, needs: 'agent', run: found },
  { name: `nc to a closed port of ${ADDRESS} is refused at once (TCP and UDP)`, needs: 'agent', run: refused },
  { name: `kubectl shows the pool, the policy and ${ADDRESS}`, needs: 'agent', run: columns },
];
