// SPDX-License-Identifier: Apache-2.0
// Where checks send traffic from, and where to.
import type { Cluster } from '../cluster.ts';
import { CLIENT, LAN, NODES, ROUTER } from '../layout.ts';
import type { Host } from '../layout.ts';
import { inNetns } from '../network.ts';
import type { Pod, Service } from '../objects.ts';
import { podsIn, servicesIn } from '../objects.ts';
import { run } from '../run.ts';
import type { Ran } from '../run.ts';
import { CheckFailed } from './check.ts';

/** A place from which commands run: a pod, a node, a machine on the LAN. */
export type Place = {
  readonly name: string;
  readonly ips: readonly string[];
  run(command: readonly string[], timeoutMs?: number): Promise<Ran>;
};

export type Places = {
  /** A pod on node1 whose processes are seen by the socket hooks. */
  readonly client: Place;
  /** Another one whose processes are not. */
  readonly bypass: Place;
  /** One that they see, and leave alone as its annotation says. */
  readonly exempt: Place;
  /** The server on a node. */
  echoOn(node: string): Place;
  node(name: string): Place;
  /** A machine on the LAN that is no node. */
  readonly outsider: Place;
  readonly router: Place;
  /** The switch: its ports are named after the machines that they lead to. */
  readonly lan: Place;
  /** The addresses of a service in the namespace of the checks. */
  serviceIps(name: string): readonly string[];
};

export const NAMESPACE = 'checks';

export function placesOf(cluster: Cluster): Places {
  const { store, layout } = cluster;
  const podNamed = (name: string): Place =>
    podPlace(cluster, podsIn(store, { namespace: NAMESPACE, fieldSelector: `metadata.name=${name}` })[0], name);
  const machine = ({ name, ipv4, ipv6 }: Host): Place => ({
    name,
    ips: [ipv4, ipv6],
    run: (command, timeoutMs = 5_000) => run([...inNetns(layout, name), ...command], { timeoutMs }),
  });
  return {
    client: podNamed('client'),
    bypass: podNamed('bypass'),
    exempt: podNamed('exempt'),
    echoOn: (node) =>
      podPlace(
        cluster,
        podsIn(store, { namespace: NAMESPACE, labelSelector: 'app=echo', fieldSelector: `spec.nodeName=${node}` })[0],
        `echo on ${node}`,
      ),
    node: (name) => {
      const node = cluster.nodes.find((candidate) => candidate.name === name);
      if (node === undefined) throw new CheckFailed(`There is no node ${name}`);
      return { name, ips: [node.ipv4, node.ipv6], run: (command, timeoutMs = 5_000) => run(node.command(command), { timeoutMs }) };
    },
    outsider: machine(CLIENT),
    router: machine(ROUTER),
    lan: { name: LAN, ips: [], run: (command, timeoutMs = 5_000) => run([...inNetns(layout, LAN), ...command], { timeoutMs }) },
    serviceIps: (name) => {
      const service: Service | undefined = servicesIn(store, { namespace: NAMESPACE }).find(({ metadata }) => metadata.name === name);
      return service?.spec.clusterIPs ?? [];
    },
  };
}

export function podPlace({ kubelets }: Cluster, pod: Pod | undefined, what: string): Place {
  if (pod === undefined) throw new CheckFailed(`There is no pod ${what}`);
  const { name, uid } = pod.metadata;
  return {
    name,
    ips: (pod.status?.podIPs ?? []).map(({ ip }) => ip),
    run: (command, timeoutMs = 5_000) => {
      const process = kubelets
        .find(({ node }) => node.name === pod.spec.nodeName)
        ?.worker(uid)
        ?.container(undefined)
        ?.process();
      if (process === undefined) throw new CheckFailed(`The pod ${name} does not run`);
      return run(process.enter(command), { timeoutMs, env: process.environment });
    },
  };
}

export const NODE_NAMES = NODES.map(({ name }) => name);
