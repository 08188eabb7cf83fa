// SPDX-License-Identifier: Apache-2.0
// From the flags of a command line to the FlowFilters that a server gets.
//
//   --pod a --port 80    ─▶  source_pod a, source_port 80   or   destination_pod a, destination_port 80
//   --from-pod a --port 80 ─▶ source_pod a, source_port 80  or   source_pod a, destination_port 80
//   --from-pod a --to-pod b ─▶ source_pod a, destination_pod b
//
// All that stands behind --not is one filter, or such a pair, of the denylist.

import { UsageError } from '../command.ts';
import { fieldOrder, sidedFlags, wholeFlags } from './filter-flags.ts';
import type { FilterFlag, Json } from './filter-flags.ts';

/** A FlowFilter as its JSON has it. */
export type FilterJson = Readonly<Record<string, readonly Json[] | { readonly [key: string]: Json }>>;

/** An option as typed, in its place. */
export type Option = { readonly name: string; readonly value: string | undefined };

export type Filters = { readonly allow: readonly FilterJson[]; readonly deny: readonly FilterJson[] };

const sides = ['from', 'to', 'either'] as const;
type Side = (typeof sides)[number];
type Meant = { readonly flag: FilterFlag; readonly side: Side | undefined };

const byName: ReadonlyMap<string, Meant> = new Map([
  ...wholeFlags.map((flag): [string, Meant] => [flag.name, { flag, side: undefined }]),
  ...[...sidedFlags, namespaceFlag('namespace', 'n'), { ...namespaceFlag('all-namespaces', 'A'), fixed: '' }].flatMap(
    (flag): [string, Meant][] => [
      [flag.name, { flag, side: 'either' }],
      [`from-${flag.name}`, { flag, side: 'from' }],
      [`to-${flag.name}`, { flag, side: 'to' }],
    ],
  ),
]);

function namespaceFlag(name: string, short: string): FilterFlag {
  const read = (text: string): readonly string[] =>
    text.split(',').map((word) => {
      if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(word)) throw new UsageError(`Cannot filter by namespace '${word}', wanted a name of one`);
      return word;
    });
  return {
    name,
    short,
    field: 'namespace',
    sides: true,
    read,
    help: name === 'namespace' ? 'namespaces of pods' : 'pods of any namespace',
  };
}

/** Every flag that filters, for those who parse and describe command lines. */
export const filterOptions: readonly {
  readonly name: string;
  readonly short: string | undefined;
  readonly boolean: boolean;
  readonly help: string;
}[] = Array.from(byName, ([name, { flag, side }]) => ({
  name,
  short: side === 'from' || side === 'to' ? undefined : flag.short,
  boolean: flag.fixed !== undefined,
  help: flag.help,
}));

/** What stands on one side of --not. */
class Tracker {
  readonly #whole = new Map<string, Json[]>();
  readonly #sided = new Map<string, Map<Side, Json[]>>();

