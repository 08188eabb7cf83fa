// SPDX-License-Identifier: Apache-2.0
// What values mean beside other objects: pools, policies and nodes, of files that go with them or of a cluster that can be asked.

import type { Config } from '../agent/config.ts';
import { cidrContains, cidrSize, cidrText, familyOf, numberOf, parseCidr } from '../base/ip.ts';
import type { Cidr } from '../base/ip.ts';
import type { CiliumL2AnnouncementPolicy, CiliumLoadBalancerIPPool, CiliumNode, Node } from '../kube/types.ts';
import { policyRows, selectsNode } from '../l2/policy.ts';
import type { PolicyRow } from '../l2/policy.ts';
import { lbNodeRows, subnetRows } from '../lbipam/node.ts';
import { poolHas, poolRows, poolText } from '../lbipam/pool.ts';
import type { PoolRow } from '../lbipam/pool.ts';
import { overlap } from '../lbipam/range.ts';
import type { Range } from '../lbipam/range.ts';
import type { Advice } from './values-advice.ts';

/** What there is beside the values; undefined: nobody knows. */
export type Surroundings = {
  readonly pools: readonly CiliumLoadBalancerIPPool[] | undefined;
  readonly policies: readonly CiliumL2AnnouncementPolicy[] | undefined;
  readonly nodes: readonly Node[] | undefined;
  /** With the subnets that agents have written down; empty before there are any. */
  readonly ciliumNodes: readonly CiliumNode[];
};

export const unknownSurroundings: Surroundings = { pools: undefined, policies: undefined, nodes: undefined, ciliumNodes: [] };

/** A label of nodes that take no part in load balancing; Talos gives it to those of the control plane. */
const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';

export function clusterAdvice(config: Config, around: Surroundings): readonly Advice[] {
  const pools = around.pools?.flatMap((pool) => Array.from(poolRows(pool), ([, row]) => row));
  const policies = around.policies?.flatMap((policy) => [...policyRows(policy)].flatMap((row) => ('kind' in row ? [] : [row[1]])));
  const unreadable = around.policies?.flatMap((policy) => [...policyRows(policy)].flatMap((row) => ('kind' in row ? [row] : [])));
  return [
    ...(unreadable ?? []).map(({ object, message, advice }): Advice => ({ level: 'warning', about: object, message, advice })),
    ...announcementAdvice(config, { pools, policies }),
    ...(pools ?? []).flatMap((pool) => poolAdvice(pool, config, around)),
    ...nodeAdvice(config, around, policies),
    ...rangeAdvice(config, around),
  ];
}

type Rows = { readonly pools: readonly PoolRow[] | undefined; readonly policies: readonly PolicyRow[] | undefined };

function announcementAdvice({ l2announcements, operator }: Config, { pools, policies }: Rows): readonly Advice[] {
  const about = 'l2announcements.enabled';
  const found: Advice[] = [];
  const warn = (message: string, advice: string) => found.push({ level: 'warning', about, message, advice });
  if (l2announcements && policies?.length === 0)
    warn('is true without a CiliumL2AnnouncementPolicy: no address is announced', 'Add one with spec.loadBalancerIPs: true');
  if (l2announcements && pools?.length === 0 && operator.lbClasses)
    warn(
      'is true without a CiliumLoadBalancerIPPool: Services of type LoadBalancer get no address',
      'Add one with addresses of your network that nobody has',
    );
  if (l2announcements && (pools === undefined || policies === undefined))
    found.push({
      level: 'note',
      about,
      message: 'is true, which wants a CiliumLoadBalancerIPPool and a CiliumL2AnnouncementPolicy; nobody has looked whether there are any',
      advice: 'Name their files after the values, or a kubeconfig',
    });
  if (!l2announcements && ((pools?.length ?? 0) > 0 || (policies?.length ?? 0) > 0))
    warn(
      `is false, and there is ${(pools?.length ?? 0) > 0 ? 'a CiliumLoadBalancerIPPool' : 'a CiliumL2AnnouncementPolicy'}: nobody answers for its addresses on the LAN`,
      'Set l2announcements.enabled: true, unless a router leads there',
    );
  return found;
}

