// SPDX-License-Identifier: Apache-2.0
// What somebody looks at, as it stands in the page's address and in the requests that follow from it:
//
//   ?ns=shop&ns=checks&verdict=dropped&from.pod=shop/cart&not.port=53&window=15m
//   ?link=shop/frontend>shop/cart&since=2026-03-01T12:00:00Z&until=2026-03-01T13:00:00Z
//
// Values of one key are alternatives, keys have all to match; `not.` takes away.

import { StentorError } from '../base/errors.ts';
import { Verdict } from '../flows/flow-enums.ts';

export type Side = 'from' | 'to' | 'either';

/** A condition for flows. */
export type Term = { readonly kind: TermKind; readonly side: Side; readonly not: boolean; readonly value: string };

export type Range =
  | { readonly kind: 'live'; readonly windowMs: number }
  | { readonly kind: 'past'; /** Milliseconds since the epoch. */ readonly since: number; readonly until: number };

export type View = { readonly namespaces: readonly string[]; readonly terms: readonly Term[]; readonly range: Range };

/** An address that cannot be understood; the message names the part. */
export class ViewError extends StentorError {
  constructor(message: string) {
    super('Invalid', message);
  }
}

export type TermRule = {
  /** Whether it has sides. */
  readonly sided: boolean;
  readonly wanted: string;
  readonly test: RegExp;
};

const rule = (sided: boolean, wanted: string, test: RegExp): TermRule => ({ sided, wanted, test });
const text = /^[^\s]{1,300}$/;
const protocols = ['tcp', 'udp', 'icmp', 'icmpv4', 'icmpv6', 'sctp', 'dns', 'http', 'kafka'];
const verdicts = Object.keys(Verdict).map((name) => name.toLowerCase());

