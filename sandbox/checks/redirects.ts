// SPDX-License-Identifier: Apache-2.0
// Policies that lead what pods ask the cluster's DNS to a DNS server of their own node: manifests/local-dns.yaml, which is there for these
// checks alone. A server of a node answers whoami.local-dns with its name; the cluster's says that there is no such name.
import { INTERNET } from '../layout.ts';
import { createAll, manifest } from '../manifests.ts';
import { isReady, podsIn } from '../objects.ts';
import type { Pod } from '../objects.ts';
import { pause, until } from '../until.ts';
import { expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { agentOn, said } from './agents.ts';
import { NODE_NAMES, podPlace } from './places.ts';
import type { Place } from './places.ts';
import { httpGet, url } from './traffic.ts';

const CLUSTER_DNS = '10.96.0.10';
const LOCAL_DNS = '169.254.20.10';
const POLICIES = 'ciliumlocalredirectpolicies.cilium.io';
const KUBE_SYSTEM = { namespace: 'kube-system' };
const SETTLE_MS = 10_000;

// $1 server, $2 name: the TXT record, or the code of the answer.
const ASK = `
const resolver = new (require('node:dns').promises.Resolver)({ timeout: 700, tries: 2 });
resolver.setServers([process.argv[1]]);
resolver[process.argv[3]](process.argv[2]).then((found) => console.log(found.flat().join()), ({ code }) => console.log(code));`;

async function asked(from: Place, server: string, name: string, how = 'resolveTxt'): Promise<string> {
  return (await from.run(['node', '-e', ASK, server, name, how])).stdout.trim();
}

const whoAnswers = (from: Place, server = CLUSTER_DNS) => asked(from, server, 'whoami.local-dns');
const NOBODY_LOCAL = 'ENOTFOUND';

function servers({ cluster: { store } }: CheckContext): readonly Pod[] {
  return podsIn(store, { ...KUBE_SYSTEM, labelSelector: 'k8s-app=local-dns' });
}

function serverOn(context: CheckContext, node: string): Place {
  return podPlace(
    context.cluster,
    servers(context).find(({ spec }) => spec.nodeName === node),
    `local-dns on ${node}`,
  );
}

/** A client by its sockets, one by its packets, and two nodes, each with the node that it is on. */
function clients({ places: { client, bypass, node } }: CheckContext): readonly (readonly [Place, string])[] {
  return [
    [client, 'node1'],
    [bypass, 'node1'],
    [node('node1'), 'node1'],
    [node('node2'), 'node2'],
  ];
}

async function ownServersAnswer(context: CheckContext, address: string): Promise<undefined> {
  for (const [from, node] of clients(context)) {
    const [wanted, found] = [serverOn(context, node).name, await whoAnswers(from, address)];
    expect(found === wanted, `${from.name} asked ${address} and was answered by ${found || 'nobody'}, wanted ${wanted} on ${node}`);
  }
  return undefined;
}

/** Waits until the client on node1 is answered so, and says what it was answered instead. */
async function turnsTo(context: CheckContext, wanted: string, address = CLUSTER_DNS): Promise<void> {
  let found = '';
  const settled = async () => (found = await whoAnswers(context.places.client, address)) === wanted;
  await until(`${wanted}, not ${found}, from ${address}`, SETTLE_MS, settled, context.signal);
}

async function serve(context: CheckContext): Promise<undefined> {
  createAll(context.cluster.store, await manifest('local-dns.yaml'));
  const all = () => servers(context).length === NODE_NAMES.length && servers(context).every(isReady);
  await until('a DNS server on each node', 30_000, all, context.signal);
  await turnsTo(context, serverOn(context, 'node1').name);
  return ownServersAnswer(context, CLUSTER_DNS);
}

async function reachesBehind(context: CheckContext): Promise<undefined> {
  const name = 'kubernetes.default.svc.cluster.local';
  for (const [from] of clients(context)) {
    const found = await asked(from, CLUSTER_DNS, name, 'resolve4');
    expect(found === '10.96.0.1', `${from.name} asked for ${name} and got ${found}, wanted 10.96.0.1`);
  }
  const server = serverOn(context, 'node1');
  const behind = await whoAnswers(server);
  expect(behind === NOBODY_LOCAL, `${server.name} asked ${CLUSTER_DNS} and was answered by ${behind}, wanted the cluster's DNS`);
  const itself = await whoAnswers(server, LOCAL_DNS);
  expect(itself === server.name, `Without skipRedirectFromBackend ${server.name} was answered by ${itself}, wanted itself`);
  return undefined;
}

// $1 address: a UDP socket that is connected to the DNS there and waits for what nobody sends.
const WAITING = 'exec 3<>"/dev/udp/$1/53" && timeout 8 dd bs=512 count=1 status=none <&3';

async function fallsBack(context: CheckContext): Promise<undefined> {
  const server = serverOn(context, 'node1');
  const { node, client } = context.places;
  const tell = (what: string) => server.run(['curl', '--silent', '--fail', `http://127.0.0.1:8181/${what}`]);
  const waiting = [client, node('node1')].map((from) => from.run(['bash', '-c', WAITING, 'udp', CLUSTER_DNS], 12_000));
  await pause(500, context.signal);
  await tell('unready');
  try {
    for (const { stderr, code } of await Promise.all(waiting))
      expect(/abort/i.test(stderr), `A socket that was connected to it heard '${stderr.trim() || `nothing, exit code ${code}`}'`);
    await turnsTo(context, NOBODY_LOCAL);
    const found = await asked(client, CLUSTER_DNS, 'kubernetes.default.svc.cluster.local', 'resolve4');
    expect(found === '10.96.0.1', `The cluster's DNS said ${found}, wanted 10.96.0.1`);
    const other = await whoAnswers(node('node2'));
    expect(other === serverOn(context, 'node2').name, `On node2, whose server is ready, ${other} answered`);
  } finally {
    await tell('restore');
  }
  await turnsTo(context, server.name);
  return undefined;
}

async function addressIsRedirected(context: CheckContext): Promise<undefined> {
  await ownServersAnswer(context, LOCAL_DNS);
  await ownServersAnswer(context, INTERNET.ipv4);
  for (const from of [context.places.client, context.places.bypass]) {
    const { pod } = await httpGet(from, url(INTERNET.ipv4, INTERNET.port));
    expect(!pod.startsWith('local-dns'), `Another port of ${INTERNET.ipv4} was answered by ${pod}`);
  }
  return undefined;
}

async function isListed(context: CheckContext): Promise<undefined> {
  const agent = agentOn(context, 'node1');
  const { ips, name } = serverOn(context, 'node1');
  const [address = ''] = ips;
  const outputs: readonly (readonly [command: string, wanted: string])[] = [
    ['cilium lrp list', `${CLUSTER_DNS}:53/UDP -> ${address}:53(kube-system/${name})`],
    ['cilium lrp list', `${LOCAL_DNS}:53/UDP -> ${address}:53(kube-system/${name})`],
    ['cilium service list', `${LOCAL_DNS}:53/UDP LocalRedirect 1 => ${address}:53/UDP (active)`],
    ['cilium service list', `${CLUSTER_DNS}:53/UDP LocalRedirect 1 => ${address}:53/UDP (active)`],
    ['cilium bpf lb list', '[LocalRedirect'],
    [`stentor trace udp checks/client ${CLUSTER_DNS}:53`, `is delivered to pod kube-system/${name} on this node`],
  ];
  for (const [command, wanted] of outputs) {
    const found = (await said(agent, command.split(' '))).replaceAll(/ +/g, ' ');
    expect(found.includes(wanted), `${command} does not have '${wanted}':\n${found}`);
  }
  expect((await said(agent, ['stentor', 'maps', '--diff'])).includes('lb_') === false, 'stentor maps --diff has a difference');
  return undefined;
}

/** Leaves nothing behind, whatever became of the checks before. */
async function goes(context: CheckContext): Promise<undefined> {
  const { store } = context.cluster;
  const [before] = servers(context);
  for (const name of ['local-dns', 'local-dns-address', 'internet-dns']) store.delete(POLICIES, { ...KUBE_SYSTEM, name });
  await turnsTo(context, NOBODY_LOCAL);
  store.delete('daemonsets.apps', { ...KUBE_SYSTEM, name: 'local-dns' });
  expect(before !== undefined, 'There were no DNS servers of nodes');
  await until('the DNS servers of nodes to go', SETTLE_MS, () => servers(context).length === 0, context.signal);
  return undefined;
}

export const redirectChecks: readonly Check[] = [
  {
    name: 'With a CiliumLocalRedirectPolicy, what pods and nodes ask the DNS of the cluster comes to the DNS server of their node',
    needs: 'agent',
    run: serve,
  },
  { name: 'The DNS server of a node itself reaches the DNS of the cluster (skipRedirectFromBackend)', needs: 'agent', run: reachesBehind },
  {
    name: 'While the DNS server of a node is not ready, the DNS of the cluster answers, and connected sockets hear of it',
    needs: 'agent',
    run: fallsBack,
  },
  {
    name: `${LOCAL_DNS}, an address of nobody, leads to the DNS server of the node, and one port of an address leaves the others alone`,
    needs: 'agent',
    run: addressIsRedirected,
  },
  { name: 'cilium lrp list, service list and stentor trace say what is redirected', needs: 'agent', run: isListed },
  { name: 'Without the policies the DNS of the cluster answers again', needs: 'agent', run: goes },
];
