// SPDX-License-Identifier: Apache-2.0
// What a container runtime and an operator of the cluster do beside starting pods: every verb of the plugin, a pod that is deleted
// while nobody is there, a backend that goes, a node that cannot be reached, the end of it all.
import { join } from 'node:path';
import { cni } from '../cni-call.ts';
import { podsIn } from '../objects.ts';
import { mustRun } from '../run.ts';
import { until } from '../until.ts';
import type { Check, CheckContext } from './check.ts';
import { CheckFailed, expect } from './check.ts';
import { agentOn, killAgent, said } from './agents.ts';
import { NAMESPACE } from './places.ts';
import type { Place } from './places.ts';
import { udpWho } from './traffic.ts';

const CONTAINER = 'by-hand';
/** From the specification's first that runtimes still ask for to its newest. */
const VERSIONS = '0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0';

/** node1, and what its runtime would have called last. */
function runtimeOf({ cluster }: CheckContext) {
  const node = cluster.nodes.find(({ name }) => name === 'node1');
  if (node === undefined) throw new CheckFailed('There is no node1');
  const netns = (verb: 'add' | 'del') => mustRun(node.enter(['ip', 'netns', verb, CONTAINER], ['--net', '--mount']));
  const call = async (command: string, more: object = {}) => {
    const input = JSON.stringify({ cniVersion: '1.1.0', name: 'cilium', type: 'cilium-cni', ...more });
    const { code, stdout } = await cni(node, { command, container: CONTAINER, netns: `/run/netns/${CONTAINER}`, input });
    return { code, json: stdout === '' ? {} : JSON.parse(stdout) };
  };
  const containers = async (): Promise<readonly string[]> => {
    const text = await mustRun(node.enter(['sh', '-c', 'cat /run/cilium/state/*.json'], ['--mount']));
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).containerId);
  };
  return { netns, call, containers };
}

async function verbs(context: CheckContext): Promise<string> {
  const { netns, call, containers } = runtimeOf(context);
  const good = async (command: string, more?: object) => {
    const { code, json } = await call(command, more);
    expect(code === 0, `${command}: exit code ${code}, ${JSON.stringify(json)}`);
    return json;
  };
  await netns('add');
  try {
    const supported = (await good('VERSION')).supportedVersions.join(', ');
    expect(supported === VERSIONS, `VERSION says ${supported}, wanted ${VERSIONS}`);
    await until('STATUS to be good', 20_000, async () => (await call('STATUS')).code === 0, context.signal); // an earlier check may have ended the agent
    const added = await good('ADD');
    expect(JSON.stringify(await good('ADD')) === JSON.stringify(added), 'A repeated ADD says something else');
    await good('CHECK', { prevResult: added });
    const valid = (await containers()).filter((containerID) => containerID !== CONTAINER);
    await good('GC', { 'cni.dev/valid-attachments': valid.map((containerID) => ({ containerID, ifname: 'eth0' })) });
    const collected = await call('CHECK', { prevResult: added });
    expect(collected.code === 1 && collected.json.code === 3, `CHECK after GC: ${JSON.stringify(collected)}, wanted error 3`);
    for (let i = 0; i < 2; i++) await good('DEL', { prevResult: added });
    return `versions ${supported}`;
  } finally {
    await netns('del');
  }
}

/** The plugin is called while node1's agent does not run: what must not be lost is kept on disk until it does. */
async function withoutAgent(context: CheckContext): Promise<string> {
  const { netns, call, containers } = runtimeOf(context);
  const { cluster, signal } = context;
  await netns('add');
  try {
    const { json: prevResult } = await call('ADD');
    const isBack = killAgent(cluster, 'node1');
    const [status, deleted] = await Promise.all([call('STATUS'), call('DEL', { prevResult })]);
    expect(status.code === 1 && status.json.code === 11, `STATUS without an agent: ${JSON.stringify(status)}, wanted error 11`);
    expect(deleted.code === 0, `DEL without an agent: ${JSON.stringify(deleted)}`);
    expect((await containers()).includes(CONTAINER), 'The agent was there already: nothing was kept for it');
    await until('the agent to be back', 30_000, isBack, signal);
    await until('the container to be gone', 5_000, async () => !(await containers()).includes(CONTAINER), signal);
    return 'kept on disk, done when the agent was back';
  } finally {
    await netns('del');
  }
}

