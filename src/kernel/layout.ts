// SPDX-License-Identifier: Apache-2.0
// What bytes mean: the part of a C type that map keys, values, events and knobs can have, with every size and offset resolved.
// The same C type has the same layout and the same text whichever object it was compiled into.

import { plainType, plainTypeId, sizeOf, tagsOf, typeAt, typedefNames } from './btf.ts';
import type { Btf, BtfEnumerator, BtfStruct, TypeId } from './btf.ts';
import { ObjectFormatError } from './elf.ts';

/** An enum stands for its values, whatever integer holds it. */
export type EnumLayout = {
  readonly kind: 'enum';
  readonly name: string;
  readonly size: number;
  readonly members: readonly BtfEnumerator[];
};
export type StructLayout = { readonly kind: 'struct'; readonly name: string; readonly size: number; readonly fields: readonly Field[] };
export type IntegerLayout = {
  readonly kind: 'integer';
  readonly size: number;
  readonly signed: boolean;
  readonly bool: boolean;
  readonly char: boolean;
  /** Network byte order: a typedef named __be16, __be32 or __be64. */
  readonly bigEndian: boolean;
  /** Outermost typedef but __u* and __s*, '' without. */
  readonly typedef: string;
};

export type Layout =
  | IntegerLayout
  | EnumLayout
  | StructLayout
  | { readonly kind: 'array'; readonly size: number; readonly length: number; readonly element: Layout }
  /** Belongs to the kernel (struct bpf_spin_lock, bpf_timer): user space neither reads nor writes it. */
  | { readonly kind: 'opaque'; readonly name: string; readonly size: number };

/** `offset` is bytes from the start of the struct. */
export type Field = { readonly name: string; readonly offset: number; readonly layout: Layout };

/** The layout of a type. Throws ObjectFormatError for what has none: pointers, unions, bit-fields, floats. */
export function layoutOf(btf: Btf, id: TypeId): Layout {
  const type = plainType(btf, id);
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- all other kinds of types are refused alike
  switch (type.kind) {
    case 'int':
      return integerOf(btf, id, type);
    case 'enum':
      return { kind: 'enum', name: type.name || (typedefNames(btf, id)[0] ?? ''), size: type.size, members: type.members };
    case 'array':
      return { kind: 'array', size: sizeOf(btf, id), length: type.length, element: layoutOf(btf, type.element) };
    case 'struct':
      if (type.name.startsWith('bpf_')) return { kind: 'opaque', name: type.name, size: type.size };
      return structOf(btf, plainTypeId(btf, id), typedefNames(btf, id)[0] ?? '');
    default:
      throw new ObjectFormatError(`Cannot lay out BTF type ${id}, a ${type.kind}; wanted integers, enums, arrays and structs`);
  }
}

function integerOf(btf: Btf, id: TypeId, type: { size: number; signed: boolean; bool: boolean; char: boolean }): IntegerLayout {
  const names = typedefNames(btf, id);
  const typedef = names.find((name) => !/^(__)?[us](8|16|32|64)$|^u?int(8|16|32|64)_t$/.test(name)) ?? '';
  const bigEndian = names.some((name) => /^(__)?be(16|32|64)$/.test(name));
  return { kind: 'integer', size: type.size, signed: type.signed, bool: type.bool, char: type.char, bigEndian, typedef };
}

function structOf(btf: Btf, id: TypeId, typedef: string): StructLayout {
  const type = typeAt(btf, id) as BtfStruct; // the caller has resolved it
  const name = type.name || typedef;
  const fields = type.members.map((member, index) => {
    if (member.bitSize > 0 || member.offsetBits % 8 !== 0)
      throw new ObjectFormatError(`Cannot lay out ${name}.${member.name}, a bit-field`);
    try {
      return { name: member.name, offset: member.offsetBits / 8, layout: taggedLayout(btf, member.type, tagsOf(btf, id, index)) };
    } catch (error) {
      throw new ObjectFormatError(`Cannot lay out ${name}.${member.name}`, { cause: error });
    }
  });
  return { kind: 'struct', name, size: type.size, fields };
}

/** A declaration tag 'enum NAME' gives an integer member the meaning of that enum, so that it can take one byte. */
function taggedLayout(btf: Btf, id: TypeId, tags: readonly string[]): Layout {
  const layout = layoutOf(btf, id);
  const wanted = tags.map((tag) => /^enum (\w+)$/.exec(tag)?.[1]).find((name) => name !== undefined);
  if (wanted === undefined) return layout;
  const type = btf.types.find((candidate) => candidate.kind === 'enum' && candidate.name === wanted);
  if (type?.kind !== 'enum' || layout.kind !== 'integer')
    throw new ObjectFormatError(`Cannot apply the tag 'enum ${wanted}', wanted an integer and an enum that the object contains`);
  return { kind: 'enum', name: type.name, size: layout.size, members: type.members };
}

/** The layout in one line, the same for the same meaning: what schema hashes are taken of. */
export function layoutText(layout: Layout): string {
  switch (layout.kind) {
    case 'integer':
      return `${layout.bigEndian ? 'be' : layout.bool ? 'bool' : layout.char ? 'char' : layout.signed ? 's' : 'u'}${layout.size * 8}${layout.typedef && ` ${layout.typedef}`}`;
    case 'enum':
      return `enum ${layout.name} ${layout.size} { ${layout.members.map((member) => `${member.name}=${member.value}`).join(' ')} }`;
    case 'struct':
      return `struct ${layout.name} ${layout.size} { ${layout.fields.map((field) => `${field.name}@${field.offset} ${layoutText(field.layout)};`).join(' ')} }`;
    case 'array':
      return `${layoutText(layout.element)}[${layout.length}]`;
    case 'opaque':
      return `opaque ${layout.name} ${layout.size}`;
  }
}
