// SPDX-License-Identifier: Apache-2.0
// `hubble config`: the settings that every command begins with, in a file.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { serverFlags } from './server-flags.ts';
import { configurationIn, configurationPath, settingsOf } from './settings.ts';

export const help = `Usage: NAME config view|get|set|reset [KEY] [VALUE]

Settings that every command begins with: the flags that say who is asked, under their names. What stands on a command line goes before
HUBBLE_<FLAG> in the environment, and that before the file.

  --config FILE   this file instead of $XDG_CONFIG_HOME/hubble/config.yaml

Examples:
  NAME config set server relay.example.com:443
  NAME config set tls true
  NAME config get server
  NAME config reset tls
  NAME config view
`;

const keys = serverFlags.filter(({ name }) => name !== 'config');

export function run(args: readonly string[], io: Io): Promise<number> {
  const settings = settingsOf(args, serverFlags, 3);
  const [verb = 'view', key, value] = settings.words;
  const file = settings.typed.find(({ name }) => name === 'config')?.value ?? configurationPath();
  const said = existsSync(file) ? { ...configurationIn(readFileSync(file, 'utf8'), file) } : {};
  if (key !== undefined && !keys.some(({ name }) => name === key))
    throw new UsageError(`Cannot find the setting '${key}', wanted one of ${keys.map(({ name }) => name).join(', ')}`);
  const all = keys.map((flag) => ({
    name: flag.name,
    value: said[flag.name] ?? flag.default ?? (flag.value === undefined ? 'false' : ''),
  }));
  const known = key === undefined ? all : all.filter(({ name }) => name === key);
  switch (verb) {
    case 'view':
    case 'get':
      io.out(
        key === undefined || verb === 'view'
          ? known.map((one) => `${one.name}: ${text(String(one.value))}\n`).join('')
          : `${String(known[0]?.value)}\n`,
      );
      break;
    case 'set':
      if (key === undefined) throw new UsageError('Cannot set nothing, wanted config set KEY VALUE');
      write(file, { ...said, [key]: value ?? '' });
      break;
    case 'reset':
      write(file, key === undefined ? {} : Object.fromEntries(Object.entries(said).filter(([name]) => name !== key)));
      break;
    default:
      throw new UsageError(`Cannot run 'config ${verb}', wanted config view, get, set or reset`);
  }
  return Promise.resolve(0);
}

const text = (value: string) => (/^[\w./:@,-]*$/.test(value) ? value || '""' : JSON.stringify(value));

/** Nobody reads half of it, and nobody else may: there may be a password in it. */
function write(file: string, said: Readonly<Record<string, unknown>>): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const lines = Object.entries(said).map(([name, value]) => `${name}: ${text(String(value))}\n`);
  writeFileSync(`${file}.new`, lines.join(''), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
