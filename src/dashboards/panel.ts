// SPDX-License-Identifier: Apache-2.0
// What a dashboard is made of, and the queries that most panels ask.

/** As Grafana calls them. */
export type Unit = 'short' | 'none' | 'cps' | 'pps' | 'Bps' | 'bytes' | 's' | 'percentunit' | 'reqps' | 'dateTimeFromNow';

export type Query = { readonly query: string; readonly legend: string };

export type Panel = {
  readonly title: string;
  /** What is seen, and what to do about it. */
  readonly about: string;
  readonly kind: 'lines' | 'stacked' | 'number' | 'bars';
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** A number at and above which it is shown as bad. */
  readonly badFrom?: number;
  /** A number below which it is shown as bad. */
  readonly badBelow?: number;
  /** Of 24; 8 where nothing is said. */
  readonly width?: number;
};

export type Row = { readonly title: string; readonly panels: readonly Panel[] };

export type Dashboard = {
  /** Name of the file and of the ConfigMap. What it begins with says which value wants it: hubble-, cilium-operator-, or cilium-. */
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  /** Stands on top, in Markdown. */
  readonly about: string;
  /** A metric that each node has, where panels can be narrowed to nodes. */
  readonly nodesOf?: string;
  readonly rows: readonly Row[];
};

type By = readonly string[];
type Options = { readonly by?: By; readonly where?: string };

export const NODE = 'node=~"$node"';
/** Each target by itself, also where nobody says on which node it is. */
export const TARGET: By = ['node', 'instance'];
export const TARGET_LEGEND = '{{node}} {{instance}}';

const braces = (...parts: readonly (string | undefined)[]): string => {
  const some = parts.filter((part) => part !== undefined && part !== '');
  return some.length === 0 ? '' : `{${some.join(',')}}`;
};
const grouped = (of: string, by: By, inner: string) => `${of}${by.length > 0 ? ` by (${by.join(', ')})` : ''} (${inner})`;

/** Queries over metrics of which every series is one node's. */
export const perNode = queriesOver(NODE);
/** Over all that there is. */
export const overall = queriesOver(undefined);

function queriesOver(scope: string | undefined) {
  const selected = (metric: string, { where }: Options) => metric + braces(where, scope);
  const perSecond = (metric: string, options: Options) => `rate(${selected(metric, options)}[$__rate_interval])`;
  return {
    selected: (metric: string, where?: string) => selected(metric, where === undefined ? {} : { where }),
    /** Per second. */
    rate: (metric: string, options: Options = {}) => grouped('sum', options.by ?? [], perSecond(metric, options)),
    /** Over the time that is looked at. */
    increase: (metric: string, options: Options = {}) =>
      grouped('sum', options.by ?? [], `increase(${selected(metric, options)}[$__range])`),
    gauge: (of: 'sum' | 'max' | 'min', metric: string, options: Options = {}) => grouped(of, options.by ?? [], selected(metric, options)),
    quantile: (part: number, metric: string, options: Options = {}) =>
      `histogram_quantile(${part}, ${grouped('sum', ['le', ...(options.by ?? [])], perSecond(`${metric}_bucket`, options))})`,
  };
}

export const one = (query: string, legend: string): readonly Query[] => [{ query, legend }];
/** As many series as there are of it, or one that is 0: what has not happened is no gap. */
export const orNone = (query: string, label: string): string => `${query} or label_replace(vector(0), "${label}", "none", "", "")`;
export const orZero = (query: string): string => `${query} or vector(0)`;
export const top = (count: number, query: string): string => `topk(${count}, ${query})`;
