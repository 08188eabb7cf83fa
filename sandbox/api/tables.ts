// SPDX-License-Identifier: Apache-2.0
// meta.k8s.io/v1 Table and PartialObjectMetadata: the shapes in which `kubectl get` asks for objects.
import { frozen, jsonText } from './json.ts';
import type { Json, KubeObject } from './json.ts';
import { jsonPath } from './json-path.ts';
import { since } from './cells.ts';
import { plainColumns, printers } from './printers.ts';
import type { Column } from './cells.ts';
import type { PrinterColumn, Resource } from './resources.ts';

const metadataCache = new WeakMap<KubeObject, object>();

/** Only the metadata, as its own kind. */
export const metadataOnly = (object: KubeObject): object => {
  let partial = metadataCache.get(object);
  if (!partial)
    metadataCache.set(
      object,
      (partial = frozen({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata })),
    );
  return partial;
};

const customColumn = ({ name, type, priority, jsonPath: path }: PrinterColumn): Column => {
  const select = jsonPath(path);
  const cell = (object: KubeObject): Json => {
    const found = select(object);
    if (found.length === 0) return type === 'string' ? '' : null; // null: how a Table shows an absent cell
    if (type === 'date') return since(found[0]);
    if (type !== 'string') return found[0];
    return found.map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))).join(' ');
  };
  return { name, type, wide: (priority ?? 0) > 0, cell };
};

const columnsOf = (resource: Resource, version: string): readonly Column[] => {
  const custom = resource.custom?.get(version);
  if (!custom) return printers[resource.viewOf ?? resource.id] ?? plainColumns;
  if (!custom.columns) return plainColumns;
  const [name] = plainColumns;
  return [...(name ? [name] : []), ...custom.columns.map(customColumn)];
};

export type Rows = {
  /** The JSON text of the columnDefinitions array. */
  readonly definitions: string;
  /** The JSON text of one row. */
  row(stored: KubeObject, shown: KubeObject): string;
};

/** `includeObject`: None, Metadata (the default) or Object. */
export const rowsOf = (resource: Resource, version: string, includeObject: string): Rows => {
  const columns = columnsOf(resource, version);
  const definitions = columns.map(({ name, type = 'string', wide }) => ({
    name,
    type,
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority: wide ? 1 : 0,
  }));
  const attached = (shown: KubeObject): string => {
    if (includeObject === 'None') return '';
    return `,"object":${jsonText(includeObject === 'Object' ? shown : metadataOnly(shown))}`;
  };
  const cellOf = (column: Column, object: KubeObject): Json => {
    try {
      return column.cell(object) ?? null; // null: an absent cell
    } catch {
      return '<invalid>'; // an object that its validation let through all the same: one bad cell, not a broken list
    }
  };
  return {
    definitions: JSON.stringify(definitions),
    row: (stored, shown) => `{"cells":${JSON.stringify(columns.map((column) => cellOf(column, stored)))}${attached(shown)}}`,
  };
};
