// SPDX-License-Identifier: Apache-2.0
// Sets of fields as metadata.managedFields writes them (fieldsV1), and the merges that server-side apply does with them.
//
//   { spec: { ports: [{ name: "http", port: 80 }] } }
//     ─▶ f:spec { f:ports { k:{"port":80,"protocol":"TCP"} { ".", f:name, f:port } } }
import { isDeepStrictEqual } from 'node:util';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import type { Resource } from './resources.ts';
import { shapeOf } from './shapes.ts';
import type { FieldType } from './shapes.ts';

/** A trie: f:NAME a field, k:{…} an item of a keyed list, v:VALUE an item of a set, "." the item itself. */
export type Fields = { readonly [name: string]: Fields };

/** How a value merges: by fields, by keys, as a set, or as a whole. */
export type ListTypes =
  | { readonly kind: 'object'; readonly field: (name: string) => ListTypes }
  | {
      readonly kind: 'keyed';
      readonly keys: readonly string[];
      readonly defaults: Readonly<Record<string, Json>>;
      readonly item: ListTypes;
    }
  | { readonly kind: 'set' }
  | { readonly kind: 'atomic' };

const ATOMIC: ListTypes = { kind: 'atomic' };
/** Of a value nobody described: objects merge, lists do not. */
const OPEN: ListTypes = { kind: 'object', field: () => OPEN };
const PROTOCOL = { protocol: 'TCP' };

const ofShape = (type: FieldType): ListTypes => {
  switch (type.kind) {
    case 'scalar':
      return OPEN;
    case 'mapOf':
      return { kind: 'object', field: () => ofShape(type.value) };
    case 'shape':
      return { kind: 'object', field: (name) => ofShape(type.fields.get(name) ?? { kind: 'scalar', name: 'any' }) };
    case 'list':
      if (type.merge.kind === 'map') return { kind: 'keyed', keys: type.merge.keys, defaults: PROTOCOL, item: ofShape(type.of) };
      return type.merge;
  }
};

const ofSchema = (schema: Json): ListTypes => {
  if (!isRecord(schema)) return OPEN;
  if (schema['type'] === 'array') {
    if (schema['x-kubernetes-list-type'] === 'set') return { kind: 'set' };
    if (schema['x-kubernetes-list-type'] !== 'map') return ATOMIC;
    const properties = schema['items']?.properties ?? {};
    const defaults = Object.fromEntries(Object.entries<Json>(properties).map(([name, property]) => [name, property.default]));
    return { kind: 'keyed', keys: schema['x-kubernetes-list-map-keys'] ?? [], defaults, item: ofSchema(schema['items']) };
  }
  if (schema['x-kubernetes-map-type'] === 'atomic') return ATOMIC;
  return { kind: 'object', field: (name) => ofSchema(schema['properties']?.[name] ?? schema['additionalProperties']) };
};

/** From the shapes of built-in kinds and the schemas of custom ones (their metadata is as everybody's). */
export const listTypesOf = (resource: Resource, version: string): ListTypes => {
  const shape = shapeOf(resource);
  if (shape) return ofShape(shape);
  const schema = ofSchema(resource.custom?.get(version)?.schema);
  const metadata: ListTypes = {
    kind: 'object',
    field: (name) =>
      name === 'finalizers'
        ? { kind: 'set' }
        : name === 'ownerReferences'
          ? { kind: 'keyed', keys: ['uid'], defaults: {}, item: OPEN }
          : OPEN,
  };
  return { kind: 'object', field: (name) => (name === 'metadata' ? metadata : schema.kind === 'object' ? schema.field(name) : OPEN) };
};

