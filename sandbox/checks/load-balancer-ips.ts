// SPDX-License-Identifier: Apache-2.0
// Load balancer IPs as clients on the LAN reach them, whoever gave them to the Service.
import type { Json } from '../api/json.ts';
import { until } from '../until.ts';
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext, Ipv } from './check.ts';
import { NAMESPACE } from './places.ts';
import type { Place } from './places.ts';
import { httpGet, ping, tcpRefusal, udpWho, url } from './traffic.ts';

const VIP = { IPv4: '192.168.7.81', IPv6: 'fd00:192:168:7::81' } as const;
const BY_HAND = { namespace: NAMESPACE, name: 'by-hand' };

/** `act` while the Service `by-hand` has VIP, to which the client's way leads through node2. */
async function withVip(context: CheckContext, act: () => Promise<string>): Promise<string> {
  const { cluster, places, signal } = context;
  const { outsider, node } = places;
  const prefix = (family: Ipv) => `${VIP[family]}/${family === 'IPv4' ? 32 : 128}`;
  const give = (ingress: Json) => cluster.store.patchStatus('services', BY_HAND, { loadBalancer: { ingress } });
  for (const family of IPV) await outsider.run(['ip', 'route', 'replace', prefix(family), 'via', ofFamily(node('node2').ips, family)]);
  give(IPV.map((family) => ({ ip: VIP[family] })));
  try {
    for (const family of IPV) await until(`${VIP[family]} to serve`, 10_000, () => isServed(context, family), signal);
    return await act();
  } finally {
    give([]);
    for (const family of IPV) await outsider.run(['ip', 'route', 'del', prefix(family)]);
  }
}

const isServed = ({ places }: CheckContext, family: Ipv): Promise<boolean> =>
  httpGet(places.outsider, url(VIP[family], 80)).then(
    () => true,
    () => false,
  );

/** `act` while the Service is changed so; `back` takes that away. */
async function changed(
  { cluster: { store } }: CheckContext,
  [change, back]: readonly [Json, Json],
  act: () => Promise<void>,
): Promise<void> {
  store.patch('services', BY_HAND, change);
  try {
    await act();
  } finally {
    store.patch('services', BY_HAND, back);
  }
}

const POLICY = 'service.cilium.io/src-ranges-policy';
const UNRANGED: Json = { spec: { loadBalancerSourceRanges: null }, metadata: { annotations: { [POLICY]: null } } }; // null: a merge patch takes it away
const STRANGERS = ['198.51.100.0/24', '2001:db8:51::/48'];

/** Neither a ping nor a closed port shows that the address lives. */
async function silentTo(from: Place, address: string): Promise<void> {
  const answered = await Promise.allSettled([ping(from, address), tcpRefusal(from, address, 81)]);
  expect(
    answered.every(({ status }) => status === 'rejected'),
    `${address} answered ${from.name}, which it keeps out`,
  );
}

/** Both families at once, as a Service has but one list. Before and after it the client is served, which is the control. */
const sourceRanges = (context: CheckContext): Promise<string> =>
  withVip(context, async () => {
    const { places, signal } = context;
    const { outsider } = places;
    const own = outsider.ips.map((address) => `${address}/${address.includes(':') ? 128 : 32}`);
    const ranged = (ranges: readonly string[], policy: 'allow' | 'deny', act: () => Promise<void>) => {
      const change = { spec: { loadBalancerSourceRanges: ranges }, metadata: { annotations: { [POLICY]: policy } } };
      return changed(context, [change, UNRANGED], act);
    };
    const keptOut = async () => {
      for (const family of IPV) {
        await until(`${outsider.name} to be kept out of ${VIP[family]}`, 10_000, async () => !(await isServed(context, family)), signal);
        await udpWho(outsider, VIP[family], 80).then(
          () => expect(false, `${outsider.name} was answered by UDP from ${VIP[family]}`),
          () => undefined,
        );
        await silentTo(outsider, VIP[family]);
        for (const from of [places.client, places.bypass, places.node('node3')]) {
          await httpGet(from, url(VIP[family], 80));
          await ping(from, VIP[family]);
        }
      }
    };
    const letIn = async () => {
      for (const family of IPV) {
        await until(`${outsider.name} to be let in to ${VIP[family]}`, 10_000, () => isServed(context, family), signal);
        await udpWho(outsider, VIP[family], 80);
        await ping(outsider, VIP[family]);
        await tcpRefusal(outsider, VIP[family], 81);
      }
    };
    await ranged(STRANGERS, 'allow', keptOut);
    await ranged(own, 'allow', letIn);
    await ranged(own, 'deny', keptOut);
    await ranged(STRANGERS, 'deny', letIn);
    return 'pods and nodes are let in always';
  });

