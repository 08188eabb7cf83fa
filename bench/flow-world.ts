// SPDX-License-Identifier: Apache-2.0
// Who talks to whom on a node of a middle-sized cluster: 30 pods here and 300 elsewhere, 60 services, names and addresses outside.
import type { Random } from '../src/base/random.ts';
import type { FlowEndpoint, FlowService } from '../src/flows/flow.ts';

const NAMESPACES = ['shop', 'payments', 'monitoring', 'kube-system', 'media', 'home'] as const;

export type Peer = { readonly address: string; readonly endpoint: FlowEndpoint; readonly names?: readonly string[] };
export type Service = FlowService & { readonly address: string; readonly port: number; readonly backends: readonly [Peer, ...Peer[]] };

export type World = {
  readonly local: readonly [Peer, ...Peer[]];
  readonly services: readonly [Service, ...Service[]];
  readonly outside: readonly [Peer, ...Peer[]];
  readonly dns: Peer;
};

function peer(random: Random, index: number, local: boolean): Peer {
  const namespace = NAMESPACES[index % NAMESPACES.length] ?? 'shop';
  const app = `${['web', 'api', 'cart', 'db', 'worker', 'cache', 'auth', 'mail'][Math.floor(index / 6) % 8]}-${Math.floor(index / 48)}`;
  const hash = random.bytes(5).toString('hex');
  const labels = [
    `k8s:app=${app}`,
    `k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=${namespace}`,
    'k8s:io.cilium.k8s.policy.cluster=default',
    `k8s:io.cilium.k8s.policy.serviceaccount=${app}`,
    `k8s:io.kubernetes.pod.namespace=${namespace}`,
  ];
  return {
    address: `10.244.${local ? 1 : 2 + (index % 10)}.${2 + (index % 250)}`,
    endpoint: {
      identity: 20_000 + (index % 120),
      namespace,
      podName: `${app}-${hash}-${random.bytes(3).toString('hex').slice(0, 5)}`,
      labels,
      ...(local && { id: 100 + index, workloads: [{ name: app, kind: 'Deployment' }] }),
    },
  };
}

export function worldOf(random: Random): World {
  const [first, ...rest] = Array.from({ length: 30 }, (_, i) => peer(random, i, true));
  const remote = Array.from({ length: 300 }, (_, i) => peer(random, 30 + i, false));
  const service = (i: number): Service => {
    const [one, ...more] = remote.slice(i * 4, i * 4 + 1 + (i % 4));
    return {
      name: `svc-${i}`,
      namespace: NAMESPACES[i % 6] ?? 'shop',
      address: `10.96.${i}.10`,
      port: i % 3 === 0 ? 8080 : 80,
      backends: [one!, ...more], // !: 300 of them
    };
  };
  const outsider = (i: number): Peer => ({
    address: `203.${i % 200}.${(i * 7) % 250}.${(i * 13) % 250}`,
    endpoint: { identity: 2, labels: ['reserved:world'] },
    names: [`host${i % 300}.example.com`],
  });
  return {
    local: [first!, ...rest], // !: 30 of them
    services: [service(0), ...Array.from({ length: 59 }, (_, i) => service(i + 1))],
    outside: [outsider(0), ...Array.from({ length: 1500 }, (_, i) => outsider(i + 1))],
    dns: remote[5]!, // !: 300 of them
  };
}
