// SPDX-License-Identifier: Apache-2.0
// Lists of status conditions: one of each type, with the time of its last change.
import type { Condition } from './objects.ts';

/** The API's time: whole seconds. */
export const now = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

/** The list with this condition in it; the time stays when the status stays. */
export function withCondition(conditions: readonly Condition[] = [], condition: Condition): readonly Condition[] {
  const before = conditions.find(({ type }) => type === condition.type);
  const lastTransitionTime = before?.status === condition.status ? (before.lastTransitionTime ?? now()) : now();
  const updated = { ...condition, lastTransitionTime };
  return before === undefined ? [...conditions, updated] : conditions.map((old) => (old === before ? updated : old));
}
