// SPDX-License-Identifier: Apache-2.0
// Several objects, one schema: what each declares must agree with the others.

import { mapText, shortHash } from '../src/kernel/object.ts';
import type { ConfigVariable, MapSpec, ObjectSpec } from '../src/kernel/object.ts';
import { layoutText } from '../src/kernel/layout.ts';
import type { EnumLayout, Layout, StructLayout } from '../src/kernel/layout.ts';

const ringBuffer = 27; // BPF_MAP_TYPE_RINGBUF

export type NamedObject = { readonly name: string; readonly spec: ObjectSpec };

export type Knob = Pick<ConfigVariable, 'name' | 'layout' | 'size' | 'default' | 'description'> & {
  readonly places: readonly { readonly object: string; readonly section: string; readonly offset: number }[];
};

export type Schema = {
  readonly hash: string;
  /** Those with programs. An object without only adds types that no other mentions. */
  readonly objects: readonly NamedObject[];
  readonly maps: readonly MapSpec[];
  readonly enums: readonly EnumLayout[];
  /** Used by a map, an event or a knob, each after the structs that it contains. */
  readonly structs: readonly StructLayout[];
  readonly events: readonly StructLayout[];
  readonly knobs: readonly Knob[];
};

/** Two declarations of one name differ; the message shows both. */
export class SchemaConflictError extends Error {
  override readonly name = 'SchemaConflictError';
}

/** The schema of all objects together. Throws SchemaConflictError. */
export function schemaOf(objects: readonly NamedObject[]): Schema {
  const all = <T extends { readonly name: string }>(rows: (spec: ObjectSpec) => readonly T[], text: (row: T) => string): T[] =>
    agreed(
      objects.flatMap(({ name, spec }) => rows(spec).map((row) => ({ object: name, row }))),
      text,
    );
  const maps = all((spec) => spec.maps, mapText);
  const ring = maps.find((map) => map.type === ringBuffer);
  const events = all(
    (spec) => spec.events,
    (event) => layoutText(event),
  );
  if (ring && events.length === 0) {
    throw new Error(
      `Cannot find the records of the ring buffer '${ring.name}', wanted a struct named event or *_event in BTF: a function that is not static takes a pointer to it, or a *.bpf.c without programs has a variable of it`,
    );
  }
  const loaded = objects.filter(({ spec }) => spec.programs.length > 0);
  const knobs = all((spec) => spec.config, knobText).map((variable) => ({ ...variable, places: placesOf(loaded, variable.name) }));
  const layouts = [...maps.flatMap(layoutsOf), ...events, ...knobs.map((knob) => knob.layout)];
  const found = agreed(
    layouts.flatMap(structsWithin).map((row) => ({ object: 'the schema', row })),
    layoutText,
  );
  const enums = all((spec) => spec.enums, enumText);
  return { hash: shortHash(maps.map(mapText)), objects: loaded, maps, enums, structs: innermostFirst(found), events, knobs };
}

/** One row for each name, sorted by name. */
function agreed<T extends { readonly name: string }>(
  rows: readonly { readonly object: string; readonly row: T }[],
  text: (row: T) => string,
): T[] {
  const seen = new Map<string, { readonly object: string; readonly row: T }>();
  for (const entry of rows) {
    const other = seen.get(entry.row.name);
    if (other && text(other.row) !== text(entry.row)) {
      throw new SchemaConflictError(
        `Cannot merge '${entry.row.name}', it differs\n  in ${other.object}: ${text(other.row)}\n  in ${entry.object}: ${text(entry.row)}`,
      );
    }
    if (!other) seen.set(entry.row.name, entry);
  }
  return [...seen.values()].map(({ row }) => row).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function knobText(knob: ConfigVariable): string {
  return `${layoutText(knob.layout)} default ${knob.default.toString('hex')} '${knob.description}'`;
}

/** The same enum may be kept in integers of several sizes. */
function enumText(layout: EnumLayout): string {
  return layoutText({ ...layout, size: 0 });
}

function placesOf(objects: readonly NamedObject[], name: string): Knob['places'] {
  return objects.flatMap((object) =>
    object.spec.config
      .filter((variable) => variable.name === name)
      .map(({ section, offset }) => ({ object: object.name, section, offset })),
  );
}

function layoutsOf(map: MapSpec): Layout[] {
  return [map.key, map.value, map.inner?.key, map.inner?.value].filter((layout) => layout !== undefined);
}

/** The structs that a value holds, each after its own parts. */
function structsWithin(layout: Layout): StructLayout[] {
  if (layout.kind === 'array') return structsWithin(layout.element);
  return layout.kind === 'struct' ? [...layout.fields.flatMap((field) => structsWithin(field.layout)), layout] : [];
}

function innermostFirst(structs: readonly StructLayout[]): StructLayout[] {
  const names = new Set(structs.flatMap(structsWithin).map((struct) => struct.name));
  return [...names].flatMap((name) => structs.filter((struct) => struct.name === name));
}
