// SPDX-License-Identifier: Apache-2.0
// Addresses of Services for the wire, as pods and nodes use them: a pod that reaches itself, and an address that is somebody else's.
import type { Json } from '../api/json.ts';
import { INTERNET } from '../layout.ts';
import { until } from '../until.ts';
import { expect, IPV, ofFamily } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn, said } from './agents.ts';
import { NAMESPACE, NODE_NAMES } from './places.ts';
import type { Place } from './places.ts';
import { httpGet, udpWho, url } from './traffic.ts';

const PATIENCE_MS = 10_000;

/** `act` while there is a Service with this selector, which has port 80 unless `spec` says otherwise. */
async function withService(
  { cluster: { store } }: CheckContext,
  [name, selector, spec]: readonly [name: string, selector: Json, spec: Json],
  act: () => Promise<string>,
): Promise<string> {
  const ports = [
    { name: 'http', port: 80, targetPort: 'http' },
    { name: 'udp', port: 80, targetPort: 'udp', protocol: 'UDP' },
  ];
  store.create('services', {
    metadata: { name, namespace: NAMESPACE },
    spec: { type: 'LoadBalancer', ipFamilyPolicy: 'RequireDualStack', selector, ports, ...spec },
  });
  try {
    return await act();
  } finally {
    store.delete('services', { namespace: NAMESPACE, name });
  }
}

const VIP = '192.168.0.238';

/** From the pod itself, by its load balancer IP and by the node ports of its own node and of others, with sockets and packet by packet. */
async function reachesItself(context: CheckContext): Promise<string> {
  const { cluster, places, signal } = context;
  const ways: string[] = [];
  for (const [pod, app] of [
    [places.client, 'client'],
    [places.bypass, 'bypass'],
  ] as const) {
    const name = `itself-${app}`;
    await withService(context, [name, { app }, { loadBalancerIP: VIP }], async () => {
      const spec = (): Json => cluster.store.get('services', { namespace: NAMESPACE, name })?.['spec'];
      const nodePort = Number(spec()?.ports[0].nodePort);
      const udpPort = Number(spec()?.ports[1].nodePort);
      const targets = NODE_NAMES.flatMap((node) =>
        IPV.map((family) => [ofFamily(places.node(node).ips, family), nodePort, udpPort] as const),
      );
      for (const [address, tcp, udp] of [[VIP, 80, 80] as const, ...targets]) {
        const isServed = () => httpGet(pod, url(address, tcp)).then(Boolean, () => false);
        await until(`${address} to serve ${pod.name}`, PATIENCE_MS, isServed, signal);
        const found = await httpGet(pod, url(address, tcp));
        expect(found.pod === pod.name, `${pod.name} reached ${found.pod} at ${address}, wanted itself`);
        const byUdp = await udpWho(pod, address, udp);
        expect(byUdp.pod === pod.name, `${pod.name} reached ${byUdp.pod} at ${address} by UDP, wanted itself`);
      }
      ways.push(`${pod.name}: ${targets.length + 1}`);
      return '';
    });
  }
  return `${ways.join(', ')} addresses`;
}

/** Nodes and pods of every node: the one that answers for the address, the one that has the pod, and others. */
async function reachesTheVip(context: CheckContext): Promise<string> {
  const { places, signal } = context;
  return withService(context, ['inside', { app: 'client' }, { loadBalancerIP: VIP }], async () => {
    const froms: readonly Place[] = [
      ...NODE_NAMES.flatMap((node) => [places.node(node), places.echoOn(node)]),
      places.bypass,
      places.exempt,
    ];
    const isServed = (from: Place) => () => httpGet(from, url(VIP, 80)).then(Boolean, () => false);
    for (const from of froms) {
      await until(`${from.name} to reach ${VIP}`, PATIENCE_MS, isServed(from), signal);
      const found = [(await httpGet(from, url(VIP, 80))).pod, (await udpWho(from, VIP, 80)).pod];
      expect(
        found.every((pod) => pod === places.client.name),
        `${from.name} reached ${found.join(' and ')}`,
      );
    }
    return `${froms.length} places`;
  });
}

const CATCHER = 'catcher';

/** CVE-2020-8554: whoever may make a Service names an address of the internet, and would hear all that pods say to it. */
async function catchesNothing(context: CheckContext): Promise<string> {
  const { places, signal } = context;
  const spec = {
    type: 'ClusterIP',
    externalIPs: [INTERNET.ipv4, INTERNET.ipv6],
    ports: [{ name: 'http', port: INTERNET.port, targetPort: 'http' }],
  };
  return withService(context, [CATCHER, { app: 'echo' }, spec], async () => {
    const frontend = `${url(INTERNET.ipv4, INTERNET.port).slice('http://'.length, -1)}/TCP`;
    const listed = async () => (await said(agentOn(context, 'node1'), ['cilium', 'service', 'list'])).includes(frontend);
    await until(`${frontend} among the services of node1`, PATIENCE_MS, listed, signal); // control: the node serves it, to the wire
    for (const from of [places.client, places.bypass, places.exempt, places.node('node1')])
      for (const address of [INTERNET.ipv4, INTERNET.ipv6]) {
        const { pod } = await httpGet(from, url(address, INTERNET.port));
        expect(!pod.startsWith('echo-'), `What ${from.name} sent to ${address} came to ${pod}, a pod of the Service`);
      }
    return 'they reach the address itself';
  });
}

export const insideChecks: readonly Check[] = [
  {
    name: 'A pod reaches itself through its load balancer IP and the node ports of all nodes (TCP and UDP, with sockets and packet by packet)',
    needs: 'agent',
    run: reachesItself,
  },
  { name: 'Pods, nodes and pods of other nodes reach a load balancer IP from inside (TCP and UDP)', needs: 'agent', run: reachesTheVip },
  {
    name: "An external IP that is somebody else's catches nothing that pods and nodes send there (CVE-2020-8554)",
    needs: 'agent',
    run: catchesNothing,
  },
];
