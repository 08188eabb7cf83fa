// SPDX-License-Identifier: Apache-2.0
// Reads a file of Helm values against the table of known ones. Everything wrong is found at once, each with its line.

import { isAlias, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { parseDuration } from '../base/duration.ts';
import { messageOf } from '../base/errors.ts';
import { parseCidr, parseIp } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { nearestPath } from './nearest.ts';
import { plannedValues, valueNotes, valueRows } from './values-schema.ts';
import type { ValueRow, ValueType } from './values-schema.ts';

export type Value = boolean | number | string | readonly string[];
export type Warning = { readonly path: string; readonly message: string };
export type Values = {
  /** What the file says at `path`, else the default, else undefined. */
  get(path: string): Value | undefined;
  /** 'cluster.id (line 3)'. */
  where(path: string): string;
  readonly mistakes: readonly string[];
  readonly warnings: readonly Warning[];
  /** Paths that the file sets and that a later version acts on. */
  readonly planned: readonly string[];
};

const rowByPath = new Map(valueRows.map((row) => [row[0], row]));
const folders = new Set(valueRows.flatMap(([path]) => path.split('.').map((_, i, all) => all.slice(0, i).join('.'))));

/** The row of `path`, or, where nothing known is there or below, that of everything below a folder. */
function rowOf(path: string): ValueRow | undefined {
  const own = rowByPath.get(path);
  if (own || folders.has(path)) return own;
  const names = path.split('.');
  return names.map((_, i) => rowByPath.get(`${names.slice(0, -1 - i).join('.')}.*`)).find((row) => row !== undefined);
}

/** Reads `text`; never throws. An empty file is a file of defaults, and so is a key without a value. */
export function valuesIn(text: string): Values {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true });
  const given = new Map<string, Value>();
  const mistakes: string[] = document.errors.map((error) => `is no YAML: ${error.message.split('\n')[0]}`);
  const warnings: Warning[] = [];
  const where = (path: string) => {
    const line = lineOf(document, path.split('.'), lines);
    return line === undefined ? path : `${path} (line ${line})`;
  };
  const root = mistakes.length === 0 ? plainValue(document, mistakes) : undefined;
  for (const finding of findingsIn(root, '')) {
    if (finding.kind === 'value') given.set(finding.path, finding.value);
    else if (finding.kind === 'warning') warnings.push({ path: finding.path, message: `${where(finding.path)} ${finding.message}` });
    else mistakes.push(`${finding.path === '' ? 'the file' : where(finding.path)} ${finding.message}`);
  }
  const planned = plannedValues.filter((path) => given.has(path) && shown(given.get(path)) !== shown(defaultOf(path)));
  return { get: (path) => given.get(path) ?? defaultOf(path), where, mistakes, warnings, planned };
}

function defaultOf(path: string): Value | undefined {
  const row = rowByPath.get(path);
  if (!row) throw new RangeError(`Cannot read the value ${path}: it is not in the table of values`);
  return row[2];
}

function plainValue(document: Document.Parsed, mistakes: string[]): unknown {
  try {
    return document.toJS(); // throws where aliases multiply
  } catch (error) {
    mistakes.push(`is no YAML: ${messageOf(error)}`);
    return undefined;
  }
}

type Finding =
  | { readonly kind: 'value'; readonly path: string; readonly value: Value }
  | { readonly kind: 'warning' | 'mistake'; readonly path: string; readonly message: string };

function* findingsIn(value: unknown, path: string): Iterable<Finding> {
  const row = rowOf(path);
  if (value === undefined || (value === null && (row || folders.has(path)))) return;
  if (row) yield* findingsAt(row, path, value);
  else if (!isFolder(value))
    yield {
      kind: 'mistake',
      path,
      message: folders.has(path) ? `is ${shown(value)}, wanted ${childrenOf(path)} under it` : unknownMessage(path),
    };
  else if (Object.keys(value).length === 0 && !folders.has(path)) yield { kind: 'mistake', path, message: unknownMessage(path) };
  else for (const [name, child] of Object.entries(value)) yield* findingsIn(child, path === '' ? name : `${path}.${name}`);
}

