// SPDX-License-Identifier: Apache-2.0
// The facts of a pod of this node that redirects lead to.

import { parseIp } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { Labels, Pod } from '../kube/types.ts';

export type LocalPod = {
  /** 'namespace/name'. */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly addresses: readonly Ip[];
  readonly hostNetwork: boolean;
  /** 'draining': it terminates, and finishes what it has begun. */
  readonly state: 'waiting' | 'ready' | 'draining';
  /** Those that its containers declare. */
  readonly ports: readonly { readonly port: number; readonly protocol: string }[];
};

export function* localPodRows({ metadata, spec, status }: Pod): Iterable<readonly [string, LocalPod]> {
  const { phase, podIP, podIPs, conditions = [] } = status ?? {};
  if (phase === 'Succeeded' || phase === 'Failed') return;
  const { namespace = 'default', labels = {}, deletionTimestamp } = metadata;
  const name = `${namespace}/${metadata.name}`;
  const texts = podIPs?.map(({ ip }) => ip) ?? (podIP === undefined ? [] : [podIP]);
  const addresses = texts.map(parseIp).filter((address) => address !== undefined);
  const runs = phase === 'Running' && addresses.length > 0;
  const isReady = conditions.some(({ type, status: said }) => type === 'Ready' && said === 'True');
  const state = !runs ? 'waiting' : deletionTimestamp !== undefined ? 'draining' : isReady ? 'ready' : 'waiting';
  const declared = (spec?.containers ?? []).flatMap(({ ports = [] }) => ports);
  const ports = declared.map(({ containerPort, protocol = 'TCP' }) => ({ port: containerPort, protocol }));
  yield [name, { name, namespace, labels, addresses, hostNetwork: spec?.hostNetwork === true, state, ports }];
}
