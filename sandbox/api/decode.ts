// SPDX-License-Identifier: Apache-2.0
// Checks an object of a built-in kind against its shape: a wrong type refuses the object, an unknown field is dropped
// and named (strict requests refuse it, others are warned).
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import type { FieldType } from './shapes.ts';

export type Decoded = {
  /** The object without unknown and null fields. */
  readonly object: Json;
  /** `spec.foo`, `spec.containers[0].bar` */
  readonly unknown: readonly string[];
  /** "spec.replicas: expected an integer, got a string" */
  readonly wrong: readonly string[];
};

const wanted: Readonly<Record<string, readonly [string, (value: unknown) => boolean]>> = {
  string: ['a string', (value) => typeof value === 'string'],
  time: ['a string', (value) => typeof value === 'string'],
  bytes: ['a base64 string', (value) => typeof value === 'string'],
  int: ['an integer', (value) => Number.isInteger(value)],
  number: ['a number', (value) => typeof value === 'number'],
  bool: ['a boolean', (value) => typeof value === 'boolean'],
  intstr: ['an integer or a string', (value) => typeof value === 'string' || Number.isInteger(value)],
  quantity: [
    'a quantity',
    (value) =>
      typeof value === 'number' || (typeof value === 'string' && /^[+-]?[0-9.]+([eE][+-]?[0-9]+|[KMGTPE]i|[numkMGTPE])?$/.test(value)),
  ],
};

const named = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return { string: 'a string', number: 'a number', boolean: 'a boolean' }[typeof value as string] ?? 'an object'; // as: typeof's result as a plain key
};

/** Decodes by shape; `any` passes through. */
export const decode = (root: Json, shape: FieldType): Decoded => {
  const unknown: string[] = [];
  const wrong: string[] = [];
  const expect = (path: string, what: string, value: unknown): undefined => {
    wrong.push(`${path || 'the object'}: expected ${what}, got ${named(value)}`);
    return undefined;
  };
  const walk = (value: Json, type: FieldType, path: string): Json => {
    if (type.kind === 'scalar') {
      const rule = wanted[type.name];
      return !rule || rule[1](value) ? value : expect(path, rule[0], value);
    }
    if (type.kind === 'list') {
      if (!Array.isArray(value)) return expect(path, 'an array', value);
      return value.map((item, index) => walk(item, type.of, `${path}[${index}]`));
    }
    if (!isRecord(value)) return expect(path, 'an object', value);
    const result: Record<string, Json> = {};
    for (const [name, child] of Object.entries(value)) {
      const at = path === '' ? name : `${path}.${name}`;
      const field = type.kind === 'mapOf' ? type.value : type.fields.get(name);
      if (!field) unknown.push(at);
      else if (child !== null && child !== undefined)
        Object.defineProperty(result, name, { value: walk(child, field, at), enumerable: true, configurable: true, writable: true });
    }
    return result;
  };
  return { object: walk(root, shape, ''), unknown, wrong };
};
