// SPDX-License-Identifier: Apache-2.0
// Who has an address that is no pod's: this node, another one, or the world. As the kernel's ipcache says it, and also of addresses that
// only this node knows to be its own.

import { cidrContains } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import { Reserved } from '../identities/numbers.ts';
import type { NodeRow } from '../nodes/node.ts';

export type WhereaboutsTables = {
  readonly interfaces: Table<string, InterfaceRow>;
  readonly nodes: Table<string, NodeRow>;
  /** Name of this node. */
  readonly self: string;
};

export type Whereabouts = {
  /** Takes what has changed; true: something has. */
  refresh(): boolean;
  /** Of this node. */
  isOwn(address: Ip): boolean;
  /** Unknown: of a range of pods, and none is known that has it. */
  identityOf(address: Ip): number;
};

export function whereabouts({ interfaces, nodes, self }: WhereaboutsTables): Whereabouts {
  const changes = [interfaces.changes(), nodes.changes()];
  const [own, others] = [new Set<Ip>(), new Set<Ip>()];
  let ranges: readonly Cidr[] = [];
  return {
    refresh() {
      if (!changes.map((one) => one.take().size > 0).includes(true)) return false;
      own.clear();
      others.clear();
      for (const [, { addresses }] of interfaces.entries()) for (const { ip } of addresses) own.add(ip);
      for (const [name, { addresses }] of nodes.entries()) for (const address of addresses) (name === self ? own : others).add(address);
      ranges = Array.from(nodes.entries(), ([, { podCidrs }]) => podCidrs).flat();
      return true;
    },
    isOwn: (address) => own.has(address),
    identityOf(address) {
      if (own.has(address)) return Reserved.host;
      if (others.has(address)) return Reserved.remoteNode;
      return ranges.some((range) => cidrContains(range, address)) ? Reserved.unknown : Reserved.world;
    },
  };
}
