// SPDX-License-Identifier: Apache-2.0
// Sections and symbols of a relocatable 64-bit little-endian ELF file, as `clang -target bpf -c` writes it. Pure.
//
//   ELF header ─▶ section header table ─▶ sections by name (.BTF, .maps, .rodata, tc, ...)
//                                    └──▶ .symtab + .strtab ─▶ symbols: name, section, offset in that section

import { StentorError } from '../base/errors.ts';

export type ElfSection = {
  readonly name: string;
  readonly executable: boolean;
  /** Empty for .bss, which takes no room in the file. */
  readonly bytes: Buffer;
};

type ElfSymbol = {
  readonly name: string;
  readonly kind: 'object' | 'function' | 'other';
  readonly global: boolean;
  readonly section: string;
  /** Bytes from the start of the section. */
  readonly offset: number;
  readonly size: number;
};

export type Elf = { readonly sections: readonly ElfSection[]; readonly symbols: readonly ElfSymbol[] };

/** The bytes are not an object that this reader knows; the message says why. */
export class ObjectFormatError extends StentorError {
  constructor(message: string, options?: ErrorOptions) {
    super('OBJECT_FORMAT', message, options);
  }
}

const SectionType = { symtab: 2, nobits: 8 } as const;
const SHF_EXECINSTR = 4;
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STB_GLOBAL = 1;
const EM_BPF = 247;

/** Reads sections and symbols (System V ABI, chapter 4). Throws ObjectFormatError. */
export function readElf(bytes: Uint8Array): Elf {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46)
    throw new ObjectFormatError(`Cannot read ${file.length} bytes as an ELF object, wanted the magic 7f 45 4c 46`);
  if (file.readUInt8(4) !== 2 || file.readUInt8(5) !== 1)
    throw new ObjectFormatError('Cannot read the ELF object, wanted 64-bit little-endian');
  const machine = file.readUInt16LE(18);
  if (machine !== EM_BPF) throw new ObjectFormatError(`Cannot read the ELF object for machine ${machine}, wanted ${EM_BPF} (BPF)`);
  try {
    const headers = sectionHeaders(file);
    return { sections: headers.map(sectionOf), symbols: symbolsOf(headers) };
  } catch (error) {
    if (error instanceof RangeError)
      throw new ObjectFormatError('Cannot read the ELF object, a table points outside the file', { cause: error });
    throw error;
  }
}

/** The section of that name, or undefined. */
export function sectionNamed(elf: Elf, name: string): ElfSection | undefined {
  return elf.sections.find((section) => section.name === name);
}

/** struct Elf64_Shdr with its name and bytes looked up. */
type Header = { readonly name: string; readonly type: number; readonly flags: number; readonly link: number; readonly bytes: Buffer };

function sectionHeaders(file: Buffer): Header[] {
  const table = Number(file.readBigUInt64LE(0x28)); // e_shoff
  const entrySize = file.readUInt16LE(0x3a); // e_shentsize
  const count = file.readUInt16LE(0x3c); // e_shnum
  const nameSection = file.readUInt16LE(0x3e); // e_shstrndx
  if (table + count * entrySize > file.length)
    throw new RangeError(`section headers end at ${table + count * entrySize} of ${file.length}`);
  const names = contentsAt(file, table + nameSection * entrySize);
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * entrySize;
    return {
      name: textAt(names, file.readUInt32LE(at)), // sh_name
      type: file.readUInt32LE(at + 4), // sh_type
      flags: Number(file.readBigUInt64LE(at + 8)), // sh_flags
      link: file.readUInt32LE(at + 40), // sh_link
      bytes: contentsAt(file, at),
    };
  });
}

function contentsAt(file: Buffer, header: number): Buffer {
  if (file.readUInt32LE(header + 4) === SectionType.nobits) return Buffer.alloc(0);
  const offset = Number(file.readBigUInt64LE(header + 24)); // sh_offset
  const size = Number(file.readBigUInt64LE(header + 32)); // sh_size
  if (offset + size > file.length) throw new RangeError(`section ends at ${offset + size} of ${file.length}`);
  return file.subarray(offset, offset + size);
}

function sectionOf(header: Header): ElfSection {
  return { name: header.name, executable: (header.flags & SHF_EXECINSTR) !== 0, bytes: header.bytes };
}

/** struct Elf64_Sym: st_name u32, st_info u8, st_other u8, st_shndx u16, st_value u64, st_size u64. */
function symbolsOf(headers: readonly Header[]): ElfSymbol[] {
  const table = headers.find((header) => header.type === SectionType.symtab);
  const names = table && headers[table.link]?.bytes;
  if (!table || !names) return [];
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at + 24 <= table.bytes.length; at += 24) {
    const info = table.bytes.readUInt8(at + 4);
    const section = headers[table.bytes.readUInt16LE(at + 6)];
    const type = info & 0xf;
    symbols.push({
      name: textAt(names, table.bytes.readUInt32LE(at)),
      kind: type === STT_OBJECT ? 'object' : type === STT_FUNC ? 'function' : 'other',
      global: info >> 4 === STB_GLOBAL,
      section: section?.name ?? '',
      offset: Number(table.bytes.readBigUInt64LE(at + 8)),
      size: Number(table.bytes.readBigUInt64LE(at + 16)),
    });
  }
  return symbols;
}

/** NUL-terminated text in a string table. */
export function textAt(strings: Buffer, offset: number): string {
  const end = strings.indexOf(0, offset);
  if (offset >= strings.length || end < 0) throw new RangeError(`text at ${offset} of ${strings.length} bytes`);
  return strings.toString('utf8', offset, end);
}
