// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CiliumL2AnnouncementPolicy, Condition } from '../kube/types.ts';
import { conditionsFor, conditionsIn } from './conditions.ts';
import type { PolicyRow } from './policy.ts';
import { policyRows } from './policy.ts';

const BAD = 'io.cilium/bad-interface-regex';

function policy(interfaces: readonly string[], conditions: readonly Condition[] = []): CiliumL2AnnouncementPolicy {
  return { metadata: { name: 'p' }, spec: { loadBalancerIPs: true, interfaces }, status: { conditions } };
}

const rowOf = (object: CiliumL2AnnouncementPolicy): PolicyRow =>
  [...policyRows(object)].flatMap((item) => ('kind' in item ? [] : [item[1]]))[0] ?? assert.fail('no row');
const told = (object: CiliumL2AnnouncementPolicy, isFirst = true) =>
  [...conditionsFor(rowOf(object), isFirst)].flatMap(([, rows]) => rows.map(({ type, status }) => `${type} ${status}`));

describe('the conditions of a policy', () => {
  it('are none while it was never bad', () => assert.deepEqual(told(policy(['eth0'])), []));
  it('say what cannot be read, and that it can again', () => {
    assert.deepEqual(told(policy(['['])), [`${BAD} True`]);
    const was = [{ type: BAD, status: 'True', reason: 'error', message: 'x' }];
    assert.deepEqual(told(policy(['eth0'], was)), [`${BAD} False`]);
  });
  it('are written by one node', () => assert.deepEqual(told(policy(['[']), false), []));
  it('are the same when they are read back', () => {
    const object = policy(['[']);
    const [[, rows] = assert.fail()] = [...conditionsFor(rowOf(object), true)];
    assert.deepEqual(conditionsIn(policy(['['], rows)), rows);
  });
});
