// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { bashScript, wordsIn } from './completion.ts';
import { commandsOf } from './commands.ts';

const commands = [...(await commandsOf('stentor')), ...(await commandsOf('hubble'))];
const words = new Map<string, readonly string[]>();
for (const command of await commandsOf('stentor')) words.set(command.name, wordsIn(command.name, (await command.load()).help));

test('verbs and options are read from the help', () => {
  assert.deepEqual(words.get('service'), ['get', 'list']);
  assert.deepEqual(words.get('trace'), ['--packet', 'icmp', 'tcp', 'udp']);
  assert.deepEqual(words.get('status'), ['--brief', '--verbose', '--wait', '--wait-duration']);
  assert.ok(words.get('bpf')?.includes('lb') && words.get('bpf')?.includes('--time-diff'));
});

const typed: readonly [line: string, offered: string][] = [
  ['stentor st', 'status'],
  ['stentor service ', 'get list --help'],
  ['stentor status --w', '--wait --wait-duration'],
  ['stentor nonsense ', ''],
];
for (const [line, offered] of typed)
  test(`bash completes '${line}' to '${offered}'`, () => {
    const place = line.split(' ');
    const ask = `COMP_WORDS=(${place.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${place.length - 1}; _stentor; echo "\${COMPREPLY[*]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', `${bashScript('stentor', words)}${ask}`], { encoding: 'utf8' });
    assert.deepEqual([stdout.trim(), stderr], [offered, '']);
  });

test('every command says how it is called and gives an example, or has nothing to give', async () => {
  for (const { name, load } of commands) {
    const { help } = await load();
    assert.ok(help.startsWith(`Usage: NAME ${name}`), name);
    assert.ok(help.includes('Examples:') || ['agent', 'version'].includes(name), name);
  }
});
