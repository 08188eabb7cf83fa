// SPDX-License-Identifier: Apache-2.0
// How large a packet may be that takes each way, and what takes the rest of the MTU. bpf/lib/dsr.h and geneve.h write what is counted here;
// bpf/test/mtu-budget.test.ts holds these numbers against them.

import type { Family } from '../base/ip.ts';

export type BudgetRow = {
  /** 'services, from the wire, SNAT'. */
  readonly way: string;
  /** Bytes of a whole IP packet, by family. */
  readonly ipv4: number;
  readonly ipv6: number;
  readonly reason: string;
};

export type BudgetOptions = {
  /** Of pods. */
  readonly pods: number;
  /** The least of the uplinks. */
  readonly wire: number;
  /** loadBalancer.mode and loadBalancer.dsrDispatch of the values. */
  readonly mode: 'snat' | 'dsr' | 'hybrid';
  readonly dispatch: 'opt' | 'geneve';
  /** Families of this node's addresses; a packet's envelope is of its own family where nodes have that. */
  readonly nodes: ReadonlySet<Family>;
};

/** What a packet of `family` carries beside itself when it tells a node the frontend that it came for. */
export function tellingBytes(dispatch: BudgetOptions['dispatch'], family: Family, nodes: BudgetOptions['nodes']): number {
  if (dispatch === 'opt') return family === 4 ? 8 : 24;
  const outer = nodes.has(family) || nodes.size === 0 ? family : family === 4 ? 6 : 4;
  const [header, udp, geneve, option, ethernet] = [outer === 4 ? 20 : 40, 8, 8, family === 4 ? 12 : 24, 14];
  return header + udp + geneve + option + ethernet;
}

export function mtuBudget({ pods, wire, mode, dispatch, nodes }: BudgetOptions): readonly BudgetRow[] {
  const inPlace = 'addresses are exchanged in place';
  const rows: BudgetRow[] = [
    { way: 'pods of other nodes', ipv4: pods, ipv6: pods, reason: 'routed as they are' },
    { way: 'services, from pods', ipv4: pods, ipv6: pods, reason: inPlace },
    { way: 'services, from the wire, SNAT', ipv4: wire, ipv6: wire, reason: inPlace },
  ];
  if (mode === 'snat') return rows;
  const [four, six] = [tellingBytes(dispatch, 4, nodes), tellingBytes(dispatch, 6, nodes)];
  const what = dispatch === 'opt' ? 'an IP option' : 'a Geneve envelope';
  const reason = `the first packets of a flow name the service in ${what} of ${four} bytes (IPv6: ${six}); what has no room for it goes by SNAT`;
  const way = `services, from the wire, DSR${mode === 'hybrid' ? ' (TCP)' : ''}`;
  return [...rows, { way, ipv4: wire - four, ipv6: wire - six, reason }];
}
