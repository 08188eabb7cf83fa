// SPDX-License-Identifier: Apache-2.0
// At which TCP port of an address another node may knock to learn whether it serves.

import { familyOf } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import type { ServiceRow, SliceRow } from '../services/service.ts';
import type { OwnerRow } from './owners.ts';

export type KnockInputs = { readonly services: Table<string, ServiceRow>; readonly slices: Table<string, SliceRow> };

/** Undefined: none of which an answer may be expected: UDP alone, nobody ready, or source ranges that may not let a node in. */
export function knockPort(
  { ip, services: names }: Pick<OwnerRow, 'ip' | 'services'>,
  { services, slices }: KnockInputs,
): number | undefined {
  for (const name of names) {
    const service = services.get(name);
    const port = service?.ports.find(({ protocol }) => protocol === 'TCP')?.port;
    if (port === undefined || service?.external?.sourceRanges !== undefined) continue;
    const isReady = [...slices.by('service', name)].some(
      ({ family, endpoints }) => family === familyOf(ip) && endpoints.some(({ ready }) => ready),
    );
    if (isReady) return port;
  }
  return undefined;
}
