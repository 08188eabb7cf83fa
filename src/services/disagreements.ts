// SPDX-License-Identifier: Apache-2.0
// EndpointSlices of one Service that say different things of one endpoint. An endpoint may be in several slices for a while, when the
// controller moves it; whoever says that it is ready is believed then (frontends.ts), so that nothing flaps. If it lasts, somebody else wrote one.

import { olderFirst } from '../base/age.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { EndpointConditions, SliceRow } from './service.ts';

/** One for each slice that contradicts an older one. */
export function* disagreementsAmong(slices: readonly SliceRow[]): Iterable<Problem> {
  if (slices.length < 2) return;
  const said = new Map<string, { readonly slice: string; readonly state: string }>();
  for (const slice of slices.toSorted((a, b) => olderFirst([a, a.name], [b, b.name]))) {
    const against: { address: string; state: string; other: { readonly slice: string; readonly state: string } }[] = [];
    for (const endpoint of slice.endpoints) {
      const state = stateOf(endpoint);
      const other = said.get(endpoint.address);
      if (other === undefined) said.set(endpoint.address, { slice: slice.name, state });
      else if (other.state !== state && other.slice !== slice.name) against.push({ address: endpoint.address, state, other });
    }
    const [first, ...more] = against;
    if (first === undefined) continue;
    const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
    yield problem({
      object: `EndpointSlice ${slice.name}`,
      reason: 'SlicesDisagree',
      message: `${first.address}${others} is ${first.state} here and ${first.other.state} in EndpointSlice ${first.other.slice}; it is used if either says ready`,
      advice: 'Delete the one that no controller keeps (label endpointslice.kubernetes.io/managed-by says who does)',
    });
  }
}

function stateOf({ ready, serving, terminating }: EndpointConditions): string {
  if (ready) return 'ready';
  if (!terminating) return 'not ready';
  return serving ? 'terminating' : 'terminated';
}
