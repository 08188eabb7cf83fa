// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { native } from './addon.ts';
import type { ProgramHandle } from './addon.ts';
import { deleteClsact, deleteFilter, ensureClsact, FilterHook, listFilters, putFilter } from './netlink-filter.ts';
import { createVeth, findLink } from './netlink-link.ts';
import { bpfMissing, compiled, netnsMissing } from './testdata/harness.ts';
import { testNamespace } from './testdata/netlink-testbed.ts';

describe('tc filters', { skip: netnsMissing || bpfMissing }, () => {
  let first: ProgramHandle;
  let second: ProgramHandle;

  before(async () => {
    const object = native().objectOpen(compiled('two-filters'));
    await native().objectLoad(object);
    [first, second] = [native().objectProgram(object, 'one'), native().objectProgram(object, 'two')];
    native().close(object);
  });
  after(() => {
    for (const program of [first, second]) native().close(program);
  });

  it('are put, replaced in place, listed with their program and deleted', () => {
    using host = testNamespace();
    createVeth(host.socket, { name: 'a', peer: { name: 'b' } });
    const link = findLink(host.socket, 'a')?.index ?? 0;
    ensureClsact(host.socket, link);
    ensureClsact(host.socket, link);
    for (const hook of [FilterHook.ingress, FilterHook.egress]) {
      const place = { link, hook, priority: 40_001, handle: 1 };
      assert.deepEqual(listFilters(host.socket, link, hook), []);
      putFilter(host.socket, place, { name: 'stentor_one', descriptor: native().descriptor(first) });
      assert.deepEqual(listFilters(host.socket, link, hook), [
        { ...place, name: 'stentor_one', programId: native().programInfo(first).id },
      ]);
      putFilter(host.socket, place, { name: 'stentor_two', descriptor: native().descriptor(second) });
      assert.deepEqual(listFilters(host.socket, link, hook), [
        { ...place, name: 'stentor_two', programId: native().programInfo(second).id },
      ]);
      const shown = host.run('tc', 'filter', 'show', 'dev', 'a', hook === FilterHook.ingress ? 'ingress' : 'egress');
      assert.match(shown, /protocol all pref 40001 bpf.*handle 0x1 stentor_two direct-action/);
      assert.equal(deleteFilter(host.socket, place), true);
      assert.equal(deleteFilter(host.socket, place), false);
    }
    assert.equal(deleteClsact(host.socket, link), true);
    assert.equal(deleteClsact(host.socket, link), false);
    assert.deepEqual(listFilters(host.socket, link, FilterHook.ingress), []);
  });

  it('are none on an interface that is gone', () => {
    using host = testNamespace();
    assert.deepEqual(listFilters(host.socket, 999, FilterHook.ingress), []);
    assert.equal(deleteFilter(host.socket, { link: 999, hook: FilterHook.ingress, priority: 1, handle: 1 }), false);
    assert.throws(() => ensureClsact(host.socket, 999), /RTM_NEWQDISC clsact on link 999 failed: ENODEV/);
  });
});
