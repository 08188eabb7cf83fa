// SPDX-License-Identifier: Apache-2.0
// What a compiled BPF object says of itself: programs, maps, knobs, events and enums. Pure: bytes in, description out.
//
//   .maps      DATASEC of variables whose struct type spells the map (the libbpf convention, `__uint` and `__type`)
//   .rodata*   DATASEC of `const volatile` knobs; default in the section's bytes, description in a declaration tag
//   sections with code: one program for each global function (.text holds functions that programs call)
//
// `clang -c` leaves DATASEC offsets zero, so a variable's place comes from the symbol table.

import { createHash } from 'node:crypto';
import { plainType, plainTypeId, readBtf, sizeOf, tagsOf, typeAt } from './btf.ts';
import type { Btf, TypeId } from './btf.ts';
import { ObjectFormatError, readElf, sectionNamed } from './elf.ts';
import type { Elf } from './elf.ts';
import { layoutOf, layoutText } from './layout.ts';
import type { EnumLayout, Layout, StructLayout } from './layout.ts';

type ProgramSpec = { readonly name: string; readonly section: string };

export type MapSpec = {
  readonly name: string;
  /** enum bpf_map_type. */
  readonly type: number;
  /** Bytes; 0 where the type has none (ring buffers). */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags: number;
  /** Undefined where the definition gives only a size, or nothing. */
  readonly key: Layout | undefined;
  readonly value: Layout | undefined;
  /** The map that entries of a map of maps hold. */
  readonly inner: MapSpec | undefined;
};

export type ConfigVariable = {
  readonly name: string;
  readonly section: string;
  /** Bytes from the start of the section. */
  readonly offset: number;
  readonly layout: Layout;
  readonly size: number;
  readonly default: Buffer;
  readonly description: string;
};

export type ObjectSpec = {
  readonly programs: readonly ProgramSpec[];
  readonly maps: readonly MapSpec[];
  readonly config: readonly ConfigVariable[];
  /** Structs named `event` or `*_event`, the records of ring buffers. */
  readonly events: readonly StructLayout[];
  /** Every named enum but the kernel's own (bpf_*). */
  readonly enums: readonly EnumLayout[];
  /** 12 hex digits over all of the above but the programs and defaults: equal hashes, equal codecs. */
  readonly btfHash: string;
};

/** Describes an object file. Everything is sorted by name, so equal sources give equal descriptions. Throws ObjectFormatError. */
export function readObject(bytes: Uint8Array): ObjectSpec {
  try {
    return describe(bytes);
  } catch (error) {
    if (error instanceof RangeError)
      throw new ObjectFormatError('Cannot read the object, its types refer to themselves or to places outside it', { cause: error });
    throw error;
  }
}

function describe(bytes: Uint8Array): ObjectSpec {
  const elf = readElf(bytes);
  const section = sectionNamed(elf, '.BTF');
  if (!section) throw new ObjectFormatError('Cannot read the object, it has no .BTF section; wanted one compiled with -g');
  const btf = readBtf(section.bytes);
  const described = {
    maps: byName(mapsOf(btf)),
    config: byName(configOf(elf, btf)),
    events: byName(eventsOf(btf)),
    enums: byName(enumsOf(btf)),
  };
  const text = [
    ...described.maps.map(mapText),
    ...described.config.map((variable) => `config ${variable.name} ${layoutText(variable.layout)}`),
    ...described.events.map(layoutText),
    ...described.enums.map(layoutText),
  ];
  return { programs: byName(programsOf(elf)), ...described, btfHash: shortHash(text) };
}

/** Everything about a map that a pinned map of it must agree with, in one line. */
export function mapText(map: MapSpec): string {
  const [key, value] = [map.key, map.value].map((layout) => (layout ? layoutText(layout) : '-'));
  const inner = map.inner ? ` of (${mapText(map.inner)})` : '';
  return `map ${map.name} type ${map.type} key ${map.keySize} ${key} value ${map.valueSize} ${value} max ${map.maxEntries} flags ${map.flags}${inner}`;
}

/** First 12 hex digits of the SHA-256 over the lines. */
export function shortHash(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 12);
}

function byName<T extends { readonly name: string }>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function programsOf(elf: Elf): ProgramSpec[] {
  const code = new Set(elf.sections.filter((section) => section.executable && section.name !== '.text').map((section) => section.name));
  return elf.symbols.flatMap((symbol) =>
    symbol.kind === 'function' && symbol.global && code.has(symbol.section) ? [{ name: symbol.name, section: symbol.section }] : [],
  );
}

