// SPDX-License-Identifier: Apache-2.0
// The structural schema of a custom resource: prunes what it does not know, sets defaults, and says in Kubernetes' words
// what is wrong. CEL rules (x-kubernetes-validations) are not evaluated.
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { Ajv } from 'ajv';
import type { ErrorObject, ValidateFunction } from 'ajv';
import type { StatusCause } from './api-error.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import { duplicateField, invalidField, requiredField, unsupportedField } from './names.ts';
import { isCidr } from './checks.ts';

const EMBEDDED = new Set(['apiVersion', 'kind', 'metadata']);
const child = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

const schemaOf = (schema: Json, name: string): Json => {
  const known = schema.properties;
  if (known && Object.hasOwn(known, name)) return known[name];
  return isRecord(schema.additionalProperties) ? schema.additionalProperties : undefined;
};

const prune = (value: Json, schema: Json, path: string, unknown: string[]): void => {
  if (Array.isArray(value)) return value.forEach((item, index) => prune(item, schema.items ?? {}, `${path}[${index}]`, unknown));
  if (!isRecord(value)) return;
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
  const embedded = path === '' || schema['x-kubernetes-embedded-resource'] === true;
  for (const name of Object.keys(value)) {
    if (embedded && EMBEDDED.has(name)) continue;
    const inner = schemaOf(schema, name);
    if (inner) prune(value[name], inner, child(path, name), unknown);
    else if (!open) {
      unknown.push(child(path, name));
      delete value[name];
    }
  }
};

const setDefaults = (value: Json, schema: Json): void => {
  if (Array.isArray(value)) return value.forEach((item) => setDefaults(item, schema.items ?? {}));
  if (!isRecord(value)) return;
  for (const [name, inner] of Object.entries<Json>(schema.properties ?? {})) {
    const missing = value[name] === undefined || (value[name] === null && inner.nullable !== true);
    if (missing && inner.default !== undefined) value[name] = structuredClone(inner.default);
    else if (value[name] === null && inner.nullable !== true) delete value[name];
  }
  for (const [name, item] of Object.entries(value)) {
    const inner = schemaOf(schema, name);
    if (inner) setDefaults(item, inner);
  }
};

/** Lists with x-kubernetes-list-type set or map hold no two equal items or keys. */
const duplicates = (value: Json, schema: Json, path: string): StatusCause[] => {
  if (Array.isArray(value)) {
    const kind = schema['x-kubernetes-list-type'];
    const keys: readonly string[] = schema['x-kubernetes-list-map-keys'] ?? [];
    const identity = (item: Json): Json =>
      kind === 'map' ? keys.map((key) => item?.[key] ?? schema.items?.properties?.[key]?.default) : item;
    const seen: Json[] = [];
    return value.flatMap((item, index) => {
      const at = `${path}[${index}]`;
      const id = identity(item);
      const known = (kind === 'map' || kind === 'set') && seen.some((other) => isDeepStrictEqual(other, id));
      seen.push(id);
      return [...(known ? [duplicateField(at, item)] : []), ...duplicates(item, schema.items ?? {}, at)];
    });
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, item]) => {
    const inner = schemaOf(schema, name);
    return inner ? duplicates(item, inner, child(path, name)) : [];
  });
};

const KEPT = [
  'enum',
  'pattern',
  'minimum',
  'maximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
  'format',
  'uniqueItems',
] as const;

/** OpenAPI 3.0 as the API server reads it → JSON Schema as ajv reads it. */
const jsonSchema = (schema: Json): Json => {
  if (!isRecord(schema)) return schema;
  const result: Record<string, Json> = {};
  for (const word of KEPT) if (schema[word] !== undefined) result[word] = schema[word];
  for (const word of ['allOf', 'anyOf', 'oneOf']) if (schema[word]) result[word] = schema[word].map(jsonSchema);
  for (const word of ['not', 'items', 'additionalProperties']) if (schema[word] !== undefined) result[word] = jsonSchema(schema[word]);
  if (schema.properties)
    result['properties'] = Object.fromEntries(Object.entries(schema.properties).map(([name, inner]) => [name, jsonSchema(inner)]));
  const types = schema['x-kubernetes-int-or-string'] ? ['integer', 'string'] : schema.type ? [schema.type] : [];
  if (types.length > 0) result['type'] = schema.nullable ? [...types, 'null'] : types.length === 1 ? types[0] : types;
  if (schema.exclusiveMinimum === true) result['exclusiveMinimum'] = schema.minimum;
  if (schema.exclusiveMaximum === true) result['exclusiveMaximum'] = schema.maximum;
  return result;
};