// $1 address: a connected socket asks once, and waits for what comes after the answer.
const WAITING =
  'exec 3<>"/dev/udp/$1/80" && printf who >&3 && dd bs=512 count=1 status=none <&3 && echo && dd bs=512 count=1 status=none <&3';

async function hears(context: CheckContext): Promise<string> {
  const { cluster, places, signal } = context;
  const [address = ''] = places.serviceIps('moving');
  const label = ({ name }: Place, moving?: 'here') =>
    cluster.store.patch('pods', { namespace: NAMESPACE, name }, { metadata: { labels: { moving: moving ?? null } } }); // null: a merge patch takes the label away
  const [first, second] = [places.echoOn('node2'), places.echoOn('node3')];
  const servedBy = ({ name }: Place) =>
    until(
      `${name} to serve`,
      5_000,
      () =>
        udpWho(places.client, address, 80).then(
          ({ pod }) => pod === name,
          () => false,
        ),
      signal,
    );
  try {
    label(first, 'here');
    await servedBy(first);
    const waiting = places.client.run(['bash', '-c', WAITING, 'udp', address], 10_000);
    await until('the socket to wait', 5_000, () => new Promise((done) => setTimeout(() => done(true), 500)), signal);
    const gone = performance.now();
    label(second, 'here');
    label(first);
    const ran = await waiting;
    expect(ran.stdout.startsWith(first.name) && /abort/i.test(ran.stderr), `The socket saw ${ran.stdout}, ${ran.stderr.trim()}`);
    const took = performance.now() - gone;
    await servedBy(second);
    return `after ${Math.round(took)} ms`;
  } finally {
    label(first);
    label(second);
  }
}

const STENTOR = join(import.meta.dirname, '..', '..', 'bin', 'stentor');
const FAR_NODE = { name: 'far-away', address: '198.51.100.9', podCIDR: '10.244.99.0/24' };

async function farAway(context: CheckContext): Promise<string> {
  const { store } = context.cluster;
  const { name, address, podCIDR } = FAR_NODE;
  const problems = () => said(agentOn(context, 'node1'), ['stentor', 'problems']).catch(({ message }: Error) => message);
  store.create('nodes', {
    metadata: { name },
    spec: { podCIDR, podCIDRs: [podCIDR], unschedulable: true, taints: [{ key: 'far', effect: 'NoExecute' }] },
    status: { addresses: [{ type: 'InternalIP', address }] },
  });
  try {
    await until('node1 to say so', 5_000, async () => (await problems()).includes('NotOnSegment'), context.signal);
    return 'as NotOnSegment';
  } finally {
    store.delete('nodes', { name });
    const lost = podsIn(store, { fieldSelector: `spec.nodeName=${name}` }); // no kubelet will ever see to them
    for (const { metadata } of lost) store.delete('pods', metadata, { gracePeriodSeconds: 0 });
    await until('node1 to be content again', 5_000, async () => !(await problems()).includes('NotOnSegment'), context.signal);
  }
}

async function uninstalls(context: CheckContext): Promise<string> {
  const node = context.places.node('node3');
  const uninstall = (...more: readonly string[]) => node.run([STENTOR, 'uninstall', '--node', ...more], 15_000);
  const refused = await uninstall();
  expect(refused.code === 1 && refused.stderr.includes('while an agent runs'), `It did not refuse: ${refused.stdout}${refused.stderr}`);
  const { code, stdout } = await uninstall('--dry-run', '--force');
  const lines = stdout.split('\n').filter((line) => line.endsWith('would be removed'));
  for (const kind of ['program', 'interface', 'route', 'map', 'pins', 'CNI configuration', 'CNI plugin', 'endpoints'])
    expect(
      lines.some((line) => line.startsWith(kind)),
      `It would remove no ${kind}: exit code ${code}, ${stdout}`,
    );
  return `${lines.length} things on node3`;
}

export const lifeCycleChecks: readonly Check[] = [
  { name: 'The CNI plugin answers every verb, and the same again when it is asked again', needs: 'agent', run: verbs },
  { name: 'A container that is deleted while there is no agent is gone when the agent is back', needs: 'agent', run: withoutAgent },
  { name: 'A connected UDP socket hears when its backend goes, and the next one is served by another', needs: 'agent', run: hears },
  { name: 'A node that shares no segment with a node is told of, and the others go on', needs: 'agent', run: farAway },
  { name: 'stentor uninstall --node refuses while an agent runs, and says what it would remove', needs: 'agent', run: uninstalls },
];
