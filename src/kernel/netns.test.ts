// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { createNetns, deleteNetns, netnsInode, netnsPath, readSysctl, writeSysctl } from './netns.ts';
import { kernelError, netnsMissing, temporaryNetns } from './testdata/harness.ts';

describe('a network namespace', { skip: netnsMissing }, () => {
  it('is another one than ours, and we stay in ours', () => {
    const before = readlinkSync('/proc/thread-self/ns/net');
    using netns = temporaryNetns();
    assert.notEqual(netnsInode(netns.path), netnsInode('/proc/self/ns/net'));
    writeSysctl(netns.path, 'net/ipv4/ip_forward', '1');
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), before);
  });

  it('has sysctls of its own', () => {
    using netns = temporaryNetns();
    const name = 'net/ipv4/ip_default_ttl';
    const ours = readFileSync(`/proc/sys/${name}`, 'utf8').trimEnd();
    writeSysctl(netns.path, name, '33');
    assert.equal(readSysctl(netns.path, name), '33');
    assert.equal(readFileSync(`/proc/sys/${name}`, 'utf8').trimEnd(), ours);
    assert.throws(() => writeSysctl(netns.path, name, 'many'), kernelError('EINVAL'));
    assert.throws(() => writeSysctl(netns.path, 'net/ipv4/nonsense', '1'), kernelError('ENOENT'));
    assert.throws(() => readSysctl('/nonexistent', name), kernelError('ENOENT'));
  });

  it('is gone when it is deleted, and cannot be made twice', () => {
    const path = netnsPath(`stentor-test-${process.pid}`);
    createNetns(path);
    try {
      assert.throws(() => createNetns(path), kernelError('EEXIST'));
      assert.notEqual(netnsInode(path), netnsInode('/proc/self/ns/net'));
    } finally {
      deleteNetns(path);
    }
    assert.equal(existsSync(path), false);
    assert.throws(() => deleteNetns(path), kernelError('ENOENT'));
  });
});