/** Every kind of condition, and what it may say. */
export const termRules = {
  at: rule(true, 'a node of the map, such as shop/cart or world', text),
  link: rule(false, 'two nodes of the map, such as shop/frontend>shop/cart', /^[^\s>]+>[^\s>]+$/),
  pod: rule(true, 'the beginning of a name, such as shop/cart-', /^[-a-z0-9.]*\/[-a-z0-9.]*$/),
  service: rule(true, 'a service, such as shop/cart', /^[-a-z0-9.]*\/[-a-z0-9.]*$/),
  ip: rule(true, 'an address or a prefix', /^[0-9a-fA-F:.]+(\/\d{1,3})?$/),
  name: rule(true, "a DNS name; '*' stands for any part", /^[-a-zA-Z0-9_.*]{1,253}$/),
  port: rule(true, 'a port', /^\d{1,5}$/),
  label: rule(true, 'labels, such as app=cart', text),
  identity: rule(true, 'the number of an identity', /^\d{1,10}$/),
  verdict: rule(false, `one of ${verdicts.join(', ')}`, new RegExp(`^(${verdicts.join('|')})$`)),
  protocol: rule(false, `one of ${protocols.join(', ')}`, new RegExp(`^(${protocols.join('|')})$`)),
  reason: rule(false, 'a drop reason, such as policy-denied', /^[-a-z0-9]+$/),
  status: rule(false, 'a status such as 404 or 5+', /^[1-5](\d{2}|\d?\+)$/),
  method: rule(false, 'a method such as GET', /^[A-Za-z]{1,20}$/),
  path: rule(false, 'a regular expression for the path', text),
  query: rule(false, 'a regular expression for the name asked for', text),
  node: rule(false, "a node's name; '*' stands for any part", /^[-a-zA-Z0-9./*_]{1,253}$/),
  direction: rule(false, 'ingress or egress', /^(ingress|egress)$/),
  uuid: rule(false, 'the uuid of a flow', /^[-0-9a-f]{1,64}$/),
} as const satisfies Readonly<Record<string, TermRule>>;
export type TermKind = keyof typeof termRules;

const isTermKind = (name: string): name is TermKind => Object.hasOwn(termRules, name);

const DEFAULT_WINDOW_MS = 5 * 60_000;
const windows = { m: 60_000, h: 3_600_000 } as const;
const MOST_TERMS = 40;
const MOST_WINDOW_MS = 3_600_000;

/** Keys that are not of a view are left alone: the page has others. Throws ViewError. */
export function viewOf(params: URLSearchParams): View {
  const terms: Term[] = [];
  for (const [key, value] of params) {
    const term = termOf(key, value);
    if (term) terms.push(term);
  }
  const namespaces = [...new Set(params.getAll('ns'))].toSorted();
  const wrong = namespaces.find((one) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(one));
  if (wrong !== undefined) throw new ViewError(`Cannot look at the namespace '${wrong}', wanted a name of one`);
  if (terms.length + namespaces.length > MOST_TERMS) throw new ViewError(`Cannot filter by more than ${MOST_TERMS} conditions`);
  return { namespaces, terms, range: rangeOf(params) };
}

/** Undefined: the key is none of a condition. Throws ViewError. */
export function termOf(key: string, value: string): Term | undefined {
  const words = key.split('.');
  const not = words[0] === 'not';
  if (not) words.shift();
  const side = words.length === 2 ? words.shift() : 'either';
  const [kind = ''] = words;
  if (words.length !== 1 || !isTermKind(kind)) return undefined;
  const { sided, test, wanted }: TermRule = termRules[kind];
  const isSide = side === 'either' || (sided && (side === 'from' || side === 'to'));
  if (!isSide) throw new ViewError(`Cannot filter by '${key}': ${kind} has no sides`);
  if (!test.test(value)) throw new ViewError(`Cannot filter by ${key} '${value.slice(0, 100)}', wanted ${wanted}`);
  if (kind === 'port' && Number(value) > 65_535) throw new ViewError(`Cannot filter by ${key} '${value}', wanted a port`);
  return { kind, side, not, value };
}

export const termKey = ({ kind, side, not }: Term): string => `${not ? 'not.' : ''}${side === 'either' ? '' : `${side}.`}${kind}`;

function rangeOf(params: URLSearchParams): Range {
  const [since, until] = [params.get('since') ?? undefined, params.get('until') ?? undefined];
  if (since === undefined && until === undefined) return { kind: 'live', windowMs: windowOf(params.get('window') ?? undefined) };
  if (since === undefined || until === undefined) throw new ViewError('Cannot look at the past without since and until');
  const [from, to] = [timeOf('since', since), timeOf('until', until)];
  if (from >= to) throw new ViewError('Cannot look at a time that ends before it begins: until has to be after since');
  return { kind: 'past', since: from, until: to };
}

function windowOf(said: string | undefined): number {
  if (said === undefined) return DEFAULT_WINDOW_MS;
  const [, count = '', unit] = /^(\d{1,3})([mh])$/.exec(said) ?? [];
  const ms = Number(count) * (unit === 'm' ? windows.m : unit === 'h' ? windows.h : 0);
  if (ms > 0 && ms <= MOST_WINDOW_MS) return ms;
  throw new ViewError(`Cannot look at a window of '${said}', wanted one such as 5m, up to 1h`);
}

export const windowText = (ms: number): string => (ms % windows.h === 0 ? `${ms / windows.h}h` : `${ms / windows.m}m`);

function timeOf(key: string, said: string): number {
  const ms = /^\d{10,14}$/.test(said) ? Number(said) : Date.parse(said);
  if (Number.isFinite(ms) && ms > 0) return ms;
  throw new ViewError(`Cannot look ${key} '${said.slice(0, 100)}', wanted a time such as 2026-03-01T12:00:00Z`);
}

/** The same view as an address. */
export function paramsOf({ namespaces, terms, range }: View): URLSearchParams {
  const params = new URLSearchParams(namespaces.map((one) => ['ns', one]));
  for (const term of terms) params.append(termKey(term), term.value);
  if (range.kind === 'past') {
    params.set('since', isoOf(range.since));
    params.set('until', isoOf(range.until));
  } else if (range.windowMs !== DEFAULT_WINDOW_MS) params.set('window', windowText(range.windowMs));
  return params;
}

const isoOf = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');
