// SPDX-License-Identifier: Apache-2.0
// Label and field selectors as they stand in a query string, and as LabelSelector objects.
import { badRequest } from './api-error.ts';
import type { Json, KubeObject } from './json.ts';

export type Predicate = (object: KubeObject) => boolean;

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Splits at commas outside parentheses. */
const splitTerms = (text: string): string[] =>
  text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');

const labelTerm = (term: string): ((labels: Readonly<Record<string, string>>) => boolean) => {
  const refuse = (): never => {
    throw badRequest(
      `unable to parse requirement: found '${term}', expected: KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (A,B) or KEY notin (A,B)`,
    );
  };
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term);
  const equality = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  const presence = /^(!?)\s*([^=!\s]+)$/.exec(term);
  const key = set?.[1] ?? equality?.[1] ?? presence?.[2] ?? refuse();
  if (!LABEL_KEY.test(key)) return refuse();
  if (set || equality) {
    const values = set ? (set[3] ?? '').split(',').map((value) => value.trim()) : [equality?.[3] ?? ''];
    if (!values.every((value) => LABEL_VALUE.test(value))) return refuse();
    const negative = set ? set[2] === 'notin' : equality?.[2] === '!=';
    return (labels) => {
      const value = labels[key];
      return (value !== undefined && values.includes(value)) !== negative;
    };
  }
  return presence?.[1] === '!' ? (labels) => labels[key] === undefined : (labels) => labels[key] !== undefined;
};

const NONE: Readonly<Record<string, string>> = {};

/** `undefined` or empty selects everything. ApiError 400 when it cannot be parsed. */
export const labelPredicate = (text: string | undefined): Predicate | undefined => {
  const terms = splitTerms(text ?? '').map(labelTerm);
  if (terms.length === 0) return undefined;
  return (object) => terms.every((term) => term(object.metadata.labels ?? NONE));
};

/** The same for a LabelSelector object (matchLabels, matchExpressions), as text; `undefined` for an empty one. */
export const selectorText = (selector: Json): string => {
  const labels = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${String(value)}`);
  const expressions = (selector?.matchExpressions ?? []).map((expression: Json) => {
    const { key, operator, values = [] } = expression;
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${String(key)}`;
    return `${String(key)} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`;
  });
  return [...labels, ...expressions].join(',');
};

/** Fields that can be selected besides metadata.name and metadata.namespace, by resource. */
const selectable: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  nodes: ['spec.unschedulable'],
  namespaces: ['status.phase'],
  services: ['spec.clusterIP', 'spec.type'],
  secrets: ['type'],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  'events.events.k8s.io': [
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'reason',
    'type',
    'reportingController',
  ],
  'replicasets.apps': ['status.replicas'],
};

const fieldText = (object: KubeObject, field: string): string => {
  if (field === 'source') return object.source?.component ?? object.reportingComponent ?? '';
  let value: Json = object;
  for (const name of field.split('.')) value = value?.[name];
  return value === undefined || value === null
    ? field === 'spec.unschedulable' || field === 'spec.hostNetwork'
      ? 'false'
      : ''
    : String(value);
};

/** Understands =, == and != on the selectable fields of the resource. ApiError 400 otherwise. */
export const fieldPredicate = (text: string | undefined, resourceId: string): Predicate | undefined => {
  const terms = splitTerms(text ?? '').map((term) => {
    const match = /^([^=!]+?)(!=|==|=)(.*)$/.exec(term);
    if (!match) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
    const [, field = '', operator, value = ''] = match;
    if (field !== 'metadata.name' && field !== 'metadata.namespace' && !selectable[resourceId]?.includes(field))
      throw badRequest(`Unable to find "${resourceId}" that match field selector "${text}": field label not supported: ${field}`);
    return (object: KubeObject) => (fieldText(object, field) === value) === (operator !== '!=');
  });
  return terms.length === 0 ? undefined : (object) => terms.every((term) => term(object));
};

/** Namespace, labels and fields together; undefined selects everything. */
export const selectionOf = (
  filter: { readonly namespace?: string; readonly labelSelector?: string; readonly fieldSelector?: string },
  resourceId: string,
): Predicate | undefined => {
  const { namespace } = filter;
  const parts = [
    namespace ? (object: KubeObject) => object.metadata.namespace === namespace : undefined,
    labelPredicate(filter.labelSelector),
    fieldPredicate(filter.fieldSelector, resourceId),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : (object) => parts.every((part) => part(object));
};