function poolAdvice(pool: PoolRow, { nativeRoutingCidrs }: Config, { nodes, ciliumNodes }: Surroundings): readonly Advice[] {
  const about = `CiliumLoadBalancerIPPool ${pool.name}`;
  const say = (level: Advice['level'], message: string, advice: string): Advice => ({ level, about, message, advice });
  const rows = (nodes ?? []).flatMap((node) => Array.from(lbNodeRows(node), ([name, row]) => ({ name, ...row })));
  const taken = rows.flatMap(({ name, addresses }) => addresses.filter((one) => poolHas(pool, one)).map((one) => ({ name, one })));
  const ofPods = [...nativeRoutingCidrs, ...(nodes ?? []).flatMap((node) => podCidrs(node))];
  const inside = ofPods.find((prefix) => pool.ranges.some((range) => overlap(range, rangeOf(prefix))));
  const subnets = ciliumNodes.flatMap((node) => Array.from(subnetRows(node), ([, all]) => all)).flat();
  const off = subnets.length > 0 && pool.ranges.some((range) => !subnets.some((subnet) => overlap(range, rangeOf(subnet))));
  return [
    ...pool.wrong.map(({ message, advice }) => say('warning', message, advice)),
    ...taken.map(({ name, one }) => say('mistake', `has ${one}, which is Node ${name}'s own`, 'Leave it out')),
    ...(inside ? [say('mistake', `overlaps ${cidrText(inside)}, where pods are`, 'Give it addresses of the LAN')] : []),
    ...(off
      ? [
          say(
            'warning',
            `has ${poolText(pool)}, of which a part is in no subnet of a node: nobody on the LAN asks for it`,
            `Give it addresses of ${subnets.map(cidrText).join(', ')}`,
          ),
        ]
      : []),
  ];
}

function nodeAdvice(
  { l2announcements }: Config,
  { nodes = [] }: Surroundings,
  policies: readonly PolicyRow[] | undefined,
): readonly Advice[] {
  if (nodes.length === 0) return [];
  const found: Advice[] = [];
  const announcers = nodes.filter(({ metadata: { labels = {} } }) => policies?.some((policy) => selectsNode(policy, labels)) ?? true);
  if (l2announcements && policies !== undefined && policies.length > 0 && announcers.length === 0)
    found.push({
      level: 'warning',
      about: 'CiliumL2AnnouncementPolicy',
      message: 'no node is selected by a policy: no address is announced',
      advice: 'Correct spec.nodeSelector',
    });
  const excluded = nodes.filter(({ metadata: { labels = {} } }) => labels[EXCLUDED] !== undefined);
  if (l2announcements && excluded.length > 0 && !(policies ?? []).some(({ nodes: selector }) => selector !== undefined))
    found.push({
      level: excluded.length === nodes.length ? 'warning' : 'note',
      about: `Nodes ${excluded.map(({ metadata: { name } }) => name).join(', ')}`,
      message: `have the label ${EXCLUDED}, and answer for no address`,
      advice: 'Select them by spec.nodeSelector of a CiliumL2AnnouncementPolicy if they should',
    });
  return found;
}

/** Ranges of pods, and how many nodes there are. */
function rangeAdvice({ nativeRoutingCidrs, operator }: Config, { nodes = [] }: Surroundings): readonly Advice[] {
  const found: Advice[] = [];
  for (const node of nodes) {
    const uncovered = podCidrs(node).find((own) => {
      const same = nativeRoutingCidrs.filter(({ ip }) => familyOf(ip) === familyOf(own.ip));
      return same.length > 0 && !same.some((one) => one.bits <= own.bits && cidrContains(one, own.ip));
    });
    if (uncovered)
      found.push({
        level: 'warning',
        about: familyOf(uncovered.ip) === 4 ? 'ipv4NativeRoutingCIDR' : 'ipv6NativeRoutingCIDR',
        message: `does not contain ${cidrText(uncovered)} of Node ${node.metadata.name}: its pods are seen with their node's address by others`,
        advice: 'Make it the range of all pods, or leave it out: it is the podCIDRs of all nodes then',
      });
  }
  const withoutRange = nodes.filter((node) => podCidrs(node).length === 0).map(({ metadata: { name } }) => name);
  if (withoutRange.length > 0)
    found.push({
      level: 'mistake',
      about: `Nodes ${withoutRange.join(', ')}`,
      message: 'have no spec.podCIDRs, from which pods get their addresses',
      advice: 'Start kube-controller-manager with --allocate-node-cidrs and --cluster-cidr',
    });
  if (nodes.length > 0 && operator.replicas > nodes.length)
    found.push({
      level: 'note',
      about: 'operator.replicas',
      message: `is ${operator.replicas} on ${nodes.length === 1 ? 'one node' : `${nodes.length} nodes`}: two operators never share a node, so one stays Pending`,
      advice: `Set it to ${nodes.length}`,
    });
  return found;
}

function podCidrs({ spec: { podCIDRs, podCIDR } = {} }: Node): readonly Cidr[] {
  return (podCIDRs ?? (podCIDR === undefined ? [] : [podCIDR])).flatMap((text) => parseCidr(text) ?? []);
}

function rangeOf(prefix: Cidr): Range {
  const first = numberOf(prefix.ip);
  return { family: familyOf(prefix.ip), first, last: first + cidrSize(prefix) - 1n, fenced: false };
}
