// SPDX-License-Identifier: Apache-2.0
// Load balancer addresses on the segment: who answers for each, whether it is found there, and who could take it over.

import { metricKinds } from '../base/metrics.ts';
import type { Insides } from './providers.ts';

type Facts = Pick<Insides, 'l2' | 'vips'>;

const { gauge, counter } = metricKinds<Facts>();
const CAN = 2;

export const vipMetrics = [
  gauge('stentor_l2_addresses', 'Load balancer addresses by the node that answers for them, as this node knows it', ['owner'], ({ l2 }) => {
    const counts = new Map<string, number>();
    for (const [, { owner = '' }] of l2.owners.entries()) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    return Array.from(counts, ([owner, value]) => ({ labels: { owner }, value }));
  }),
  gauge('stentor_l2_owned', '1: this node answers for the address', ['ip'], ({ l2 }) =>
    Array.from(l2.owners.entries()).flatMap(([, { ip, held }]) => (held ? [{ labels: { ip }, value: 1 }] : [])),
  ),
  gauge('stentor_l2_candidates', 'Nodes that can answer for the address: with one of them nobody takes over', ['ip'], ({ vips }) =>
    vips.rows().map(({ ip, candidates }) => ({ labels: { ip }, value: candidates.filter(({ level }) => level === CAN).length })),
  ),
  counter(
    'stentor_l2_answers_total',
    'Questions of ARP and neighbour discovery that this node has answered for the address',
    ['ip'],
    ({ vips }) => vips.rows().flatMap(({ ip, answers }) => (answers === undefined ? [] : [{ labels: { ip }, value: answers }])),
  ),
  gauge('stentor_l2_peers', 'Other nodes whose heartbeats are heard', [], ({ l2 }) => [{ value: l2.peers.size }]),
  gauge(
    'stentor_l2_reachable',
    '1: `from` asks for the address on the LAN and finds it at its owner; 0: it does not find it',
    ['ip', 'from'],
    ({ vips }) =>
      vips.rows().flatMap(({ ip, reachable }) => reachable.map(({ from, found }) => ({ labels: { ip, from }, value: Number(found) }))),
  ),
  counter('stentor_l2_moves_total', 'Changes of the node that answers for an address', ['ip'], ({ l2, vips }) => {
    const moves = vips.moves();
    return Array.from(l2.owners.entries(), ([, { ip }]) => ({ labels: { ip }, value: moves.get(ip) ?? 0 }));
  }),
];
