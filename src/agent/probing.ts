// SPDX-License-Identifier: Apache-2.0
// Before an address is answered for the first time in a cluster, whether some other host has it (RFC 5227 section 2.1, RFC 4862
// section 5.4). One that is taken over from another node is not asked for: it would not be answered meanwhile.

import type { Clock } from '../base/clock.ts';
import type { Mac } from '../base/ip.ts';
import type { L2Tables } from '../l2/tables.ts';
import type { NodeTables } from '../nodes/tables.ts';
import type { Asker } from './asker.ts';
import { macsOf } from './foreign-claims.ts';

export type ProbingOptions = {
  readonly l2: L2Tables;
  readonly nodes: Pick<NodeTables, 'uplinks' | 'interfaces'>;
  readonly asker: Asker;
  readonly clock: Clock;
  readonly changed: () => void;
};

const TIMES = 3;
const EACH_MS = 100;
/** A host that had the address may be gone by then. */
const AGAIN_MS = 10_000;

/** To be called after each commit, and once a second. */
export function probing({ l2, nodes, asker, clock, changed }: ProbingOptions): () => void {
  const writer = l2.probes.writer('probing');
  const underWay = new Set<string>();
  const asked = new Map<string, number>();
  writer.complete();
  const probe = async (address: string, names: readonly string[]) => {
    underWay.add(address);
    const row = l2.owners.get(address);
    const places = names.flatMap((name) => {
      const place = nodes.interfaces.get(String(nodes.uplinks.get(name)?.index));
      return place?.mac === undefined ? [] : [{ interfaceIndex: place.index, mac: place.mac }];
    });
    const answers = row
      ? await Promise.all(places.map((place) => asker.ask({ ...place, ip: row.ip, source: undefined }, TIMES, EACH_MS)))
      : [];
    const foreign = answers.find((mac): mac is Mac => mac !== undefined && !macsOf(l2).has(mac));
    underWay.delete(address);
    asked.set(address, clock.monotonic());
    writer.put(address, { taken: foreign });
    changed();
  };
  return () => {
    for (const [address] of l2.probes.entries()) if (l2.owners.get(address)?.probes === undefined) writer.delete(address);
    for (const [address, { probes }] of l2.owners.entries()) {
      if (probes === undefined || underWay.has(address)) continue;
      const isOld = clock.monotonic() - (asked.get(address) ?? -Infinity) > AGAIN_MS;
      if (!l2.probes.has(address) || (l2.probes.get(address)?.taken !== undefined && isOld)) void probe(address, probes);
    }
  };
}
