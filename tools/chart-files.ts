// SPDX-License-Identifier: Apache-2.0
// What of the chart follows from the table of values: its defaults, its schema, and the table as its templates read it.

import { Document, isMap, Scalar, YAMLMap } from 'yaml';
import type { Default, ValueRow, ValueType, valueNotes } from '../src/agent/values-schema.ts';

type Schema = { readonly [keyword: string]: unknown };

const ANYTHING = '.*';

/** The file values.yaml: every key that acts, with what it is for; one without a default stands there as a comment. */
export function valuesFile(rows: readonly ValueRow[]): string {
  const root = new YAMLMap();
  const document = new Document(root);
  document.commentBefore = [
    ' Every key that acts. src/agent/values-schema.ts has them and those that are known and do nothing here;',
    " made of it by 'npm run chart'.",
  ].join('\n');
  const unset = new Map<YAMLMap, string[]>();
  for (const [path, type, byDefault, state, , meaning] of rows) {
    if (state !== 'acts') continue;
    const names = path.split('.');
    const folder = folderOf(root, names.slice(0, -1));
    const name = names.at(-1) ?? '';
    const about = ` ${meaning}${Array.isArray(type) ? `: ${type.join(', ')}` : ''}`;
    if (byDefault === undefined) unset.set(folder, [...(unset.get(folder) ?? []), ` ${name}:  #${about}`]);
    else {
      const key = new Scalar(name);
      key.commentBefore = about;
      folder.set(key, document.createNode(byDefault, { flow: true }));
    }
  }
  for (const [folder, lines] of unset) {
    if (folder.items.length === 0) folder.flow = true;
    folder.comment = lines.join('\n');
  }
  return document.toString({ lineWidth: 0 });
}

function folderOf(root: YAMLMap, names: readonly string[]): YAMLMap {
  let folder = root;
  for (const name of names) {
    const present: unknown = folder.get(name, true);
    const child = isMap(present) ? present : new YAMLMap();
    if (child !== present) folder.set(new Scalar(name), child);
    folder = child;
  }
  return folder;
}

/**
 * The file values.schema.json: types and choices. Unknown keys pass it, because Helm has no way to say with its refusal which key was
 * meant: the templates refuse them (docs/decisions/0281-who-refuses-a-key.md).
 */
export function schemaFile(rows: readonly ValueRow[]): string {
  const root = { $schema: 'http://json-schema.org/draft-07/schema#', title: 'Values of the chart cilium', ...folderSchema(rows, '') };
  return `${JSON.stringify(root, undefined, 1)}\n`;
}

function folderSchema(rows: readonly ValueRow[], folder: string): Schema {
  const below = Map.groupBy(rows, ([path]) => path.slice(folder.length).split('.')[0] ?? '');
  const properties = Array.from(below, ([name, under]): readonly [string, Schema] => {
    const path = `${folder}${name}`;
    const [first, ...others] = under;
    return [name, first && first[0] === path && others.length === 0 ? keySchema(first) : folderSchema(under, `${path}.`)];
  });
  return { type: ['object', 'null'], properties: Object.fromEntries(properties.filter(([name]) => name !== '*')) };
}

function keySchema([, type, byDefault, state, , meaning]: ValueRow): Schema {
  const description = state === 'acts' ? meaning : `${meaning} (no effect)`;
  return { description, ...(byDefault !== undefined && { default: byDefault }), ...typeSchema(type) };
}

/** `null` is a key without a value. */
function typeSchema(type: ValueType): Schema {
  if (typeof type !== 'string') return { enum: [...type, null] }; // null: JSON's word for it
  switch (type) {
    case 'boolean':
      return { type: ['boolean', 'null'] };
    case 'switch':
      return { enum: [true, false, 'true', 'false', null] }; // null: JSON's word for it
    case 'number':
      return { type: ['number', 'null'], minimum: 0 };
    case 'port':
      return { type: ['integer', 'string', 'null'], minimum: 1, maximum: 65_535, pattern: '^[0-9]{1,5}$' };
    case 'text':
      return { type: ['string', 'number', 'null'] };
    case 'duration':
      return { type: ['string', 'null'], pattern: '^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$' };
    case 'cidr':
      return { type: ['string', 'null'], pattern: '^[0-9a-fA-F.:]+/[0-9]{1,3}$' };
    case 'address:port':
      return { type: ['string', 'null'], pattern: '^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]{1,5}$' };
    case 'cidrs':
      return { type: ['array', 'null'], items: { type: 'string' } };
    case 'texts':
      return { type: ['array', 'string', 'null'], items: { type: 'string' } };
    case 'any':
      return {};
  }
}

type Key = { readonly acts?: true; readonly drives?: string; readonly default?: Default };

/** The file files/values.json: by path what the templates have to know, and the folders that there are. */
export function tableFile(rows: readonly ValueRow[], notes: typeof valueNotes): string {
  const keys = rows.map(([path, , byDefault, state, drives]): readonly [string, Key] => [
    path,
    { ...(state === 'acts' && { acts: true, drives }), ...(byDefault !== undefined && { default: byDefault }) },
  ]);
  const folders = new Set(
    rows.flatMap(([path]) => path.split('.').map((_, i, all) => all.slice(0, i).join('.'))).filter((path) => path !== ''),
  );
  const anywhere = keys.filter(([path]) => path.endsWith(ANYTHING)).map(([path]) => path.slice(0, -ANYTHING.length));
  const table = {
    keys: Object.fromEntries(keys.filter(([path]) => !path.endsWith(ANYTHING))),
    folders: Object.fromEntries(Array.from(folders, (path) => [path, true])),
    anywhere,
    notes: notes.map(([path, value, effect, reason]) => ({ path, value, effect, reason })),
  };
  return `${JSON.stringify(table, undefined, 1)}\n`;
}
