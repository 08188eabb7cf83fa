// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cgroup2Mount, createCgroup, inCgroup, removeCgroup } from './cgroup.ts';

const root = cgroup2Mount(await readFile('/proc/mounts', 'utf8'));
const skip = process.getuid?.() === 0 && root !== undefined ? false : 'missing capability: root and cgroup2, to make cgroups';

test('the mount point of cgroup2 is found beside others', () => {
  const mounts = 'cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n';
  assert.equal(cgroup2Mount(mounts), '/sys/fs/cgroup/unified');
  assert.equal(cgroup2Mount('proc /proc proc rw 0 0'), undefined);
});

test('a cgroup goes although processes still come into it while it is being removed', { skip }, async () => {
  const path = join(root ?? '', 'stentor-sandbox', `test${process.pid}`, 'late');
  for (let round = 0; round < 5; round++) {
    await createCgroup(path);
    const late = Array.from({ length: 8 }, (_, i) => {
      const words = ['-c', 'sleep "$0"; exec "$@"', `0.00${i}`, ...inCgroup(path, ['sleep', '60'])];
      return spawn('/bin/sh', words, { stdio: 'ignore' });
    });
    const ended = Promise.all(late.map((child) => new Promise((resolve) => child.on('exit', resolve))));
    await removeCgroup(path);
    assert.equal(existsSync(path), false);
    await ended; // killed, or too late to find the cgroup
  }
  await removeCgroup(join(path, '..'));
});
