// SPDX-License-Identifier: Apache-2.0
// What the operator does about what nobody uses.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { garbageIn, GRACE_MS, identityMarks, references, UNUSED } from './garbage.ts';
import type { Candidate } from './garbage.ts';
import { garbageTables, Subject } from './garbage-tables.ts';

describe('a pass over identities', () => {
  const now = 100 * GRACE_MS;
  const one: Candidate = { id: '300', unusedSince: undefined, retiredSince: undefined };
  const nothing = { spare: [], mark: [], retire: [], remove: [] };
  const cases = [
    { name: 'what is used stays', candidate: one, used: true, wanted: nothing },
    {
      name: 'what is used again is spared',
      candidate: { ...one, unusedSince: now - GRACE_MS, retiredSince: now },
      used: true,
      wanted: { ...nothing, spare: ['300'] },
    },
    { name: 'what is not used is marked', candidate: one, used: false, wanted: { ...nothing, mark: ['300'] } },
    { name: 'within the grace it stays', candidate: { ...one, unusedSince: now - GRACE_MS + 1 }, used: false, wanted: nothing },
    {
      name: 'after the grace it is retired',
      candidate: { ...one, unusedSince: now - GRACE_MS },
      used: false,
      wanted: { ...nothing, retire: ['300'] },
    },
    {
      name: 'it is never removed before it is retired',
      candidate: { ...one, unusedSince: 0 },
      used: false,
      wanted: { ...nothing, retire: ['300'] },
    },
    {
      name: 'retired late, it has its grace all the same',
      candidate: { ...one, unusedSince: 0, retiredSince: now - GRACE_MS + 1 },
      used: false,
      wanted: nothing,
    },
    {
      name: 'after another grace it is removed',
      candidate: { ...one, unusedSince: now - 2 * GRACE_MS, retiredSince: now - GRACE_MS },
      used: false,
      wanted: { ...nothing, remove: ['300'] },
    },
    {
      name: 'a mark of the future is made again',
      candidate: { ...one, unusedSince: now + 2 * GRACE_MS },
      used: false,
      wanted: { ...nothing, mark: ['300'] },
    },
    {
      name: 'a retirement that has no time is made again from the start',
      candidate: { ...one, unusedSince: now, retiredSince: Infinity },
      used: false,
      wanted: { ...nothing, mark: ['300'] },
    },
  ];
  for (const { name, candidate, used, wanted } of cases)
    it(name, () => assert.deepEqual(garbageIn([candidate], new Set(used ? ['300'] : []), { now, graceMs: GRACE_MS }), wanted));

  it('marks are read from annotations, and what is no time is none', () => {
    const marksOf = (annotations: Record<string, string>) => [...identityMarks({ metadata: { name: '300', annotations } })][0]?.[1];
    const marked = marksOf({ [UNUSED]: '1970-01-01T00:00:01.000Z', 'stentor.dev/retired': '1970-01-01T00:00:02Z' });
    assert.deepEqual([marked?.unusedSince, marked?.retiredSince], [1000, 2000]);
    const bad = marksOf({ [UNUSED]: 'yesterday', 'stentor.dev/retired': 'yes' });
    assert.deepEqual([bad?.unusedSince, bad?.retiredSince], [undefined, Infinity]);
  });
});

/** The operator's tables with an identity, a CiliumEndpoint and its pod, and passes that are a minute apart. */
function operator() {
  const MINUTE = 60_000;
  const tables = garbageTables({ identityGrace: 2 * MINUTE, endpointGrace: 2 * MINUTE, endpointInterval: MINUTE });
  const [marks, refs] = [tables.marks.writer('test'), tables.references.writer('test')];
  const [pods, passes] = [tables.podUids.writer('test'), tables.passes.writer('test')];
  let minute = 0;
  const settle = () => {
    for (let again = true; again; again = tables.derivations.some(({ pending }) => pending > 0))
      for (const derivation of tables.derivations) derivation.run();
  };
  const version = { uid: 'u', resourceVersion: '1' };
  return {
    tables,
    settle,
    passes,
    marks,
    pods,
    identity: (more: Partial<Candidate> = {}) =>
      marks.put('300', { id: '300', unusedSince: undefined, retiredSince: undefined, ...version, ...more }),
    endpoint: (pod: string | undefined) => refs.put('shop/cart', { identity: '300', pod, ...version }),
    noEndpoint: () => refs.delete('shop/cart'),
    heard: () => [marks, refs, pods].forEach((one) => one.complete()),
    pass() {
      minute++;
      for (const subject of Object.values(Subject)) passes.put(subject, { now: minute * MINUTE });
      passes.complete();
      settle();
    },
    work: () => tables.identityWork.get('300')?.kind,
    removal: () => tables.endpointRemovals.get('shop/cart'),
    MINUTE,
  };
}

