// SPDX-License-Identifier: Apache-2.0
// On which nodes a Service is served, as its annotations say.

import type { Problem } from '../base/problem.ts';
import type { LabelSelector, Service } from '../kube/types.ts';
import { badField } from './bad-field.ts';
import { selectorOf } from './label-selector.ts';
import type { Selector } from './label-selector.ts';

const NODE = 'service.cilium.io/node';
const NODE_SELECTOR = 'service.cilium.io/node-selector';

/** `nodes`: undefined: all. */
export type Exposure = { readonly nodes: Selector | undefined; readonly problems: readonly Problem[] };

/** A selector goes before a name. One that cannot be read is as none. */
export function exposureOf({ metadata }: Service, name: string): Exposure {
  const [node, text] = [metadata.annotations?.[NODE], metadata.annotations?.[NODE_SELECTOR]];
  if (text === undefined && node === undefined) return { nodes: undefined, problems: [] };
  const [field, given] = text === undefined ? [NODE, node] : [NODE_SELECTOR, text];
  const nodes = text === undefined ? selectorOf({ matchLabels: { [NODE]: node ?? '' } }) : selectorIn(text);
  if (typeof nodes !== 'string') return { nodes, problems: [] };
  const wanted = `a label ${field === NODE ? 'value' : 'selector such as zone in (a, b),!spare'}: ${nodes}`;
  return { nodes: undefined, problems: [badField(`Service ${name}`, `annotation ${field}`, given ?? '', wanted)] };
}

const SET_BASED = /^(\S+)\s+(in|notin)\s+\(([^()]*)\)$/;
const EQUALITY = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/;

/** As on the command line: 'a=b,c!=d,e in (f, g),h notin (i),j,!k'. A string says what is wrong with it. */
function selectorIn(text: string): Selector | string {
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim());
  const expressions: (LabelSelector['matchExpressions'] & object)[number][] = [];
  for (const part of parts) {
    if (part === '' && parts.length === 1) continue; // selects everything
    const expression = expressionIn(part);
    if (!expression) return `cannot read '${part}'`;
    expressions.push(expression);
  }
  return selectorOf({ matchExpressions: expressions });
}

function expressionIn(part: string): (LabelSelector['matchExpressions'] & object)[number] | undefined {
  const [, setKey = '', word, list = ''] = SET_BASED.exec(part) ?? [];
  if (word !== undefined)
    return { key: setKey, operator: word === 'in' ? 'In' : 'NotIn', values: list.split(',').map((one) => one.trim()) };
  const [, key = '', sign, value = ''] = EQUALITY.exec(part) ?? [];
  if (sign !== undefined) return { key, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] };
  const [, not, alone] = /^(!?)\s*([^\s!=()]+)$/.exec(part) ?? [];
  return alone === undefined ? undefined : { key: alone, operator: not === '!' ? 'DoesNotExist' : 'Exists' };
}
