// SPDX-License-Identifier: Apache-2.0
// Whether a query of a panel can find anything: the metrics and labels that it names are looked for among those that there are. Knows as much
// of PromQL as dashboards here use; what it does not know it refuses.

import type { Registry } from './registry.ts';
import { SCRAPE_LABELS } from './registry.ts';

const FUNCTIONS = new Set(
  'rate increase histogram_quantile sum max min count avg topk time vector clamp_min clamp_max label_replace'.split(' '),
);
/** Of a counter only these say anything. */
const OF_COUNTERS = new Set(['rate', 'increase']);
/** What stands before a list of labels. */
const GROUPING = new Set(['by', 'on', 'ignoring', 'group_left', 'group_right']);
const WORDS = new Set(['and', 'or', 'unless', 'bool']);
const PARTS = /_(bucket|sum|count)$/;

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\]|\$?[a-zA-Z_][\w:]*|[\d.]+(?:e[+-]?\d+)?|[=!]~|[<>=!]=|[-+*/^%(){},=<>])/y;

function tokensOf(query: string): readonly string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; query.slice(at).trim() !== ''; at = TOKEN.lastIndex) {
    const [, token] = TOKEN.exec(query) ?? [];
    if (token === undefined) return [...tokens, query.slice(at).trim()];
    tokens.push(token);
  }
  return tokens;
}

type Named = { readonly name: string; readonly labels: readonly string[]; /** The function whose argument it is. */ readonly of: string };

/** What a query names. `unknown`: words that are no PromQL of ours. */
type Names = { readonly metrics: readonly Named[]; readonly grouped: readonly string[]; readonly unknown: readonly string[] };

function namesIn(query: string): Names {
  const tokens = tokensOf(query);
  const [metrics, grouped, unknown]: [Named[], string[], string[]] = [[], [], []];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] ?? '';
    if (!/^[a-zA-Z_]/.test(token)) {
      if (!/^["[\d.(){},=!<>+\-*/^%]/.test(token)) unknown.push(token);
      continue;
    }
    const next = tokens[at + 1];
    if (GROUPING.has(token) && next === '(') {
      const end = tokens.indexOf(')', at);
      grouped.push(...tokens.slice(at + 2, end).filter((one) => one !== ','));
      at = end;
    } else if (next === '(' || (next === 'by' && tokens[at + 2] === '(')) {
      if (!FUNCTIONS.has(token)) unknown.push(`${token}()`);
    } else if (!WORDS.has(token)) {
      const end = next === '{' ? tokens.indexOf('}', at) : at;
      const matched = next === '{' ? tokens.slice(at + 2, end) : [];
      const labels = matched.filter((_, i) => /^([=!]~|!?=)$/.test(matched[i + 1] ?? ''));
      metrics.push({ name: token, labels, of: tokens[at - 1] === '(' ? (tokens[at - 2] ?? '') : '' });
      at = end;
    }
  }
  return { metrics, grouped, unknown };
}

/** What is wrong with a query and its legend, a sentence each; empty: nothing. */
export function mistakesIn(query: string, legend: string, known: Registry): readonly string[] {
  const { metrics, grouped, unknown } = namesIn(query);
  const mistakes = unknown.map((word) => `'${word}' is no PromQL that dashboards use`);
  const all = new Set(SCRAPE_LABELS);
  for (const { name, labels, of } of metrics) {
    const base = name.replace(PARTS, '');
    const isPart = known.get(base)?.type === 'histogram' && PARTS.test(name);
    const metric = known.get(isPart ? base : name);
    if (!metric || (metric.type === 'histogram' && !isPart)) {
      mistakes.push(`there is no metric '${name}'`);
      continue;
    }
    const has = [...SCRAPE_LABELS, ...metric.labels, ...(name.endsWith('_bucket') ? ['le'] : [])];
    has.forEach((label) => all.add(label));
    for (const label of labels) if (!has.includes(label)) mistakes.push(`'${name}' has no label '${label}', it has ${has.join(', ')}`);
    if ((metric.type !== 'gauge') !== OF_COUNTERS.has(of)) mistakes.push(`'${name}' is a ${metric.type}, and stands in '${of}()'`);
  }
  for (const label of grouped) if (!all.has(label)) mistakes.push(`nothing in it has a label '${label}' to group by`);
  for (const [, label = ''] of legend.matchAll(/\{\{(.*?)\}\}/g))
    if (!grouped.includes(label)) mistakes.push(`the legend names '${label}', by which it is not grouped`);
  return mistakes;
}
