// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replicasFor } from './rollout.ts';
import type { ReplicaCount, Rollout } from './rollout.ts';

const count = (name: string, replicas: number, available: number): ReplicaCount => ({ name, replicas, available });
const step = (rollout: Partial<Rollout>) =>
  Object.fromEntries(replicasFor({ desired: 4, current: count('new', 0, 0), old: [], strategy: {}, ...rollout }));

for (const [title, rollout, wanted] of [
  ['a first version is made at once', {}, { new: 4 }],
  ['scaling down is done at once', { current: count('new', 6, 6) }, { new: 4 }],
  ['an update begins with the surge, and with as many old ones as may be missing', { old: [count('old', 4, 4)] }, { new: 1, old: 3 }],
  ['new pods that are not ready hold the old ones', { current: count('new', 2, 0), old: [count('old', 3, 3)] }, { new: 2, old: 3 }],
  ['a ready new pod lets an old one go', { current: count('new', 2, 1), old: [count('old', 3, 3)] }, { new: 2, old: 2 }],
  ['old pods that do not work go first', { current: count('new', 1, 0), old: [count('old', 4, 0)] }, { new: 1, old: 3 }],
  ['the last old ones go when all new ones are ready', { current: count('new', 4, 4), old: [count('old', 1, 1)] }, { new: 4, old: 0 }],
  ['Recreate removes first', { strategy: { type: 'Recreate' }, old: [count('old', 4, 4)] }, { new: 0, old: 0 }],
  ['Recreate then makes', { strategy: { type: 'Recreate' }, old: [count('old', 0, 0)] }, { new: 4, old: 0 }],
] as const) {
  test(`rollout: ${title}`, () => assert.deepEqual(step(rollout), wanted));
}

test('a rollout of any size ends with the new version alone and never goes below its floor', () => {
  for (let desired = 1; desired <= 12; desired++) {
    let current = count('new', 0, 0);
    let old = count('old', desired, desired);
    const floor = desired - Math.floor(desired / 4);
    for (let round = 0; round < 4 * desired && (current.available < desired || old.replicas > 0); round++) {
      const plan = replicasFor({ desired, current, old: [old], strategy: {} });
      old = count('old', plan.get('old') ?? 0, Math.min(old.available, plan.get('old') ?? 0));
      current = count('new', plan.get('new') ?? 0, current.available);
      assert.ok(current.available + old.available >= floor, `${desired} replicas: ${current.available} + ${old.available} available`);
      current = count('new', current.replicas, Math.min(current.available + 1, current.replicas)); // one more is ready
    }
    assert.deepEqual([current.available, old.replicas], [desired, 0]);
  }
});
