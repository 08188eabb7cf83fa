// SPDX-License-Identifier: Apache-2.0
// Whether two Services may have one address.

import type { LbServiceRow, Sharing } from './service.ts';

/** Why not, as the rest of a sentence; undefined: they may. */
export function sharingObstacle(one: LbServiceRow, other: LbServiceRow): string | undefined {
  for (const { name, whose } of [one, other]) if (whose !== 'ours') return `${name} is not served by this load balancer`;
  const [mine, theirs] = [one.sharing, other.sharing];
  if (mine === undefined) return `${one.name} has no sharing key`;
  if (theirs === undefined) return `${other.name} has no sharing key`;
  if (mine.key !== theirs.key) return `their sharing keys differ: ${one.name} has '${mine.key}', ${other.name} has '${theirs.key}'`;
  return namespaceObstacle(one, other, mine) ?? namespaceObstacle(other, one, theirs) ?? trafficObstacle(one, other);
}

function namespaceObstacle(one: LbServiceRow, other: LbServiceRow, { namespaces }: Sharing): string | undefined {
  const theirs = namespaceOf(other);
  if (namespaceOf(one) === theirs || namespaces.includes('*') || namespaces.includes(theirs)) return undefined;
  return `${one.name} does not share with namespace ${theirs} (annotation lbipam.cilium.io/sharing-cross-namespace, on both)`;
}

function trafficObstacle(one: LbServiceRow, other: LbServiceRow): string | undefined {
  const both = one.ports.find((port) => other.ports.includes(port));
  if (both !== undefined) return `both have port ${both}`;
  if (one.local !== other.local) return 'their externalTrafficPolicy differs';
  if (one.local && (one.pods === '' || one.pods !== other.pods))
    return 'with externalTrafficPolicy: Local they have to select the same pods';
  return undefined;
}

function namespaceOf({ name }: LbServiceRow): string {
  return name.slice(0, name.indexOf('/'));
}