describe('identities in tables', () => {
  it('nothing is done before everything has been heard', () => {
    const one = operator();
    one.identity({ unusedSince: 0, retiredSince: 0 });
    for (let i = 0; i < 9; i++) one.pass();
    assert.equal(one.work(), undefined);
    one.heard();
    one.pass();
    assert.equal(one.work(), 'remove');
  });

  it('one that is made just before a pass has until the next to be used', () => {
    const one = operator();
    one.heard();
    one.identity();
    one.pass();
    assert.equal(one.work(), undefined);
    one.pass();
    assert.equal(one.work(), 'mark');
  });

  it('marked, retired and removed, as marks come back from the API; time stands still between passes', () => {
    const one = operator();
    one.heard();
    one.identity({ unusedSince: one.MINUTE });
    one.pass();
    one.pass();
    assert.equal(one.work(), undefined);
    one.pass();
    assert.equal(one.work(), 'retire');
    one.identity({ unusedSince: one.MINUTE, retiredSince: 3 * one.MINUTE });
    one.settle();
    assert.equal(one.work(), undefined);
    one.pass();
    one.pass();
    assert.equal(one.work(), 'remove');
  });

  it('used again it is spared at once, and what was about to be done is not', () => {
    const one = operator();
    one.heard();
    one.identity({ unusedSince: 0, retiredSince: 0 });
    one.pass();
    one.pass();
    assert.equal(one.work(), 'remove');
    one.endpoint('a');
    one.settle();
    assert.equal(one.work(), 'spare');
    one.identity();
    one.settle();
    assert.equal(one.work(), undefined);
  });

  it('an identity that two CiliumEndpoints refer to is used until the last is gone', () => {
    const one = operator();
    one.heard();
    one.identity();
    one.endpoint('a');
    one.pass();
    one.pass();
    assert.equal(one.work(), undefined);
    one.noEndpoint();
    one.settle();
    assert.equal(one.work(), undefined);
    one.pass();
    assert.equal(one.work(), 'mark');
  });
});

describe('CiliumEndpoints in tables', () => {
  const cases = [
    { name: 'its pod is there', pod: 'a', present: 'a', goes: false },
    { name: 'its pod is gone', pod: 'a', present: undefined, goes: true },
    { name: 'another pod has the name', pod: 'a', present: 'b', goes: true },
    { name: 'it does not say whose it is, and a pod has the name', pod: undefined, present: 'b', goes: false },
    { name: 'it does not say whose it is, and no pod has the name', pod: undefined, present: undefined, goes: true },
  ];
  for (const { name, pod, present, goes } of cases)
    it(`${name}: it ${goes ? 'goes after the grace' : 'stays'}`, () => {
      const one = operator();
      one.endpoint(pod);
      if (present !== undefined) one.pods.put('shop/cart', present);
      one.heard();
      for (let i = 0; i < 3; i++) one.pass();
      assert.equal(one.removal(), undefined, 'within the grace');
      one.pass();
      assert.equal(one.removal() !== undefined, goes);
    });

  it('while pods have not been heard of it stays', () => {
    const one = operator();
    one.endpoint('a');
    one.marks.complete();
    for (let i = 0; i < 9; i++) one.pass();
    assert.equal(one.removal(), undefined);
  });

  it('when its pod comes after all, it stays', () => {
    const one = operator();
    one.endpoint('a');
    one.heard();
    for (let i = 0; i < 4; i++) one.pass();
    assert.notEqual(one.removal(), undefined);
    one.pods.put('shop/cart', 'a');
    one.settle();
    assert.equal(one.removal(), undefined);
  });

  it('a row says the number, the pod and the version', () => {
    const metadata = {
      name: 'cart',
      namespace: 'shop',
      uid: 'u',
      resourceVersion: '7',
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'cart', uid: 'a' }],
    };
    assert.deepEqual(
      [...references({ metadata, status: { identity: { id: 300 } } })],
      [['shop/cart', { identity: '300', pod: 'a', uid: 'u', resourceVersion: '7' }]],
    );
  });
});
