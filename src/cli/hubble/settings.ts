// SPDX-License-Identifier: Apache-2.0
// What a hubble command is told: on its command line, in HUBBLE_<FLAG> and in its configuration file, in this order.

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';
import { codeOf, messageOf } from '../../base/errors.ts';
import { UsageError } from '../command.ts';

export type Flag = {
  readonly name: string;
  readonly short?: string | undefined;
  /** How help names the value; a flag without one is on or off. */
  readonly value?: string | undefined;
  /** What stands where nobody said anything. */
  readonly default?: string | boolean | undefined;
  readonly help: string;
};

/** An option as typed, in its place. */
export type Typed = { readonly name: string; readonly value: string | undefined };

export type Settings = {
  /** The last word; undefined: nobody said anything, or nothing. */
  text(name: string): string | undefined;
  on(name: string): boolean;
  /** Throws UsageError for what is no whole number. */
  number(name: string): number | undefined;
  readonly typed: readonly Typed[];
  readonly words: readonly string[];
};

type Said = string | boolean;

/** Throws UsageError. */
export function settingsOf(args: readonly string[], flags: readonly Flag[], words = 0): Settings {
  const options: ParseArgsOptionsConfig = Object.fromEntries(
    flags.map(({ name, short, value }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) },
    ]),
  );
  const { tokens, positionals } = parsed(
    args.map((word) => switched(word, flags)),
    options,
  );
  if (positionals.length > words) throw new UsageError(`Cannot use '${positionals[words]}': too many words`);
  const typed = tokens.flatMap((token): readonly (Typed & { readonly off: boolean })[] =>
    token.kind === 'option'
      ? [{ name: token.name, off: token.rawName !== `--${token.name}` && token.rawName.startsWith('--no-'), value: token.value }]
      : [],
  );
  const onLine = new Map(typed.map(({ name, value, off }): [string, Said] => [name, value ?? !off]));
  const file = lazily(() => configuration(onLine.get('config')));
  const said = (name: string): Said | undefined =>
    onLine.get(name) ?? inEnvironment(name) ?? file()[name] ?? flags.find((flag) => flag.name === name)?.default;
  const text = (name: string) => {
    const found = said(name);
    return found === undefined || found === '' ? undefined : String(found);
  };
  return {
    text,
    on: (name) => said(name) === true || said(name) === 'true' || said(name) === '1',
    number(name) {
      const word = text(name);
      if (word !== undefined && !/^\d{1,15}$/.test(word)) throw new UsageError(`Cannot use --${name} ${word}, wanted a whole number`);
      return word === undefined ? undefined : Number(word);
    },
    typed,
    words: positionals,
  };
}

function parsed(args: readonly string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, allowNegative: true, tokens: true });
  } catch (error) {
    if (codeOf(error)?.startsWith('ERR_PARSE_ARGS')) throw new UsageError(messageOf(error).split('. ')[0] ?? '');
    throw error;
  }
}

/** '--numeric=false' as node:util has it: '--no-numeric'. */
function switched(word: string, flags: readonly Flag[]): string {
  const [, name = '', value] = /^--([a-z0-9-]+)=(true|false)$/.exec(word) ?? [];
  if (!flags.some((flag) => flag.name === name && flag.value === undefined)) return word;
  return value === 'true' ? `--${name}` : `--no-${name}`;
}

function inEnvironment(name: string): string | undefined {
  return process.env[`HUBBLE_${name.toUpperCase().replaceAll('-', '_')}`] || undefined;
}

/** Where the configuration is: the first of these that exists, or else the first. */
export function configurationPath(): string {
  const places = [join(process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'hubble'), join(homedir(), '.hubble')].map((folder) =>
    join(folder, 'config.yaml'),
  );
  return places.find((path) => existsSync(path)) ?? places[0] ?? 'config.yaml';
}

/** Throws UsageError for a file that cannot be read, or is none of ours. */
function configuration(path: Said | undefined): Readonly<Record<string, Said>> {
  const file = typeof path === 'string' ? path : (process.env['HUBBLE_CONFIG'] ?? configurationPath());
  if (!existsSync(file)) {
    if (path !== undefined) throw new UsageError(`Cannot find the configuration ${file}`);
    return {};
  }
  return configurationIn(readFileSync(file, 'utf8'), file);
}

/**
 * 'key: value' lines and '- value' lines below a key, which is what these files have: a YAML parser would take longer to load than a command
 * takes. Throws UsageError.
 */
export function configurationIn(text: string, file: string): Readonly<Record<string, Said>> {
  const found: Record<string, string> = {};
  let last = '';
  for (const line of text.split('\n')) {
    const plain = line.replace(/(^|\s)#.*$/, '').trimEnd();
    const [, name, value = ''] = /^([a-z][a-z0-9-]*):(?:\s+(.*))?$/.exec(plain) ?? [];
    const [, item] = /^\s*-\s+(.*)$/.exec(plain) ?? [];
    if (name !== undefined) found[(last = name)] = value === '[]' ? '' : unquoted(value);
    else if (item !== undefined && last !== '') found[last] = [found[last], unquoted(item)].filter((one) => one !== '').join(',');
    else if (plain !== '' && plain !== '---')
      throw new UsageError(`Cannot read '${line.trim()}' in ${file}, wanted lines such as 'server: localhost:4245'`);
  }
  return found;
}

const unquoted = (value: string) => value.replace(/^(["'])(.*)\1$/, '$2');

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** Lines for a help. */
export function flagsText(flags: readonly Flag[]): string {
  const left = flags.map(
    ({ name, short, value }) => `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
  );
  const width = Math.min(34, Math.max(...left.map((text) => text.length)) + 3);
  return flags.map(({ help }, i) => `  ${(left[i] ?? '').padEnd(width)} ${help}`.trimEnd()).join('\n');
}