/** A balancer that is a proxy of its own has the address; nodes that served it would take its packets away. */
const proxied = (context: CheckContext): Promise<string> =>
  withVip(context, async () => {
    const { cluster, places, signal } = context;
    const mode = (ipMode: string) =>
      cluster.store.patchStatus('services', BY_HAND, { loadBalancer: { ingress: IPV.map((family) => ({ ip: VIP[family], ipMode })) } });
    const ports = cluster.store.get('services', BY_HAND)?.['spec'];
    expect(!JSON.stringify(ports).includes('nodePort'), 'the Service has node ports, and asked for none');
    mode('Proxy');
    for (const family of IPV)
      await until(`${VIP[family]} to be the balancer's`, 10_000, async () => !(await isServed(context, family)), signal);
    mode('VIP');
    for (const family of IPV) await until(`${VIP[family]} to be the nodes'`, 10_000, () => isServed(context, family), signal);
    for (const family of IPV) await tcpRefusal(places.outsider, VIP[family], 81);
    return 'without node ports, by a class that is not ours';
  });

const NODE_PORT = 30_080; // of manifests/wire.yaml

/** A process of a node that would listen where nobody ever comes. */
async function portsAreKept({ places }: CheckContext): Promise<string> {
  const bind = (from: Place, port: number, kind = 'TCP6-LISTEN') =>
    from.run(['timeout', '1', 'socat', '-u', `${kind}:${port},reuseaddr`, '-']);
  for (const kind of ['TCP6-LISTEN', 'TCP4-LISTEN', 'UDP6-RECV', 'UDP4-RECV']) {
    const refused = await bind(places.node('node2'), NODE_PORT, kind);
    expect(
      /not permitted/i.test(refused.stderr),
      `${kind} at a node port: wanted a refusal, saw exit code ${refused.code} ${refused.stderr}`,
    );
  }
  for (const [from, port] of [
    [places.node('node2'), NODE_PORT + 900],
    [places.client, NODE_PORT],
  ] as const) {
    const ran = await bind(from, port);
    expect(ran.code === 124, `${from.name} cannot listen at ${port}: ${ran.stderr}`);
  }
  return 'other ports, and pods, may be listened at';
}

const HEALTH_PORT = 31_090;

type Heard = { readonly status: number; readonly body: string };

/** A balancer outside, which asks the nodes for health. */
async function asksForHealth({ places }: CheckContext): Promise<string> {
  const ask = async (node: string, family: Ipv): Promise<Heard> => {
    const target = url(ofFamily(places.node(node).ips, family), HEALTH_PORT, '/healthz');
    const ran = await places.outsider.run(['curl', '--silent', '--globoff', '--max-time', '3', '--write-out', '\n%{http_code}', target]);
    const lines = ran.stdout.split('\n');
    return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('') };
  };
  for (const family of IPV) {
    const [has, lacks] = [await ask('node1', family), await ask('node2', family)];
    expect(has.status === 200 && has.body.includes('"serviceProxyHealthy": true'), `node1 said ${has.status} ${has.body}`);
    expect(lacks.status === 503 && lacks.body.includes('"localEndpoints": 0'), `node2 said ${lacks.status} ${lacks.body}`);
  }
  return 'node1 has a backend and says 200, node2 has none and says 503';
}

export const loadBalancerIpChecks: readonly Check[] = [
  // covers: source-ranges, source-ranges-inside
  {
    name: 'loadBalancerSourceRanges keeps clients on the LAN out of a load balancer IP, or lets only them in (IPv4 and IPv6)',
    needs: 'services',
    run: sourceRanges,
  },
  // covers: load-balancer-ip, balancer-class, no-node-ports
  {
    name: 'A load balancer IP with ipMode: VIP is served by every node, one with ipMode: Proxy by none (IPv4 and IPv6)',
    needs: 'services',
    run: proxied,
  },
  // covers: health-check
  {
    name: 'A balancer outside hears at the healthCheckNodePort which nodes have a backend (IPv4 and IPv6)',
    needs: 'services',
    run: asksForHealth,
  },
  // covers: port-kept
  {
    name: 'A process of a node that would listen at a node port is told so (TCP and UDP, IPv4 and IPv6)',
    needs: 'agent',
    run: portsAreKept,
  },
];
