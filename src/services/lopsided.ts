// SPDX-License-Identifier: Apache-2.0
// Where clients choose the backend by their address (Maglev), a client with most of the connections has one backend carry them.

import type { Table } from '../base/table.ts';
import type { Visits } from '../flows/visits.ts';
import type { BackendSet, Frontend, FrontendKey, SetKey } from './frontends.ts';

export type Lopsided = {
  readonly frontend: FrontendKey;
  readonly service: string;
  readonly client: string;
  readonly flows: number;
  /** Of all its connections. */
  readonly of: number;
  readonly backends: number;
};

/** Fewer connections prove nothing. */
const ENOUGH = 20;

export type LopsidedTables = {
  readonly frontends: Table<FrontendKey, Frontend>;
  readonly sets: Table<SetKey, BackendSet>;
};

/** Not where session affinity wants it so. */
export function* lopsided({ frontend, flows, client }: Visits, { frontends, sets }: LopsidedTables): Iterable<Lopsided> {
  const found = frontends.get(frontend);
  const backends = sets.get(found?.outside ?? '')?.backends.length ?? 0;
  if (!found || found.choice !== 'client' || found.affinity > 0 || backends < 2) return;
  if (flows >= ENOUGH && client.flows * 2 > flows)
    yield { frontend, service: found.service, client: client.address, flows: client.flows, of: flows, backends };
}