  add({ flag, side }: Meant, text: string): void {
    const values = flag.fixed === undefined ? flag.read(text) : [flag.fixed];
    if (side === undefined) push(this.#whole, flag.field, values);
    else
      push(
        this.#sided.getOrInsertComputed(flag.field, () => new Map()),
        side,
        values,
      );
  }

  filters(): readonly FilterJson[] {
    this.#refuseConflicts();
    const scoped = this.#scoped();
    const half = (either: 'source' | 'destination') => {
      const fields = new Map<string, readonly Json[]>(this.#whole);
      for (const [field, bySide] of scoped)
        for (const [side, values] of bySide) {
          const end = side === 'either' ? either : side === 'from' ? 'source' : 'destination';
          fields.set(`${end}_${field}`, values);
        }
      return filterOf(fields);
    };
    const [left, right] = [half('source'), half('destination')];
    if (Object.keys(left).length === 0) return [];
    return JSON.stringify(left) === JSON.stringify(right) ? [left] : [left, right];
  }

  #has(field: string, side: Side): boolean {
    return this.#sided.get(field)?.has(side) ?? false;
  }

  #refuseConflicts(): void {
    for (const field of this.#sided.keys())
      for (const side of ['from', 'to'] as const)
        if (this.#has(field, side) && this.#has(field, 'either'))
          throw new UsageError(`Cannot combine --${flagOf(field)} and --${side}-${flagOf(field)}`);
    const kinds = ['ip', 'fqdn', 'pod'] as const;
    for (const [i, one] of kinds.entries())
      for (const other of kinds.slice(i + 1))
        for (const side of sides)
          if (this.#has(one, side) && (this.#has(other, side) || (side !== 'either' && this.#has(other, 'either'))))
            throw new UsageError(`Cannot combine --${nameOf(one, side)} and --${this.#has(other, side) ? nameOf(other, side) : other}`);
  }

  /** Namespaces go before the names of pods and services that have none; where there are no names they mean all pods. */
  #scoped(): ReadonlyMap<string, ReadonlyMap<Side, readonly Json[]>> {
    const scoped = new Map(Array.from(this.#sided, ([field, bySide]) => [field, new Map(bySide)]));
    const namespaces = scoped.get('namespace');
    scoped.delete('namespace');
    for (const [side, values] of namespaces ?? []) {
      const names = textsOf(values);
      if (names.includes('') && names.length > 1) throw new UsageError('Cannot combine --namespace and --all-namespaces');
      const concerned = (['pod', 'service'] as const).flatMap((field) => {
        const bySide = scoped.get(field);
        return Array.from(bySide?.keys() ?? [])
          .filter((other) => side === 'either' || other === side || other === 'either')
          .map((other) => ({ bySide, other }));
      });
      for (const { bySide, other } of concerned) bySide?.set(other, [...prefixed(textsOf(bySide.get(other) ?? []), names)]);
      if (concerned.length === 0)
        push(
          scoped.getOrInsertComputed('pod', () => new Map()),
          side,
          names.map((name) => `${name}/`),
        );
    }
    return scoped;
  }
}

const nameOf = (field: string, side: Side) => (side === 'either' ? field : `${side}-${field}`);
const flagOf = (field: string) => sidedFlags.find((flag) => flag.field === field)?.name ?? field;

function push<K>(into: Map<K, Json[]>, key: K, values: readonly Json[]): void {
  into.getOrInsertComputed(key, () => []).push(...values);
}

const textsOf = (values: readonly Json[]) => values.filter((value) => typeof value === 'string');

function prefixed(names: readonly string[], namespaces: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    if (!name.includes('/')) return namespaces.map((namespace) => `${namespace}/${name}`);
    if (!namespaces.includes('') && !namespaces.includes(name.split('/')[0] ?? ''))
      throw new UsageError(`Cannot combine '${name}' and the namespace ${namespaces.join(', ')}: say one of them`);
    return [name];
  });
}

function filterOf(fields: ReadonlyMap<string, readonly Json[]>): FilterJson {
  const cel = fields.get('cel_expression');
  const all = new Map<string, FilterJson[string]>(fields);
  all.delete('cel_expression');
  if (cel) all.set('experimental', { cel_expression: cel });
  return Object.fromEntries([...all].toSorted(([a], [b]) => fieldOrder.indexOf(a) - fieldOrder.indexOf(b)));
}

/** The filters that `options` ask for; `--not` is an option too, and turns the next one round. Throws UsageError. */
export function filtersOf(options: readonly Option[]): Filters {
  const trackers = { allow: new Tracker(), deny: new Tracker() };
  const raw = { allow: new Array<FilterJson>(), deny: new Array<FilterJson>() };
  let negated = false;
  for (const { name, value = '' } of options) {
    const meant = byName.get(name);
    if (name === 'not') {
      if (negated) throw new UsageError('Cannot say --not twice: the next word is to be what is not wanted');
      negated = true;
    } else if (name === 'allowlist' || name === 'denylist') raw[name === 'allowlist' ? 'allow' : 'deny'].push(...rawFilters(name, value));
    else if (meant) {
      trackers[negated ? 'deny' : 'allow'].add(meant, value);
      negated = false;
    }
  }
  if (negated) throw new UsageError('Cannot understand --not at the end: it goes before a filter, as in --not --verdict FORWARDED');
  return { allow: [...trackers.allow.filters(), ...raw.allow], deny: [...trackers.deny.filters(), ...raw.deny] };
}

/** FlowFilters in JSON one after another, or an array of them. Throws UsageError. */
function rawFilters(option: string, text: string): readonly FilterJson[] {
  const refused = (cause?: unknown) =>
    new UsageError(`Cannot read --${option} '${text}', wanted filters such as '{"source_pod":["shop/cart"]}'`, { cause });
  const found: FilterJson[] = [];
  for (const part of jsonParts(text)) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(part);
    } catch (error) {
      throw refused(error);
    }
    for (const one of Array.isArray(parsed) ? parsed : [parsed]) {
      if (typeof one !== 'object' || one === null || Array.isArray(one)) throw refused();
      found.push(one as FilterJson); // an object; its fields are checked by whoever makes a FlowFilter of it
    }
  }
  if (found.length === 0) throw refused();
  return found;
}

/** The values of a stream of JSON: where brackets outside of strings are balanced, one ends. */
function* jsonParts(text: string): Iterable<string> {
  let [depth, from] = [0, 0];
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    if (depth !== 0 || token.startsWith('"')) continue;
    yield text.slice(from, index + 1);
    from = index + 1;
  }
  if (text.slice(from).trim() !== '') yield text.slice(from);
}

/** What --print-raw-filters prints: YAML for the configuration of an exporter, or for --allowlist. */
export function rawFilterText({ allow, deny }: Filters): string {
  const part = (name: string, filters: readonly FilterJson[]) =>
    filters.length === 0
      ? ''
      : `${name}:\n${filters.map((filter) => `    - '${JSON.stringify(filter).replaceAll("'", "''")}'\n`).join('')}`;
  return part('allowlist', allow) + part('denylist', deny);
}
