// SPDX-License-Identifier: Apache-2.0
// What the status of a policy says of what cannot be read in it. One node writes it: the first by name of those that are there.

import type { CiliumL2AnnouncementPolicy } from '../kube/types.ts';
import { FAULTS } from './policy.ts';
import type { PolicyFault, PolicyRow } from './policy.ts';

/** As an object of the API has them, without the time. */
export type PolicyCondition = {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
};

const typeOf = (fault: PolicyFault) => `io.cilium/${fault}`;

/** Of ours, in their order. */
export function conditionsIn({ status }: CiliumL2AnnouncementPolicy): readonly PolicyCondition[] {
  return FAULTS.flatMap((fault) => {
    const found = status?.conditions?.find(({ type }) => type === typeOf(fault));
    if (found === undefined) return [];
    const { type, status: said, reason = '', message = '' } = found;
    return [{ type, status: said === 'True' ? ('True' as const) : ('False' as const), reason, message }];
  });
}

/** A policy that was never bad has none; what was bad and is good says so. */
export function* conditionsFor(policy: PolicyRow | undefined, isFirst: boolean): Iterable<readonly [string, readonly PolicyCondition[]]> {
  if (!policy || !isFirst) return;
  const rows = FAULTS.flatMap((fault): PolicyCondition[] => {
    const message = policy.wrong[fault];
    if (message !== undefined) return [{ type: typeOf(fault), status: 'True', reason: 'error', message }];
    return policy.told.includes(fault) ? [{ type: typeOf(fault), status: 'False', reason: 'error', message: 'it can be read' }] : [];
  });
  if (rows.length > 0) yield [policy.name, rows];
}