const ajv = new Ajv({
  allErrors: true,
  strict: false,
  verbose: true,
  logger: false,
  validateSchema: false,
  unicodeRegExp: false, // patterns are written for RE2, which knows escapes that the u flag refuses
  formats: {
    ipv4: (text: string) => isIP(text) === 4,
    ipv6: (text: string) => isIP(text) === 6,
    cidr: isCidr,
    date: /^\d{4}-\d\d-\d\d$/,
    'date-time': (text: string) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text)),
    uuid: /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i,
    byte: /^[A-Za-z0-9+/]*={0,2}$/,
    mac: /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i,
  },
});

const pathOf = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) && path !== '' ? `${path}[${part}]` : child(path, part)), '');

const shown = (value: Json): Json => (isRecord(value) ? 'object' : Array.isArray(value) ? 'array' : value);
const typeName = (value: Json): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

const causeOf = ({ keyword, instancePath, params, data }: ErrorObject): StatusCause => {
  const field = pathOf(instancePath);
  const inBody = (what: string): StatusCause => invalidField(field, shown(data), `${field} in body ${what}`);
  switch (keyword) {
    case 'required':
      return requiredField(child(field, String(params['missingProperty'])));
    case 'enum':
      return unsupportedField(field, data, params['allowedValues']);
    case 'type':
      return {
        ...invalidField(
          field,
          typeName(data),
          `${field} in body must be of type ${[params['type']].flat()[0]}: ${JSON.stringify(typeName(data))}`,
        ),
        reason: 'FieldValueTypeInvalid',
      };
    case 'pattern':
      return inBody(`should match '${params['pattern']}'`);
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum': {
      const words = { '>=': 'greater than or equal to', '<=': 'less than or equal to', '>': 'greater than', '<': 'less than' };
      return inBody(`should be ${words[params['comparison'] as keyof typeof words]} ${params['limit']}`); // as: ajv's four comparisons
    }
    case 'minLength':
      return inBody(`should be at least ${params['limit']} chars long`);
    case 'maxLength':
      return { reason: 'FieldValueTooLong', message: `Too long: may not be more than ${params['limit']} bytes`, field };
    case 'minItems':
      return inBody(`should have at least ${params['limit']} items`);
    case 'maxItems':
      return {
        reason: 'FieldValueTooMany',
        message: `Too many: ${Array.isArray(data) ? data.length : 0}: must have at most ${params['limit']} items`,
        field,
      };
    case 'oneOf':
      return inBody(`must validate one and only one schema (oneOf). Found ${params['passingSchemas'] ? 'more than one' : 'none'} valid`);
    case 'anyOf':
      return inBody('must validate at least one schema (anyOf)');
    case 'format':
      return inBody(`must be of type ${params['format']}: ${JSON.stringify(data)}`);
    default:
      return inBody(`is not as the schema says (${keyword})`);
  }
};

const compiled = new WeakMap<object, ValidateFunction>();
const byText = new Map<string, ValidateFunction>(); // a definition that is applied again unchanged is not compiled again

const validatorOf = (schema: Json): ValidateFunction => {
  const known = compiled.get(schema);
  if (known) return known;
  const plain = jsonSchema(schema);
  const text = JSON.stringify(plain);
  const validator = byText.get(text) ?? ajv.compile(plain);
  byText.set(text, validator);
  compiled.set(schema, validator);
  return validator;
};

/** Compiles the schema: the reason why it cannot be used, or undefined. */
export const schemaProblem = (schema: Json): string | undefined => {
  try {
    validatorOf(schema);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

export type Checked = { readonly unknown: readonly string[]; readonly causes: readonly StatusCause[] };

/** Prunes and defaults the object in place, then validates it. The schema must be the frozen one of the stored CRD. */
export const checkStructure = (object: Json, schema: Json): Checked => {
  const unknown: string[] = [];
  prune(object, schema, '', unknown);
  setDefaults(object, schema);
  const { metadata: _metadata, ...body } = object;
  const validate = validatorOf(schema);
  const required = (error: ErrorObject): boolean =>
    error.keyword === 'required' && error.params['missingProperty'] === 'metadata' && error.instancePath === '';
  const causes = validate(body) ? [] : (validate.errors ?? []).filter((error) => !required(error)).map(causeOf);
  return { unknown, causes: [...causes, ...duplicates(body, schema, '')] };
};
