// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { CONFLIST, conflist, installConflist, installPlugin } from './cni-install.ts';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'stentor-install-'))));
afterEach(() => rmSync(folder, { recursive: true }));

test('the plugin is replaced as a whole, executable, and nothing else is left', () => {
  const from = join(folder, 'shim');
  const bin = join(folder, 'opt/cni/bin');
  writeFileSync(from, 'first');
  installPlugin(from, bin);
  const inode = statSync(join(bin, 'cilium-cni')).ino;
  writeFileSync(from, 'second');
  installPlugin(from, bin);
  const installed = statSync(join(bin, 'cilium-cni'));
  assert.equal(readFileSync(join(bin, 'cilium-cni'), 'utf8'), 'second');
  assert.equal(installed.mode & 0o777, 0o755);
  assert.notEqual(installed.ino, inode);
  assert.deepEqual(readdirSync(bin), ['cilium-cni']);
});

const others = ['00-kindnet.conflist', '10-bridge.conf', '99-x.json', 'README', '.hidden.conf', 'was.conf.cilium_bak'];

test('exclusive: every other configuration is put aside, after ours is there', () => {
  for (const name of others) writeFileSync(join(folder, name), 'x');
  assert.deepEqual(installConflist(folder, true), ['00-kindnet.conflist', '10-bridge.conf', '99-x.json']);
  assert.deepEqual(readdirSync(folder).sort(), [
    '.hidden.conf',
    '00-kindnet.conflist.cilium_bak',
    CONFLIST,
    '10-bridge.conf.cilium_bak',
    '99-x.json.cilium_bak',
    'README',
    'was.conf.cilium_bak',
  ]);
  assert.deepEqual(JSON.parse(readFileSync(join(folder, CONFLIST), 'utf8')), conflist);
  assert.equal(statSync(join(folder, CONFLIST)).mode & 0o777, 0o600);
});

test('not exclusive: the others stay', () => {
  for (const name of others) writeFileSync(join(folder, name), 'x');
  assert.deepEqual(installConflist(folder, false), []);
  assert.deepEqual(readdirSync(folder).sort(), [...others, CONFLIST].sort());
});

test('an equal configuration is not written again', () => {
  installConflist(folder, true);
  const { ino, mtimeNs } = statSync(join(folder, CONFLIST), { bigint: true });
  installConflist(folder, true);
  const again = statSync(join(folder, CONFLIST), { bigint: true });
  assert.deepEqual([again.ino, again.mtimeNs], [ino, mtimeNs]);
});
