// SPDX-License-Identifier: Apache-2.0
// Strategic merge patch: a merge patch that knows which lists are keyed (shapes.ts). Directives: $patch (replace, delete,
// merge), $retainKeys, $setElementOrder/LIST, $deleteFromPrimitiveList/LIST. Items that only the server has go behind
// those that $setElementOrder names.
import { badRequest } from './api-error.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import type { FieldType } from './shapes.ts';

const ANY: FieldType = { kind: 'scalar', name: 'any' };

const fieldOf = (type: FieldType, name: string): FieldType =>
  type.kind === 'shape' ? (type.fields.get(name) ?? ANY) : type.kind === 'mapOf' ? type.value : ANY;

const withoutDirectives = (value: Json): Json => {
  if (Array.isArray(value)) return value.filter((item) => !isRecord(item) || item['$patch'] === undefined).map(withoutDirectives);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, child]) => !name.startsWith('$') && child !== null)
      .map(([name, child]) => [name, withoutDirectives(child)]),
  );
};

const mergedKeyed = (target: readonly Json[], patch: readonly Json[], key: string, of: FieldType): Json[] => {
  if (patch.some((item) => item?.$patch === 'replace')) return patch.filter((item) => item?.$patch !== 'replace').map(withoutDirectives);
  const result = [...target];
  for (const item of patch) {
    if (!isRecord(item)) throw badRequest(`unable to apply patch: expected objects in a list keyed by ${key}`);
    if (item[key] === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const index = result.findIndex((known) => known?.[key] === item[key]);
    if (item['$patch'] === 'delete') result.splice(index < 0 ? result.length : index, 1);
    else if (index < 0) result.push(withoutDirectives(item));
    else result[index] = strategicMerged(result[index], item, of);
  }
  return result;
};

const mergedList = (target: Json, patch: Json, type: FieldType): Json => {
  if (!Array.isArray(patch) || type.kind !== 'list' || type.merge.kind === 'atomic') return withoutDirectives(patch);
  const known: readonly Json[] = Array.isArray(target) ? target : [];
  if (type.merge.kind === 'set') return [...known, ...patch.filter((item) => !known.includes(item))];
  return mergedKeyed(known, patch, type.merge.keys[0] ?? 'name', type.of);
};

const ordered = (list: Json, order: readonly Json[], type: FieldType): Json => {
  if (!Array.isArray(list)) return list;
  const key = type.kind === 'list' && type.merge.kind === 'map' ? (type.merge.keys[0] ?? 'name') : undefined;
  const identity = (item: Json): Json => (key === undefined ? item : item?.[key]);
  const places = new Map(order.map((item, index) => [identity(item), index]));
  const place = (item: Json): number => places.get(identity(item)) ?? order.length;
  return list.toSorted((a, b) => place(a) - place(b));
};

/** The target with the patch merged in by shape. ApiError 400 when the patch lacks a merge key. */
export const strategicMerged = (target: Json, patch: Json, type: FieldType): Json => {
  if (!isRecord(patch)) return patch;
  if (patch['$patch'] === 'replace') return withoutDirectives(patch);
  if (patch['$patch'] === 'delete') return {};
  const retained = patch['$retainKeys'];
  const base: Record<string, Json> = isRecord(target) ? { ...target } : {};
  if (Array.isArray(retained)) for (const name of Object.keys(base)) if (!retained.includes(name)) delete base[name];
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$') || name === '__proto__') continue;
    if (value === null) delete base[name];
    else if (Array.isArray(value)) base[name] = mergedList(base[name], value, fieldOf(type, name));
    else base[name] = isRecord(value) ? strategicMerged(base[name], value, fieldOf(type, name)) : value;
  }
  for (const [name, value] of Object.entries(patch)) {
    const [directive, list = ''] = name.split('/', 2);
    if (!Array.isArray(value) || list === '' || !Array.isArray(base[list])) continue;
    if (directive === '$deleteFromPrimitiveList') base[list] = base[list].filter((item: Json) => !value.includes(item));
    if (directive === '$setElementOrder') base[list] = ordered(base[list], value, fieldOf(type, list));
  }
  return base;
};