/** The steps from a value to its parts: the step's name in fieldsV1, and the part with its type. */
const partsOf = (value: Json, types: ListTypes): readonly (readonly [string, Json, ListTypes])[] | undefined => {
  if (types.kind === 'object' && isRecord(value))
    return Object.entries(value).map(([name, part]) => [`f:${name}`, part, types.field(name)]);
  if (types.kind === 'set' && Array.isArray(value)) return value.map((item) => [`v:${JSON.stringify(item)}`, item, ATOMIC]);
  if (types.kind !== 'keyed' || !Array.isArray(value)) return undefined;
  return value.map((item) => {
    const key = Object.fromEntries(
      types.keys.map((name) => [name, item?.[name] ?? types.defaults[name]]).filter(([, part]) => part !== undefined),
    );
    return [`k:${JSON.stringify(key)}`, item, types.item];
  });
};

/** The fields that a configuration sets. */
export const fieldsOf = (value: Json, types: ListTypes): Fields => {
  const parts = partsOf(value, types);
  if (!parts || (parts.length === 0 && types.kind !== 'object')) return {};
  return Object.fromEntries(
    parts.map(([name, part, inner]) => [name, { ...(name.startsWith('k:') && { '.': {} }), ...fieldsOf(part, inner) }]),
  );
};

const isLeaf = (fields: Fields): boolean => Object.keys(fields).every((name) => name === '.');

/** f:spec → .spec, k:{"name":"x"} → [name="x"], v:"x" → ["x"] */
export const pathPart = (name: string): string => {
  if (name.startsWith('f:')) return `.${name.slice(2)}`;
  if (name.startsWith('v:')) return `[${name.slice(2)}]`;
  return `[${Object.entries(JSON.parse(name.slice(2)))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`;
};

/** Paths that the other manager owns and that the configuration would change: .spec.ports[port=80,protocol="TCP"].name */
export const conflictsOf = (config: Json, live: Json, owned: Fields, types: ListTypes): readonly string[] => {
  const parts = partsOf(config, types);
  if (!parts) return [];
  const current = new Map((partsOf(live, types) ?? []).map(([name, part]) => [name, part]));
  return parts.flatMap(([name, part, inner]) => {
    const theirs = owned[name];
    if (!theirs || name.startsWith('v:')) return [];
    const deeper = partsOf(part, inner) !== undefined && !isLeaf(theirs);
    if (deeper) return conflictsOf(part, current.get(name), theirs, inner).map((path) => pathPart(name) + path);
    return name.startsWith('k:') || isDeepStrictEqual(part, current.get(name)) ? [] : [pathPart(name)];
  });
};

/** The live value with the configuration merged in. */
export const applied = (live: Json, config: Json, types: ListTypes): Json => {
  const parts = partsOf(config, types);
  const current = partsOf(live, types);
  if (!parts || !current) return structuredClone(config);
  const merged = new Map(current.map(([name, part]) => [name, part]));
  for (const [name, part, inner] of parts)
    merged.set(name, merged.has(name) ? applied(merged.get(name), part, inner) : structuredClone(part));
  return assembled(merged, types);
};

const assembled = (parts: ReadonlyMap<string, Json>, types: ListTypes): Json =>
  types.kind === 'object' ? Object.fromEntries([...parts].map(([name, part]) => [name.slice(2), part])) : [...parts.values()];

/** The live value without the fields that `owned` names, unless one of the exceptions names them too. */
export const removed = (
  live: Json,
  owned: Fields,
  { except, types }: { readonly except: readonly Fields[]; readonly types: ListTypes },
): Json => {
  const parts = partsOf(live, types);
  if (!parts) return live;
  const kept = new Map<string, Json>();
  for (const [name, part, inner] of parts) {
    const theirs = owned[name];
    const others = except.map((fields) => fields[name]).filter((fields) => fields !== undefined);
    if (!theirs) kept.set(name, part);
    else if (others.length > 0) kept.set(name, removed(part, theirs, { except: others, types: inner }));
    else if (!isLeaf(theirs)) {
      const rest = removed(part, theirs, { except: [], types: inner });
      const empty = name.startsWith('k:') || (isRecord(rest) ? Object.keys(rest).length === 0 : Array.isArray(rest) && rest.length === 0);
      if (!empty) kept.set(name, rest);
    }
  }
  return assembled(kept, types);
};
