// SPDX-License-Identifier: Apache-2.0
// From a view to the FlowFilters that a server of flows gets, and to what they cannot say and is looked at here again.

import { DropReason } from '../flows/drop-reasons.ts';
import { TrafficDirection, Verdict } from '../flows/flow-enums.ts';
import type { Flow } from '../flows/flow.ts';
import type { FlowFilter } from '../hubble/filter-message.ts';
import { endOf } from './ends.ts';
import { ViewError } from './view.ts';
import type { Side, Term, View } from './view.ts';

export type Filters = {
  readonly whitelist: readonly FlowFilter[];
  readonly blacklist: readonly FlowFilter[];
  /** Whether a flow that passed the lists is one of the view. */
  readonly matches: (flow: Flow) => boolean;
  /** Whether every flow is. */
  readonly isEverything: boolean;
};

/** Conditions that allow some flows: of each list one has to match. */
type Alternatives = readonly FlowFilter[];
const MOST_FILTERS = 64;

/** `allowed`: the namespaces that the user may see, undefined for everything. Throws ViewError for conditions that cannot be joined. */
export function filtersOf({ namespaces, terms }: View, allowed?: readonly string[]): Filters {
  const wanted = groups(terms.filter(({ not }) => !not));
  const [exactly, said] = [wanted.filter(([first]) => isExact(first)), wanted.filter(([first]) => !isExact(first))];
  const scopes = [namespaces.length > 0 ? namespaces : undefined, allowed].filter((scope) => scope !== undefined);
  const spoken = said.map(alternativesOf).reduce<Alternatives>((all, more) => product(all, more, refuse), [{}]);
  const narrower = [
    ...exactly.map(alternativesOf),
    ...scopes.map((scope) =>
      sidesOf(
        'either',
        'Pod',
        scope.map((one) => `${one}/`),
      ),
    ),
  ];
  const whitelist = narrower.reduce<Alternatives>((all, more) => product(all, more), spoken);
  const blacklist = terms.filter((term) => term.not && !isExact(term)).flatMap((term) => alternativesOf([term]));
  if (whitelist.length > MOST_FILTERS) throw new ViewError('Cannot filter by so many conditions that may hold at either side');
  const exact = [
    ...exactly.map((some) => (flow: Flow) => some.some((term) => isAt(flow, term))),
    ...terms.filter((term) => term.not && isExact(term)).map((term) => (flow: Flow) => !isAt(flow, term)),
    ...scopes.map((scope) => inScope(new Set(scope))),
  ];
  const isAny = whitelist.some((one) => Object.keys(one).length === 0);
  return {
    whitelist: isAny ? [] : whitelist,
    blacklist,
    matches: (flow) => exact.every((one) => one(flow)),
    isEverything: isAny && blacklist.length === 0 && exact.length === 0,
  };
}

/** Terms of one kind and side are alternatives. */
function groups(terms: readonly Term[]): readonly (readonly Term[])[] {
  return [...Map.groupBy(terms, ({ kind, side }) => `${side}.${kind}`).values()];
}

/** Those that a FlowFilter can only narrow down: `matches` looks at them. */
const isExact = (term: Term | undefined) => term?.kind === 'at' || term?.kind === 'link';

/** Both have to hold. Of a field that both speak of only the left one is kept, which `clash` may refuse. */
function product(left: Alternatives, right: Alternatives, clash?: (field: string) => never): Alternatives {
  return left.flatMap((one) =>
    right.map((other) => {
      const field = Object.keys(other).find((name) => Object.hasOwn(one, name));
      if (field !== undefined) clash?.(field);
      return { ...other, ...one };
    }),
  );
}

function refuse(field: string): never {
  const [, side = '', what = ''] = /^(source|destination)(.*)$/.exec(field) ?? [];
  throw new ViewError(`Cannot filter by two ${what.toLowerCase()} conditions that both speak of the ${side}: say one of them`);
}

function alternativesOf(terms: readonly Term[]): Alternatives {
  const [first] = terms;
  if (first === undefined) return [];
  const values = terms.map(({ value }) => value);
  switch (first.kind) {
    case 'at':
      return terms.flatMap(({ side, value }) => atNode(side, value));
    case 'link':
      return terms.flatMap(({ value }) => onLink(value));
    case 'pod':
      return sidesOf(first.side, 'Pod', values);
    case 'service':
      return sidesOf(first.side, 'Service', values);
    case 'ip':
      return sidesOf(first.side, 'Ip', values);
    case 'name':
      return sidesOf(first.side, 'Fqdn', values);
    case 'port':
      return sidesOf(first.side, 'Port', values);
    case 'label':
      return sidesOf(first.side, 'Label', values);
    case 'identity':
      return sidesOf(first.side, 'Identity', values.map(Number));
    case 'verdict':
      return [{ verdict: values.map((value) => numberIn(Verdict, value.toUpperCase())) }];
    case 'reason':
      return [{ dropReasonDesc: values.map((value) => numberIn(DropReason, value.toUpperCase().replaceAll('-', '_'))) }];
    case 'direction':
      return [{ trafficDirection: values.map((value) => numberIn(TrafficDirection, value.toUpperCase())) }];
    case 'protocol':
      return [{ protocol: values }];
    case 'status':
      return [{ httpStatusCode: values }];
    case 'method':
      return [{ httpMethod: values }];
    case 'path':
      return [{ httpPath: values }];
    case 'query':
      return [{ dnsQuery: values }];
    case 'node':
      return [{ nodeName: values }];
    case 'uuid':
      return [{ uuid: values }];
  }
}

function numberIn<T extends number>(set: Readonly<Record<string, T>>, name: string): T {
  const found = set[name];
  if (found === undefined)
    throw new ViewError(
      `Cannot filter by '${name.toLowerCase()}', wanted one of ${Object.keys(set).slice(0, 60).join(', ').toLowerCase()}`,
    );
  return found;
}

function sidesOf(side: Side, field: string, values: readonly (string | number)[]): Alternatives {
  const ends = side === 'either' ? ['source', 'destination'] : [side === 'from' ? 'source' : 'destination'];
  return ends.map((end) => ({ [`${end}${field}`]: values }));
}

/** What a filter can say of being at a node of the map: less than `isAt` does. */
function atNode(side: Side, id: string): Alternatives {
  if (id.startsWith('name:')) return sidesOf(side, 'Fqdn', [id.slice('name:'.length)]);
  if (id === 'host') return sidesOf(side, 'Identity', [1, 6]);
  if (!id.includes('/')) return [{}];
  const [namespace, name] = id.split('/');
  return sidesOf(side, 'Pod', [name === 'pods' ? `${namespace}/` : id]);
}

function onLink(value: string): Alternatives {
  const [from = '', to = ''] = value.split('>');
  const both = (a: string, b: string) => product(atNode('from', a), atNode('to', b));
  return [...both(from, to), ...both(to, from)];
}

function isAt(flow: Flow, { kind, side, value }: Term): boolean {
  const source = endOf(flow.source, flow.sourceNames).id;
  const destination = endOf(flow.destination, flow.destinationNames).id;
  if (kind !== 'link') return (side !== 'to' && source === value) || (side !== 'from' && destination === value);
  return value === (flow.isReply === true ? `${destination}>${source}` : `${source}>${destination}`);
}

function inScope(namespaces: ReadonlySet<string>): (flow: Flow) => boolean {
  return ({ source, destination }) => namespaces.has(source?.namespace ?? '') || namespaces.has(destination?.namespace ?? '');
}
