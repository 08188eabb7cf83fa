// SPDX-License-Identifier: Apache-2.0
// Of two operators one works, and what nobody uses goes.
import type { Json } from '../api/json.ts';
import type { Pod } from '../objects.ts';
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { CheckFailed, expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { podPlace } from './places.ts';

const IDENTITIES = 'ciliumidentities.cilium.io';
const ENDPOINTS = 'ciliumendpoints.cilium.io';
const PATIENCE_MS = 30_000;

const operatorsIn = ({ cluster }: CheckContext): readonly Pod[] =>
  podsIn(cluster.store, { namespace: 'kube-system', labelSelector: 'io.cilium/app=operator' });

/** A page of an operator, from its node. */
async function pageOf({ cluster }: CheckContext, operator: Pod, url: string): Promise<string> {
  const ran = await podPlace(cluster, operator, 'cilium-operator').run([
    'curl',
    '--silent',
    '--show-error',
    '--fail',
    '--max-time',
    '3',
    url,
  ]);
  expect(ran.code === 0, `${url} of ${operator.metadata.name}: ${ran.stderr.trim()}`);
  return ran.stdout;
}

async function metricsOf(context: CheckContext, operator: Pod): Promise<ReadonlyMap<string, number>> {
  const text = await pageOf(context, operator, 'http://127.0.0.1:9963/metrics');
  return new Map(text.split('\n').map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

async function leaders(context: CheckContext): Promise<readonly Pod[]> {
  const operators = operatorsIn(context);
  const leads = await Promise.all(operators.map(async (one) => (await metricsOf(context, one)).get('stentor_operator_leads') === 1));
  return operators.filter((_, i) => leads[i]);
}

async function answers(context: CheckContext): Promise<undefined> {
  const operators = operatorsIn(context);
  expect(operators.length === 2, `There are ${operators.length} operators, wanted 2`);
  for (const one of operators) await pageOf(context, one, 'http://127.0.0.1:9234/healthz');
  const { length } = await leaders(context);
  expect(length === 1, `${length} operators lead, wanted 1`);
  return undefined;
}

/** What the cluster came with that nobody uses (manifests/operator.yaml) is gone, and the rest is there. */
async function collects(context: CheckContext): Promise<string> {
  const { store } = context.cluster;
  const left = () => [store.get(IDENTITIES, { name: '65999' }), store.get(ENDPOINTS, { namespace: 'default', name: 'left-behind' })];
  await until('what was left behind to go', PATIENCE_MS, () => left().every((one) => one === undefined), context.signal);
  const endpoints = store.list(ENDPOINTS);
  const lost = endpoints.filter(({ status }) => store.get(IDENTITIES, { name: `${status?.identity?.id}` }) === undefined);
  expect(lost.length === 0, `CiliumEndpoint ${lost[0]?.metadata.name} has an identity that is gone`);
  const pods = podsIn(store).filter(({ spec }) => spec.hostNetwork !== true);
  const alone = pods.find(({ metadata: { namespace = '', name } }) => store.get(ENDPOINTS, { namespace, name }) === undefined);
  expect(alone === undefined, `The pod ${alone?.metadata.name} has no CiliumEndpoint`);
  const used = new Set(endpoints.map(({ status }) => status?.identity?.id));
  return `${used.size} identities and ${endpoints.length} CiliumEndpoints in use stay`;
}

/** Kills the one that leads. Returns it when another process leads: that of the other pod, or the one that is started anew. */
export async function killLeader(context: CheckContext): Promise<Pod> {
  const { cluster, signal } = context;
  const [leader] = await leaders(context);
  if (leader === undefined) throw new CheckFailed('There is no leader');
  const kubelet = cluster.kubelets.find(({ node }) => node.name === leader.spec.nodeName);
  const process = kubelet?.worker(leader.metadata.uid)?.container(undefined)?.process();
  if (process === undefined) throw new CheckFailed(`${leader.metadata.name} does not run`);
  const before = holderIn(context);
  globalThis.process.kill(process.pid, 'SIGKILL');
  await until('another operator to lead', PATIENCE_MS, () => holderIn(context) !== before, signal);
  return leader;
}

/** Another process does what comes up meanwhile. */
async function takesOver(context: CheckContext): Promise<string> {
  const { cluster, signal } = context;
  const killed = performance.now();
  const leader = await killLeader(context);
  const led = performance.now() - killed;
  const key = { namespace: 'default', name: 'after-the-leader' };
  cluster.store.create(ENDPOINTS, { metadata: key });
  await until('the CiliumEndpoint without a pod to go', PATIENCE_MS, () => cluster.store.get(ENDPOINTS, key) === undefined, signal);
  const [next] = await leaders(context);
  const counted = next && (await metricsOf(context, next)).get('cilium_operator_endpoint_gc_objects{outcome="success"}');
  expect(Number(counted) >= 1, `${next?.metadata.name ?? 'Nobody'} counts ${counted} CiliumEndpoints that it removed, wanted 1 or more`);
  return `${next === leader ? 'its successor' : 'the other'} leads after ${(led / 1000).toFixed(1)} s, with a Lease of 3 s`;
}

function holderIn({ cluster }: CheckContext): unknown {
  const lease: Json = cluster.store.get('leases.coordination.k8s.io', { namespace: 'kube-system', name: 'cilium-operator-resource-lock' });
  return lease.spec.holderIdentity;
}

export const operatorChecks: readonly Check[] = [
  { name: 'Both operators answer /healthz and /metrics, and one of them leads', needs: 'agent', run: answers },
  {
    name: 'An identity that nobody uses and a CiliumEndpoint without a pod go, and those in use stay',
    needs: 'agent',
    run: collects,
  },
  { name: 'When the operator that leads is killed another does its work', needs: 'agent', run: takesOver },
];