function variablesIn(
  btf: Btf,
  section: (name: string) => boolean,
): { name: string; type: TypeId; id: TypeId; section: string; global: boolean }[] {
  return btf.types.flatMap((type) => {
    if (type.kind !== 'section' || !section(type.name)) return [];
    return type.variables.flatMap((entry) => {
      const variable = typeAt(btf, entry.type);
      return variable.kind === 'variable'
        ? [{ name: variable.name, type: variable.type, id: entry.type, section: type.name, global: variable.global }]
        : [];
    });
  });
}

function mapsOf(btf: Btf): MapSpec[] {
  return variablesIn(btf, (name) => name === '.maps').map((variable) => mapOf(btf, variable.name, variable.type));
}

/** `__uint(name, n)` is a pointer to an array of n, `__type(name, t)` a pointer to t, `__array(values, t)` an array of pointers to t. */
function mapOf(btf: Btf, name: string, id: TypeId): MapSpec {
  const definition = plainType(btf, id);
  if (definition.kind !== 'struct')
    throw new ObjectFormatError(`Cannot read the map '${name}', wanted a struct as libbpf's __uint and __type build it`);
  const target = (member: string): TypeId | undefined => {
    const found = definition.members.find((candidate) => candidate.name === member);
    const type = found && plainType(btf, found.type);
    return type?.kind === 'pointer' ? type.type : type?.kind === 'array' ? type.element : undefined;
  };
  const number = (member: string): number | undefined => {
    const type = target(member);
    const array = type === undefined ? undefined : plainType(btf, type);
    return array?.kind === 'array' ? array.length : undefined;
  };
  const [key, value, values] = ['key', 'value', 'values'].map(target);
  return {
    name,
    type: number('type') ?? 0,
    keySize: key === undefined ? (number('key_size') ?? 0) : sizeOf(btf, key),
    valueSize: value === undefined ? (number('value_size') ?? 0) : sizeOf(btf, value),
    maxEntries: number('max_entries') ?? 0,
    flags: number('map_flags') ?? 0,
    key: key === undefined ? undefined : layoutOf(btf, key),
    value: value === undefined ? undefined : layoutOf(btf, value),
    inner: values === undefined ? undefined : innerMapOf(btf, name, values),
  };
}

/** Program arrays have `values` too; they point at functions, which are no maps. */
function innerMapOf(btf: Btf, name: string, pointer: TypeId): MapSpec | undefined {
  const type = plainType(btf, pointer);
  if (type.kind !== 'pointer' || plainType(btf, type.type).kind !== 'struct') return undefined;
  return mapOf(btf, `${name}.inner`, type.type);
}

function configOf(elf: Elf, btf: Btf): ConfigVariable[] {
  const knobs = variablesIn(btf, (name) => name === '.rodata' || name.startsWith('.rodata.')).filter(
    (variable) => variable.global && isKnob(btf, variable.type),
  );
  return knobs.map((variable) => {
    const symbol = elf.symbols.find(
      (candidate) => candidate.kind === 'object' && candidate.name === variable.name && candidate.section === variable.section,
    );
    const bytes = sectionNamed(elf, variable.section)?.bytes;
    if (!symbol || !bytes)
      throw new ObjectFormatError(`Cannot place the knob '${variable.name}', no symbol of that name in ${variable.section}`);
    const size = sizeOf(btf, variable.type);
    return {
      name: variable.name,
      section: variable.section,
      offset: symbol.offset,
      layout: layoutOf(btf, variable.type),
      size,
      default: Buffer.from(bytes.subarray(symbol.offset, symbol.offset + size)),
      description: tagsOf(btf, variable.id)[0] ?? '',
    };
  });
}

/** `const volatile`: a plain constant is compiled into the code and cannot be set. Qualifiers come in either order. */
function isKnob(btf: Btf, id: TypeId): boolean {
  const type = typeAt(btf, id);
  if (type.kind === 'volatile') return true;
  if (type.kind === 'const') return isKnob(btf, type.type);
  return type.kind === 'array' && isKnob(btf, type.element);
}

function eventsOf(btf: Btf): StructLayout[] {
  return btf.types.flatMap((type, id) => {
    if (type.kind !== 'struct' || !/^(\w+_)?event$/.test(type.name) || type.name.startsWith('bpf_')) return [];
    const layout = layoutOf(btf, plainTypeId(btf, id));
    return layout.kind === 'struct' ? [layout] : [];
  });
}

function enumsOf(btf: Btf): EnumLayout[] {
  return btf.types.flatMap((type) => (type.kind === 'enum' && type.name !== '' && !type.name.startsWith('bpf_') ? [type] : []));
}
