// SPDX-License-Identifier: Apache-2.0
// From policies to the frontends that they redirect and the pods that these lead to.
//
//   policy kube-system/local-dns ──▶ redirect 10.96.0.10:53/UDP ──▶ set kube-system/local-dns:local-redirect/53/UDP/IPv4
//                                                                     └── ready pods of this node that the policy selects

import { familyOf } from '../base/ip.ts';
import type { Family, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import { frontendKey } from '../services/frontends.ts';
import type { Backend, BackendSet, FrontendKey, SetKey } from '../services/frontends.ts';
import { selects } from '../services/label-selector.ts';
import type { Redirect } from '../services/redirect.ts';
import type { ServiceRow } from '../services/service.ts';
import type { LocalPod } from './local-pod.ts';
import type { NamedPort, PolicyRow } from './policy.ts';

export type RedirectInputs = {
  /** Index 'target': what they redirect, by targetOf(). Index 'namespace'. */
  readonly policies: Table<string, PolicyRow>;
  readonly services: Table<string, ServiceRow>;
  /** Index 'namespace'. */
  readonly pods: Table<string, LocalPod>;
};

/** A Service or an address. */
export function targetOf({ frontend }: PolicyRow): string {
  return frontend.kind === 'service' ? frontend.service : frontend.address;
}

/** One frontend of a policy and the port of its pods. */
type Lead = {
  readonly address: Ip;
  readonly port: number;
  readonly protocol: NamedPort['protocol'];
  readonly set: SetKey;
  readonly to: number;
};

/**
 * What all policies redirect, worked out at once: they are few, and share frontends. Of two that want one, that of a Service has it, then
 * the older.
 */
export function* redirectsFor({
  policies,
  services,
}: Pick<RedirectInputs, 'policies' | 'services'>): Iterable<readonly [FrontendKey, Redirect] | Problem> {
  const owners = new Map<FrontendKey, string>();
  for (const policy of Array.from(policies.entries(), ([, row]) => row).toSorted(precedence)) {
    const service = policy.frontend.kind === 'service' ? policy.frontend.service : undefined;
    const { leads, problems } = leadsOf(policy, services);
    yield* problems;
    for (const lead of leads) {
      const key = frontendKey(lead);
      const winner = owners.get(key);
      if (winner !== undefined) yield taken(policy, key, winner);
      else {
        const { address, port, protocol, set } = lead;
        owners.set(key, policy.name);
        yield [key, { address, port, protocol, policy: policy.name, service, set }];
      }
    }
  }
}

function precedence(a: PolicyRow, b: PolicyRow): number {
  const rank = ({ frontend, created, name }: PolicyRow) => `${frontend.kind === 'service' ? 0 : 1} ${created} ${name}`;
  return rank(a) < rank(b) ? -1 : 1;
}

/** The sets of one policy: an empty one redirects nobody, and the flows of those that drain end in their own time. */
export function* redirectSetsFor(policy: PolicyRow | undefined, inputs: RedirectInputs): Iterable<readonly [SetKey, BackendSet] | Problem> {
  if (!policy) return;
  const { leads } = leadsOf(policy, inputs.services);
  const affinity = inputs.services.get(targetOf(policy))?.affinity ?? 0;
  const pods = podsOf(policy, inputs.pods);
  const bySet = Map.groupBy(leads, ({ set }) => set);
  for (const [set, [lead, ...others]] of bySet) {
    if (!lead) continue;
    const frontends = [lead, ...others].map(frontendKey);
    yield [
      set,
      {
        service: pseudoService(policy.name),
        protocol: lead.protocol,
        affinity,
        maglev: false,
        frontends,
        sourceRanges: [],
        ...backendsOf(pods, lead),
      },
    ];
  }
  yield* undeclared(policy, pods, leads);
}

/** The first port that a pod ought to declare and does not. */
function* undeclared(policy: PolicyRow, pods: readonly LocalPod[], leads: readonly Lead[]): Iterable<Problem> {
  for (const pod of pods)
    for (const { to, protocol } of leads) {
      if (declares(pod, to, protocol)) continue;
      yield trouble(policy, 'PortNotDeclared', `no container of pod ${pod.name} declares port ${to}/${protocol}, so nothing is led to it`, [
        `Add containerPort: ${to} with protocol: ${protocol} to the pod's template`,
      ]);
      return;
    }
}

/** As users of Cilium know what a policy makes. */
function pseudoService(policy: string): string {
  return `${policy}:local-redirect`;
}

/** Pods of this node that a policy selects, whatever their state. */
export function podsOf({ namespace, selector }: PolicyRow, pods: Table<string, LocalPod>): readonly LocalPod[] {
  return [...pods.by('namespace', namespace)].filter(({ labels }) => selects(selector, labels));
}

function leadsOf(
  policy: PolicyRow,
  services: Table<string, ServiceRow>,
): { readonly leads: readonly Lead[]; readonly problems: readonly Problem[] } {
  const { frontend } = policy;
  if (frontend.kind === 'address') {
    const { pairs, problems } = pairsOf(policy, frontend.ports, true);
    return { leads: pairs.map(([from, to]) => leadOf(policy, frontend.address, from, to)), problems };
  }
  const service = services.get(frontend.service);
  if (!service) return { leads: [], problems: [noService(policy, frontend.service)] };
  const { ports, missing } = servicePorts(service, frontend.ports);
  const { pairs, problems } = pairsOf(policy, ports, frontend.ports !== undefined);
  const leads = service.clusterIps.flatMap((address) => pairs.map(([from, to]) => leadOf(policy, address, from, to)));
  return { leads, problems: [...missing.map((port) => noPort(policy, service.name, port)), ...problems] };
}

function leadOf({ name }: PolicyRow, address: Ip, { port, protocol }: NamedPort, to: NamedPort): Lead {
  return { address, port, protocol, set: `${pseudoService(name)}/${port}/${protocol}/IPv${familyOf(address)}`, to: to.port };
}

/** Those of a Service that are wanted, by the names that the policy has for them if it names ports. */
function servicePorts(
  service: ServiceRow,
  wanted: readonly NamedPort[] | undefined,
): { readonly ports: readonly NamedPort[]; readonly missing: readonly NamedPort[] } {
  const all = service.ports.flatMap(({ name, port, protocol }) =>
    protocol === 'SCTP' ? [] : [{ name: name.toLowerCase(), port, protocol }],
  );
  if (wanted === undefined) return { ports: all, missing: [] };
  const has = ({ port, protocol }: NamedPort) => all.some((one) => one.port === port && one.protocol === protocol);
  return { ports: wanted.filter(has), missing: wanted.filter((one) => !has(one)) };
}

type Pair = readonly [from: NamedPort, to: NamedPort];

/** One port to one port, several by their names. `each`: every port of the frontend was named by the policy, so it needs one. */
function pairsOf(
  policy: PolicyRow,
  from: readonly NamedPort[],
  each: boolean,
): { readonly pairs: readonly Pair[]; readonly problems: readonly Problem[] } {
  const [only, ...more] = from;
  const [target, ...others] = policy.ports;
  if (only && target && more.length === 0 && others.length === 0 && only.protocol === target.protocol)
    return { pairs: [[only, target]], problems: [] };
  const alone = more.length === 0 && others.length === 0;
  const pairs = from.flatMap((one): Pair[] => {
    const to = alone ? undefined : policy.ports.find((port) => port.name === one.name && port.protocol === one.protocol);
    return to ? [[one, to]] : [];
  });
  const unpaired = each || pairs.length === 0 ? from.filter((one) => !pairs.some(([paired]) => paired === one)) : [];
  return {
    pairs,
    problems: unpaired.length === 0 ? [] : [noPair(policy, unpaired)],
  };
}

function backendsOf(pods: readonly LocalPod[], { address, to, protocol }: Lead): Pick<BackendSet, 'backends' | 'draining'> {
  const declaring = pods.filter((pod) => declares(pod, to, protocol));
  const of = (state: LocalPod['state']) =>
    addressesOf(declaring, state, familyOf(address)).map((one): Backend => ({ address: one, port: to, protocol }));
  const ready = of('ready');
  const draining = of('draining').filter((one) => !ready.some((other) => other.address === one.address));
  return { backends: ready.map((backend) => ({ ...backend, state: 'active' })), draining };
}

/** Sorted, each once: pods with the node's network share its address. */
function addressesOf(pods: readonly LocalPod[], state: LocalPod['state'], family: Family): readonly Ip[] {
  const all = pods.flatMap((pod) => (pod.state === state ? pod.addresses : [])).filter((address) => familyOf(address) === family);
  return [...new Set(all)].toSorted();
}

function declares({ ports }: LocalPod, port: number, protocol: string): boolean {
  return ports.some((one) => one.port === port && one.protocol === protocol);
}

function taken(policy: PolicyRow, key: FrontendKey, winner: string): Problem {
  return trouble(policy, 'RedirectTaken', `${key} is redirected by CiliumLocalRedirectPolicy ${winner} already`, ['Delete one of the two']);
}

function noService(policy: PolicyRow, service: string): Problem {
  return trouble(policy, 'NoService', `there is no Service ${service} with a ClusterIP`, [
    'Correct redirectFrontend.serviceMatcher in a new policy, or make the Service',
  ]);
}

function noPort(policy: PolicyRow, service: string, { port, protocol }: NamedPort): Problem {
  return trouble(policy, 'NoServicePort', `Service ${service} has no port ${port}/${protocol}`, [
    'Correct redirectFrontend.serviceMatcher.toPorts in a new policy, or add the port to the Service',
  ]);
}

function noPair(policy: PolicyRow, from: readonly NamedPort[]): Problem {
  const text = (ports: readonly NamedPort[]) =>
    ports.map(({ name, port, protocol }) => `${name === '' ? '' : `${name} `}${port}/${protocol}`).join(', ');
  return trouble(policy, 'UnpairedPorts', `redirectBackend.toPorts (${text(policy.ports)}) has no port for ${text(from)}`, [
    'In a new policy, give ports that belong together one name and one protocol',
  ]);
}

function trouble({ name }: PolicyRow, reason: string, message: string, [advice = '']: readonly string[]): Problem {
  return problem({ object: `CiliumLocalRedirectPolicy ${name}`, reason, message, advice });
}
