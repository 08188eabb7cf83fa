// SPDX-License-Identifier: Apache-2.0
// What a client asks for, as a query of the ring; and how fast flows come.

import type { FlowQuery, FlowRing } from '../flows/flow-ring.ts';
import type { Nanoseconds } from '../flows/flow.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { flowPredicate } from './filter.ts';
import type { GetFlowsRequest } from './observer.ts';

/** Throws RpcError, which names the field. */
export function queryOf({ number, first, follow, since, until, whitelist, blacklist }: GetFlowsRequest): FlowQuery {
  if (first === true && follow === true)
    throw new RpcError(Status.INVALID_ARGUMENT, 'first: the first flows cannot be followed, wanted one of first and follow');
  const asked = number === undefined || number === 0 ? undefined : number;
  return { number: asked, first, follow, since, until, matches: flowPredicate({ whitelist, blacklist }) };
}

const MINUTE = 60_000_000_000n;

/** Flows per second of the last minute, as far as the ring remembers it. */
export function flowsRate(ring: Pick<FlowRing, 'oldest' | 'next' | 'at'>, now: Nanoseconds): number {
  let [count, earliest] = [0, now];
  for (let position = ring.next - 1; position >= ring.oldest; position--) {
    const entry = ring.at(position);
    if (entry?.kind !== 'flow') continue;
    if (entry.flow.time < now - MINUTE) return count / 60;
    count++;
    if (entry.flow.time < earliest) earliest = entry.flow.time;
  }
  // it begins within the minute: because it is full, or because there were no flows before
  const seconds = ring.oldest > 0 ? Number(now - earliest) / 1e9 : 60;
  return seconds > 0 ? count / seconds : 0;
}
