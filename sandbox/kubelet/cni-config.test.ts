// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesIn, BadNetworkConfig, configFile, networkList, pluginInput } from './cni-config.ts';

test('the first file in lexical order with one of the three endings counts', () => {
  assert.equal(configFile(['10-b.conflist', '05-a.conflist.bak', '05-c.conf', 'README']), '05-c.conf');
  assert.equal(configFile(['README']), undefined);
});

test('a plugin reads its own part with the name, the version and what came before it', () => {
  const list = networkList(JSON.stringify({ name: 'net', cniVersion: '1.0.0', plugins: [{ type: 'one', x: 1 }] }), 'file');
  assert.deepEqual(pluginInput(list, list.plugins[0]), { type: 'one', x: 1, name: 'net', cniVersion: '1.0.0' });
  assert.deepEqual(pluginInput(list, list.plugins[0], { ips: [] }).prevResult, { ips: [] });
});

test('a file of a single plugin is a list of one', () => {
  const list = networkList(JSON.stringify({ name: 'net', cniVersion: '0.4.0', type: 'one' }), 'file');
  assert.deepEqual([list.cniVersion, list.plugins.length, list.plugins[0].type], ['0.4.0', 1, 'one']);
});

for (const [title, text] of [
  ['not JSON', '{'],
  ['without a name', '{"plugins":[{"type":"a"}]}'],
  ['without plugins', '{"name":"net","plugins":[]}'],
  ['with a path for a type', '{"name":"net","plugins":[{"type":"../../bin/sh"}]}'],
] as const) {
  test(`a configuration ${title} is refused`, () => assert.throws(() => networkList(text, 'file'), BadNetworkConfig));
}

test('addresses come without their prefix length, in order', () => {
  assert.deepEqual(addressesIn({ ips: [{ address: '10.244.1.5/32' }, { address: 'fd00::5/128' }] }), ['10.244.1.5', 'fd00::5']);
  assert.deepEqual(addressesIn(undefined), []);
});
