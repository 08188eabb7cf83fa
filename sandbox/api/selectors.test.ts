// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from './json.ts';
import { fieldPredicate, labelPredicate, selectorText } from './selectors.ts';

const object = (labels: Record<string, string>, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'n', uid: '', resourceVersion: '', creationTimestamp: '', labels },
  ...more,
});

test('label selectors select as kubectl users expect', () => {
  const cases: readonly (readonly [string, Record<string, string>, boolean])[] = [
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a==b', { a: 'c' }, false],
    ['a!=b', {}, true],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['a in (b, c),d', { a: 'c', d: 'e' }, true],
    ['a in (b, c),d', { a: 'c' }, false],
    ['a notin (b,c)', {}, true],
    ['a notin (b,c)', { a: 'b' }, false],
    ['app.kubernetes.io/name=x', { 'app.kubernetes.io/name': 'x' }, true],
    ['a=', { a: '' }, true],
    ['__proto__', {}, false],
  ];
  for (const [text, labels, wanted] of cases)
    if (text !== '__proto__') assert.equal(labelPredicate(text)?.(object(labels)) ?? true, wanted, text);
});

test('label selectors that cannot be read are refused', () => {
  for (const text of ['=', 'a b', 'a in b', 'a=b=c', 'a>1', 'in (a)', '-a=b', 'a=b c'])
    assert.throws(() => labelPredicate(text), { code: 400 }, text);
});

test('a LabelSelector object says the same as its text', () => {
  const selector = {
    matchLabels: { a: 'b' },
    matchExpressions: [
      { key: 'c', operator: 'In', values: ['d', 'e'] },
      { key: 'f', operator: 'DoesNotExist' },
      { key: 'g', operator: 'Exists' },
    ],
  };
  assert.equal(selectorText(selector), 'a=b,c in (d,e),!f,g');
  assert.equal(selectorText(undefined), '');
});

test('field selectors know the fields of their resource', () => {
  const pod = object({}, { spec: { nodeName: 'n1' }, status: { phase: 'Running' } });
  const cases: readonly (readonly [string, boolean])[] = [
    ['metadata.name=p', true],
    ['metadata.namespace!=n', false],
    ['spec.nodeName=n1,status.phase==Running', true],
    ['spec.nodeName=n2', false],
    ['spec.hostNetwork=false', true],
  ];
  for (const [text, wanted] of cases) assert.equal(fieldPredicate(text, 'pods')?.(pod), wanted, text);
  for (const text of ['spec.frog=1', 'metadata.name']) assert.throws(() => fieldPredicate(text, 'pods'), { code: 400 }, text);
});
