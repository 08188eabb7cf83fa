// SPDX-License-Identifier: Apache-2.0
// The part of kubectl's JSONPath that printer columns and scale paths use:
// .a.b  ['a.b']  .a\.b  [0]  [-1]  [*]  [?(@.type=="Ready")]
import type { Json } from './json.ts';

type Step = (value: Json) => readonly Json[];

const field =
  (name: string): Step =>
  (value) => {
    const next = value?.[name];
    return next === undefined || next === null ? [] : [next];
  };

const values = (value: Json): readonly Json[] =>
  Array.isArray(value) ? value : typeof value === 'object' && value !== null ? Object.values(value) : [];

const literal = (text: string): string => text.trim().replace(/^(["'])(.*)\1$/, '$2');

const bracket = (text: string): Step | undefined => {
  if (text === '*') return values;
  const filter = /^\?\(\s*@((?:\.[^=!\s]+)+)\s*(==|!=)\s*(.+?)\s*\)$/.exec(text);
  if (filter) {
    const [, path = '', operator, wanted = ''] = filter;
    const inner = jsonPath(path);
    return (value) => values(value).filter((item) => (String(inner(item)[0]) === literal(wanted)) === (operator === '=='));
  }
  if (/^-?\d+$/.test(text)) return (value) => (Array.isArray(value) ? value.slice(Number(text)).slice(0, 1) : []);
  return /^(["']).*\1$/.test(text) ? field(literal(text)) : undefined;
};

const TOKEN = /\.\*|\.((?:\\.|[^.[\\])+)|\[((?:"[^"]*"|'[^']*'|\([^)]*\)|[^\]])*)\]/y;

const cache = new Map<string, Step>();

/** All values at the path, in order; a path that cannot be read selects nothing. Wrapping braces are accepted. */
export const jsonPath = (path: string): Step => {
  const known = cache.get(path);
  if (known) return known;
  const text = path.replace(/^\{(.*)\}$/, '$1').replace(/^\$/, '');
  const steps: (Step | undefined)[] = [];
  const token = new RegExp(TOKEN); // its own position: a filter reads a path inside this path
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (!match) {
      steps.push(undefined);
      break;
    }
    steps.push(match[0] === '.*' ? values : match[1] !== undefined ? field(match[1].replace(/\\(.)/g, '$1')) : bracket(match[2] ?? ''));
  }
  const step: Step = steps.includes(undefined)
    ? () => []
    : (value) => steps.reduce<readonly Json[]>((found, next) => (next ? found.flatMap(next) : found), [value]);
  cache.set(path, step);
  return step;
};
