// SPDX-License-Identifier: Apache-2.0
// Label selectors of objects (meta/v1), read once and asked often.

import type { LabelSelector, Labels } from '../kube/types.ts';

type Requirement = {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
};

/** All of them hold. Without any: everything is selected. */
export type Selector = readonly Requirement[];

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** A string says what is wrong with it. Nothing given selects everything. */
export function selectorOf(selector: LabelSelector | null | undefined): Selector | string {
  const out: Requirement[] = [];
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    const wrong = badKey(key) ?? badValue(key, value);
    if (wrong !== undefined) return wrong;
    out.push({ key, operator: 'In', values: [value] });
  }
  for (const { key = '', operator: named, values = [] } of selector?.matchExpressions ?? []) {
    const operator = OPERATORS.find((one) => one === named);
    if (operator === undefined) return `matchExpressions has operator '${named ?? ''}' for ${key}, wanted ${OPERATORS.join(', ')}`;
    const wantsValues = operator === 'In' || operator === 'NotIn';
    if (wantsValues !== values.length > 0) return `matchExpressions has ${values.length} values for ${key} ${operator}`;
    const wrong = badKey(key) ?? values.map((value) => badValue(key, value)).find((one) => one !== undefined);
    if (wrong !== undefined) return wrong;
    out.push({ key, operator, values });
  }
  return out;
}

export function selects(selector: Selector, labels: Labels): boolean {
  return selector.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}

const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

function badKey(key: string): string | undefined {
  const slash = key.indexOf('/');
  const good = NAME.test(key.slice(slash + 1)) && (slash < 0 || PREFIX.test(key.slice(0, slash)));
  return good ? undefined : `'${key}' is no label key, wanted such as app or example.com/app`;
}

function badValue(key: string, value: unknown): string | undefined {
  const good = typeof value === 'string' && (value === '' || NAME.test(value));
  return good ? undefined : `${JSON.stringify(value)} is no label value for ${key}, wanted at most 63 letters, digits, '-', '_' and '.'`;
}
