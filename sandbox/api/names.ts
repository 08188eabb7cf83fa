// SPDX-License-Identifier: Apache-2.0
// Names as RFC 1123 and RFC 1035 write them, and the metadata every object has.
import type { StatusCause } from './api-error.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import type { Resource } from './resources.ts';

const LABEL_1123 = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN_1123 = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

export const invalidField = (field: string, value: Json, why: string): StatusCause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${value === undefined ? 'null' : JSON.stringify(value)}: ${why}`,
  field,
});
export const requiredField = (field: string, why = ''): StatusCause => ({
  reason: 'FieldValueRequired',
  message: `Required value${why && `: ${why}`}`,
  field,
});
export const unsupportedField = (field: string, value: Json, allowed: readonly string[]): StatusCause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${allowed.map((one) => JSON.stringify(one)).join(', ')}`,
  field,
});
export const duplicateField = (field: string, value: Json): StatusCause => ({
  reason: 'FieldValueDuplicate',
  message: `Duplicate value: ${JSON.stringify(value)}`,
  field,
});
export const forbiddenField = (field: string, why: string): StatusCause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${why}`,
  field,
});

export const isDnsLabel = (text: unknown): boolean => typeof text === 'string' && text.length <= 63 && LABEL_1123.test(text);
export const isDnsSubdomain = (text: unknown): boolean => typeof text === 'string' && text.length <= 253 && SUBDOMAIN_1123.test(text);

const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')";
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com')";
const serviceRule =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name', or 'abc-123')";
const pathRule = "may not be '.' or '..' and may not contain '/' or '%'";

/** The complaints about a name, by the rule of its kind. */
export const nameCauses = (resource: Resource, name: string): StatusCause[] => {
  const field = 'metadata.name';
  if (resource.group === 'rbac.authorization.k8s.io')
    return name === '.' || name === '..' || /[/%]/.test(name) ? [invalidField(field, name, pathRule)] : [];
  if (resource.id === 'namespaces') return isDnsLabel(name) ? [] : [invalidField(field, name, labelRule)];
  if (resource.id === 'services') return name.length <= 63 && LABEL_1035.test(name) ? [] : [invalidField(field, name, serviceRule)];
  return isDnsSubdomain(name) ? [] : [invalidField(field, name, subdomainRule)];
};

const isQualifiedName = (key: string): boolean => {
  const [name = '', prefix] = key.split('/').toReversed();
  return key.split('/').length <= 2 && name.length <= 63 && QUALIFIED_NAME.test(name) && (prefix === undefined || isDnsSubdomain(prefix));
};

const qualifiedRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName', or 'my.name', or '123-abc')";

/** The complaints about labels, annotations, finalizers and owner references, with their types checked. */
export const metadataCauses = (metadata: Json): StatusCause[] => {
  const causes: StatusCause[] = [];
  for (const field of ['labels', 'annotations']) {
    const at = `metadata.${field}`;
    const map = metadata[field];
    if (map === undefined) continue;
    if (!isRecord(map)) return [invalidField(at, map, 'must be an object')];
    for (const [key, value] of Object.entries(map)) {
      if (!isQualifiedName(field === 'labels' ? key : key.toLowerCase())) causes.push(invalidField(at, key, qualifiedRule));
      if (typeof value !== 'string') causes.push(invalidField(at, value, 'must be a string'));
      else if (field === 'labels' && !(value.length <= 63 && LABEL_VALUE.test(value)))
        causes.push(
          invalidField(
            at,
            value,
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
          ),
        );
    }
  }
  for (const [index, owner] of (metadata.ownerReferences ?? []).entries())
    for (const part of ['apiVersion', 'kind', 'name', 'uid'])
      if (!owner?.[part]) causes.push(requiredField(`metadata.ownerReferences[${index}].${part}`));
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries())
    if (!isQualifiedName(String(finalizer))) causes.push(invalidField(`metadata.finalizers[${index}]`, finalizer, qualifiedRule));
  return causes;
};

const LETTERS = 'bcdfghjklmnpqrstvwxz2456789'; // no vowels: no words

/** A name from generateName: the prefix, cut to fit, and five random letters. */
export const generatedName = (prefix: string): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(5));
  return prefix.slice(0, 58) + [...bytes].map((byte) => LETTERS[byte % LETTERS.length]).join('');
};