function* findingsAt([, type, byDefault, state]: ValueRow, path: string, raw: unknown): Iterable<Finding> {
  if (type === 'any') {
    if (state === 'accepted') yield { kind: 'warning', path, message: 'has no effect in this version' };
    return;
  }
  const read = readValue(type, raw);
  if ('wanted' in read) {
    yield { kind: 'mistake', path, message: `is ${shown(raw)}, wanted ${read.wanted}` };
    return;
  }
  const { value } = read;
  const note = valueNotes.find(([notePath, noteValue]) => notePath === path && noteValue === value);
  if (note?.[2] === 'refused') yield { kind: 'mistake', path, message: `is ${shown(value)}: ${note[3]}` };
  else if (note) yield { kind: 'warning', path, message: `is ${shown(value)}: ${note[3]}` };
  else if (state === 'accepted' && shown(value) !== shown(byDefault))
    yield { kind: 'warning', path, message: `is ${shown(value)}, which has no effect in this version` };
  yield { kind: 'value', path, value };
}

type Read = { readonly value: Value } | { readonly wanted: string };

/** `raw` as a value of `type`, or what was wanted. */
export function readValue(type: Exclude<ValueType, 'any'>, raw: unknown): Read {
  if (typeof type !== 'string')
    return type.includes(String(raw)) ? { value: String(raw) } : { wanted: type.map((word) => word || '""').join(', ') };
  switch (type) {
    case 'boolean':
      return typeof raw === 'boolean' ? { value: raw } : { wanted: 'true or false' };
    case 'switch':
      return raw === true || raw === 'true'
        ? { value: true }
        : raw === false || raw === 'false'
          ? { value: false }
          : { wanted: 'true or false' };
    case 'text':
      return typeof raw === 'string' || typeof raw === 'number' ? { value: String(raw) } : { wanted: 'text' };
    case 'number':
      return typeof raw === 'number' && raw >= 0 ? { value: raw } : { wanted: 'a number that is not negative' };
    case 'port':
      return portOf(raw) === undefined ? { wanted: 'a port from 1 to 65535' } : { value: Number(raw) };
    case 'duration':
      return typeof raw === 'string' && parseDuration(raw) !== undefined ? { value: raw } : { wanted: 'a duration such as 15s' };
    case 'cidr':
      return typeof raw === 'string' && raw.includes('/') && parseCidr(raw) ? { value: raw } : { wanted: 'a prefix such as 10.244.0.0/16' };
    case 'address:port':
      return typeof raw === 'string' && hostPort(raw) ? { value: raw } : { wanted: 'an address and a port such as 0.0.0.0:10256' };
    case 'cidrs':
      return isTexts(raw) && raw.every((text) => parseCidr(text)) ? { value: raw } : { wanted: 'a list of prefixes' };
    case 'texts': // Cilium's chart takes a lone text for a list of one
      return isTexts(raw)
        ? { value: raw }
        : typeof raw === 'string'
          ? { value: raw.split(/\s+/).filter(Boolean) }
          : { wanted: 'a list of texts' };
  }
}

/** '0.0.0.0:10256', '[::]:10256'. */
export function hostPort(text: string): { readonly host: Ip; readonly port: number } | undefined {
  const match = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const host = parseIp(match?.[1] ?? match?.[2] ?? '');
  const port = portOf(match?.[3]);
  return host === undefined || port === undefined ? undefined : { host, port };
}

function portOf(raw: unknown): number | undefined {
  const number = typeof raw === 'string' && /^\d{1,5}$/.test(raw) ? Number(raw) : raw;
  return typeof number === 'number' && Number.isInteger(number) && number > 0 && number <= 0xffff ? number : undefined;
}

function isTexts(raw: unknown): raw is readonly string[] {
  return Array.isArray(raw) && raw.every((item) => typeof item === 'string');
}

function isFolder(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownMessage(path: string): string {
  const meant = nearestPath(
    path,
    [...rowByPath.keys()].filter((known) => !known.endsWith('.*')),
  );
  return meant === undefined ? 'is no known key' : `is no known key, did you mean ${meant}`;
}

function childrenOf(folder: string): string {
  const depth = folder === '' ? 0 : folder.split('.').length;
  const below = valueRows.filter(([path]) => folder === '' || path.startsWith(`${folder}.`));
  const acting = below.filter(([, , , state]) => state === 'acts');
  const names = new Set((acting.length > 0 ? acting : below).map(([path]) => path.split('.')[depth] ?? ''));
  return names.size > 8 ? `one of ${names.size} keys` : [...names].join(', ');
}

/** The line of the key at `path`, from 1; undefined where the file does not say it itself, as under a merge. */
function lineOf(document: Document.Parsed, path: readonly string[], lines: LineCounter): number | undefined {
  let node: unknown = document.contents;
  let line: number | undefined;
  for (const name of path) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === name) : undefined;
    if (!pair || !isScalar(pair.key) || !pair.key.range) return undefined;
    line = lines.linePos(pair.key.range[0]).line;
    node = pair.value;
  }
  return line;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not set';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
