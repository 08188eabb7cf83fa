// SPDX-License-Identifier: Apache-2.0
// Addresses of load balancers: who answers for each, whether it is found on the LAN, and what pools have left.

import { one, orNone, orZero, overall, perNode, TARGET, TARGET_LEGEND } from './panel.ts';
import type { Dashboard, Panel, Row } from './panel.ts';

const { gauge, rate } = overall;
const found = gauge('min', 'stentor_l2_reachable', { by: ['ip'] });
/** Every node knows of every address; one that was cut off may know less. */
const known = (where: string) => `max(stentor_l2_addresses{${where}})`;
const number = (title: string, about: string, query: string, marks: Pick<Panel, 'badFrom' | 'badBelow'> = {}): Panel => ({
  title,
  about,
  kind: 'number',
  unit: 'none',
  width: 6,
  queries: one(query, ''),
  ...marks,
});

const now: Row = {
  title: 'Now',
  panels: [
    number(
      'Addresses',
      'Load balancer addresses that a CiliumL2AnnouncementPolicy announces.',
      'sum(max by (owner) (stentor_l2_addresses))',
    ),
    number(
      'Not found on the LAN',
      'Nodes ask for each address as a client does. `stentor vip why ADDRESS` says what is wrong.',
      orZero(`count(${found} == 0)`),
      {
        badFrom: 1,
      },
    ),
    number('Without an owner', 'Nobody answers for them: no node may, or none can.', orZero(known('owner=""')), { badFrom: 1 }),
    number(
      'Services without their address',
      'They ask for what no pool gives: `kubectl get events` of the Service says why.',
      orZero('sum(cilium_operator_lbipam_services_unsatisfied)'),
      { badFrom: 1 },
    ),
  ],
};

const addresses: Row = {
  title: 'Who answers, and is it found',
  panels: [
    {
      title: 'Found on the LAN',
      about: '1: it is found at its owner by all that ask. 0: at least one does not find it.',
      kind: 'bars',
      unit: 'none',
      badBelow: 1,
      queries: one(found, '{{ip}}'),
    },
    {
      title: 'Who answers',
      about: 'Each address should have one line.',
      kind: 'lines',
      unit: 'none',
      queries: one(gauge('max', 'stentor_l2_owned', { by: ['ip', ...TARGET] }), `{{ip}} ${TARGET_LEGEND}`),
    },
    {
      title: 'Addresses by owner',
      about: 'Owners share the load by themselves, late and slowly.',
      kind: 'lines',
      unit: 'none',
      queries: one(gauge('max', 'stentor_l2_addresses', { by: ['owner'] }), '{{owner}}'),
    },
    {
      title: 'Nodes that could take over',
      about: 'With its owner. At 1 there is nobody else: when that node goes the address is dead.',
      kind: 'bars',
      unit: 'none',
      badBelow: 2,
      queries: one(gauge('max', 'stentor_l2_candidates', { by: ['ip'] }), '{{ip}}'),
    },
    {
      title: 'Moves',
      about: 'Changes of the owner in the time range. Many are a node that comes and goes, or a segment that splits.',
      kind: 'bars',
      unit: 'short',
      queries: one('max by (ip) (increase(stentor_l2_moves_total[$__range]))', '{{ip}}'),
    },
    {
      title: 'Questions answered',
      about: 'ARP and neighbour discovery, per second. An address that is used and is never asked for is asked for elsewhere.',
      kind: 'lines',
      unit: 'cps',
      queries: one(rate('stentor_l2_answers_total', { by: ['ip'] }), '{{ip}}'),
    },
    {
      title: 'Nodes that are heard',
      about:
        'Others whose heartbeats this node hears on the segment. Fewer than nodes less one: they do not share a segment, or one is down.',
      kind: 'lines',
      unit: 'none',
      queries: one(perNode.gauge('max', 'stentor_l2_peers', { by: TARGET }), TARGET_LEGEND),
    },
    {
      title: 'Refusals and echoes',
      about: 'What nodes say in the name of service addresses: resets for closed ports, echo replies, unreachable.',
      kind: 'lines',
      unit: 'cps',
      queries: one(perNode.rate('stentor_answers_total', { by: ['answer', 'to'] }), '{{answer}} to {{to}}'),
    },
  ],
};

const pools: Row = {
  title: 'Pools',
  panels: [
    {
      title: 'Addresses left',
      about: 'Of each CiliumLoadBalancerIPPool. At 0 the next Service stays <pending>.',
      kind: 'lines',
      unit: 'short',
      queries: one(gauge('max', 'cilium_operator_lbipam_ips_available', { by: ['pool'] }), '{{pool}}'),
    },
    {
      title: 'Addresses in use',
      about: 'Or that nobody can have.',
      kind: 'lines',
      unit: 'short',
      queries: one(gauge('max', 'cilium_operator_lbipam_ips_used', { by: ['pool'] }), '{{pool}}'),
    },
    {
      title: 'What somebody has to repair',
      about: 'Problems that the operator reports, by reason: `stentor problems` has the advice.',
      kind: 'lines',
      unit: 'none',
      queries: one(orNone(gauge('sum', 'stentor_operator_problems', { by: ['reason'] }), 'reason'), '{{reason}}'),
    },
  ],
};

export const vipsDashboard: Dashboard = {
  file: 'cilium-vips',
  uid: 'stentor-vips',
  title: 'Cilium: load balancer addresses',
  about:
    'Each address is answered for by one node, and others ask for it as a client does. `stentor vip` shows the same, `stentor vip why ADDRESS` says it in sentences. ' +
    'What the metrics mean: `docs/operate.md`, "Metrics". They need `prometheus.enabled`.',
  nodesOf: 'cilium_version',
  rows: [now, addresses, pools],
};
