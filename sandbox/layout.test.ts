// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroup2Mount } from './cgroup.ts';
import { isNetnsOf, isSandboxName, layoutFor, netnsOf } from './layout.ts';

test("a sandbox knows its own namespaces and nobody else's", () => {
  const [plain, named] = [layoutFor('/checkout', ''), layoutFor('/checkout', 't1')];
  assert.ok(isNetnsOf(plain, netnsOf(plain, 'node1')));
  assert.ok(isNetnsOf(named, netnsOf(named, 'router')));
  assert.ok(!isNetnsOf(plain, netnsOf(named, 'node1')));
  assert.ok(!isNetnsOf(plain, 'stentor-something'));
});

test('sandboxes of different names share no files', () => {
  assert.ok(!layoutFor('/checkout', 't1').stateDir.startsWith(`${layoutFor('/checkout', 't2').stateDir}/`));
});

test('names are short and plain', () => {
  assert.ok(isSandboxName('') && isSandboxName('t1'));
  assert.ok(!isSandboxName('../x') && !isSandboxName('a-b') && !isSandboxName('thirteenchars'));
});

test('cgroup2 is found on unified and on hybrid hosts, and missed where it is not', () => {
  assert.equal(cgroup2Mount('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0'), '/sys/fs/cgroup');
  assert.equal(cgroup2Mount('tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0'), '/sys/fs/cgroup/unified');
  assert.equal(cgroup2Mount('cgroup /sys/fs/cgroup/memory cgroup rw 0 0'), undefined);
});
