// SPDX-License-Identifier: Apache-2.0
// Pods are known by their labels: one number for equal labels on every node, and the API tells what the nodes know.
import type { Json } from '../api/json.ts';
import { podsIn } from '../objects.ts';
import { until } from '../until.ts';
import { expect } from './check.ts';
import type { Check, CheckContext } from './check.ts';
import { NAMESPACE, NODE_NAMES, podPlace } from './places.ts';

/** A row of `cilium endpoint list`. */
type EndpointRow = { readonly pod: string; readonly identity?: number; readonly labels: readonly string[]; readonly ipv4?: string };

const PATIENCE_MS = 10_000;
const CILIUM_ENDPOINTS = 'ciliumendpoints.cilium.io';

const objectOf = ({ cluster }: CheckContext, namespace: string, name: string): Json =>
  cluster.store.get(CILIUM_ENDPOINTS, { namespace, name });

/** What `cilium endpoint list` shows on a node. */
async function endpointsOn({ cluster }: CheckContext, node: string): Promise<readonly EndpointRow[]> {
  const [agent] = podsIn(cluster.store, {
    namespace: 'kube-system',
    labelSelector: 'k8s-app=cilium',
    fieldSelector: `spec.nodeName=${node}`,
  });
  const ran = await podPlace(cluster, agent, `cilium on ${node}`).run(['cilium', 'endpoint', 'list', '-o', 'json'], 10_000);
  expect(ran.code === 0, `'cilium endpoint list' on ${node}: ${ran.stderr.trim()}`);
  return JSON.parse(ran.stdout);
}

/** Every pod's object says what its node says; the first difference is the message. */
async function agree(context: CheckContext): Promise<string> {
  let count = 0;
  for (const node of NODE_NAMES)
    for (const { pod, identity, labels, ipv4 } of await endpointsOn(context, node)) {
      const [namespace = '', name = ''] = pod.split('/');
      const status = objectOf(context, namespace, name)?.status;
      expect(status !== undefined, `Pod ${pod} has no CiliumEndpoint`);
      expect(
        status.identity?.id === identity && identity !== undefined && identity >= 256,
        `Pod ${pod} is ${status.identity?.id} in the API and ${identity} on ${node}`,
      );
      expect(
        status.identity.labels.join() === labels.join(),
        `Pod ${pod} has the labels ${status.identity.labels} in the API and ${labels.join()} on ${node}`,
      );
      expect(
        status.networking.addressing[0]?.ipv4 === ipv4,
        `Pod ${pod} has ${status.networking.addressing[0]?.ipv4} in the API and ${ipv4} on ${node}`,
      );
      const security = context.cluster.store.get('ciliumidentities.cilium.io', { name: `${identity}` })?.['security-labels'];
      expect(
        security !== undefined &&
          Object.entries(security)
            .map((pair) => pair.join('='))
            .toSorted()
            .join() === labels.join(),
        `CiliumIdentity ${identity} is not that of pod ${pod}`,
      );
      count++;
    }
  return `${count} pods`;
}

/** One number for each label set, one label set for each number. */
function sameEverywhere({ cluster }: CheckContext): string {
  const echo = podsIn(cluster.store, { namespace: NAMESPACE, labelSelector: 'app=echo' });
  expect(new Set(echo.map(({ spec }) => spec.nodeName)).size > 1, `The echo pods are on one node`);
  const statuses: readonly Json[] = cluster.store.list(CILIUM_ENDPOINTS).map(({ status }) => status.identity);
  const pairs = new Set(statuses.map(({ id, labels }) => `${id} ${labels}`));
  const [ids, sets] = [new Set(statuses.map(({ id }) => id)), new Set(statuses.map(({ labels }) => `${labels}`))];
  expect(
    ids.size === pairs.size && sets.size === pairs.size,
    `There are ${ids.size} numbers for ${sets.size} label sets: ${[...pairs].join('; ')}`,
  );
  return `${ids.size} identities of ${statuses.length} pods`;
}

/** A pod comes and goes, and so does what is told of it. */
async function follows(context: CheckContext): Promise<string> {
  const { store } = context.cluster;
  const key = { namespace: NAMESPACE, name: 'passer-by' };
  const model: Json = store.get('pods', { namespace: NAMESPACE, name: 'client' });
  const { containers } = model.spec;
  const started = performance.now();
  store.create('pods', {
    metadata: { ...key, labels: { app: 'passer-by' } },
    spec: { nodeName: 'node2', terminationGracePeriodSeconds: 1, containers },
  });
  const told = () => objectOf(context, key.namespace, key.name)?.status?.identity?.id !== undefined;
  await until('the CiliumEndpoint of a new pod', PATIENCE_MS, told, context.signal);
  const took = performance.now() - started;
  store.delete('pods', key);
  await until(
    'its CiliumEndpoint to go with it',
    PATIENCE_MS,
    () => objectOf(context, key.namespace, key.name) === undefined,
    context.signal,
  );
  const gone = () => store.get('pods', key) === undefined;
  await until('the pod to go', PATIENCE_MS, gone, context.signal);
  const isFree = async () => (await endpointsOn(context, 'node2')).every(({ pod }) => pod !== `${key.namespace}/${key.name}`);
  await until('the endpoint of the deleted pod to go', PATIENCE_MS, isFree, context.signal);
  return `told ${Math.round(took)} ms after the pod was made`;
}

export const identityChecks: readonly Check[] = [
  { name: 'The CiliumEndpoint of every pod has the identity that `cilium endpoint list` shows on its node', needs: 'agent', run: agree },
  {
    name: 'Pods with the same labels have the same identity on every node, and others another',
    needs: 'agent',
    run: (context) => Promise.resolve(sameEverywhere(context)),
  },
  { name: 'A new pod gets a CiliumEndpoint, and it goes with the pod', needs: 'agent', run: follows },
];
