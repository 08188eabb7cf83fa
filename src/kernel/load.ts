// SPDX-License-Identifier: Apache-2.0
// From an object file to loaded programs and their maps:
//
//   open ─▶ configure (.rodata, sizes, which programs) ─▶ take over pinned maps ─▶ load (verifier) ─▶ pin new maps ─▶ LoadedObject
//
// .rodata is known to the verifier: a knob that is off costs nothing at run time. Pinned maps keep their entries over restarts and upgrades; the sections
// of the object (.rodata, .data, .bss) belong to one load and are never pinned.

import { existsSync, mkdirSync, statfsSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StentorError } from '../base/errors.ts';
import type { MapDeclaration, ObjectHandle } from './addon.ts';
import { native } from './addon.ts';
import { KernelError } from './errors.ts';
import { BpfMap } from './map.ts';
import { BpfProgram } from './program.ts';

/** Bytes to write into a section before the load; `offset` from its start. */
export type SectionBytes = { readonly section: string; readonly offset: number; readonly bytes: Uint8Array };

export type ObjectLoad = {
  /** Of the ELF file that clang made with -target bpf -g. */
  readonly path: string;
  readonly config?: readonly SectionBytes[];
  /** On a bpf filesystem, made if missing. Each map is pinned here under its name, and taken from here when it is pinned already. */
  readonly pinDirectory?: string;
  /** Path in pinDirectory by map name; the name itself unless said otherwise. */
  readonly pinName?: (map: string) => string;
  /** By map name, in place of what the file declares. A map that is pinned keeps the size that it has, and is none of these. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Names of the programs to load; all unless said otherwise. */
  readonly programs?: readonly string[];
};

/** Owns the descriptors of one load. Pins and attachments stay when it is disposed. */
export class LoadedObject {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly programs: ReadonlyMap<string, BpfProgram>;

  constructor(maps: ReadonlyMap<string, BpfMap>, programs: ReadonlyMap<string, BpfProgram>) {
    this.maps = maps;
    this.programs = programs;
  }

  [Symbol.dispose](): void {
    for (const map of this.maps.values()) map[Symbol.dispose]();
    for (const program of this.programs.values()) program[Symbol.dispose]();
  }
}

/** The verifier did not accept a program. `log` is all that it said. */
export class VerifierError extends StentorError {
  readonly program: string;
  readonly log: string;

  constructor(program: string, log: string, cause: KernelError) {
    super(cause.code, `The verifier rejected program ${program} (${cause.code}): ${lastWords(log)}`, { cause });
    this.program = program;
    this.log = log;
  }
}

/** A map that is pinned differs from what the object file wants, so it cannot be taken over. */
export class PinnedMapError extends StentorError {
  readonly map: string;

  constructor(map: string, path: string, differences: string) {
    super('EPINNED', `Could not reuse map ${map} pinned at ${path}: ${differences}`);
    this.map = map;
  }
}

/**
 * Loads an object file off the main thread. Throws VerifierError, PinnedMapError, KernelError (with libbpf's words), RangeError when a program or map is
 * named that the file does not have; after a throw nothing is loaded, and nothing new is pinned.
 */
export async function loadObject(load: ObjectLoad): Promise<LoadedObject> {
  const object = open(load.path);
  try {
    const maps = native().objectMaps(object);
    configure(object, load, maps);
    const reused = load.pinDirectory === undefined ? new Set<string>() : takeOverPinnedMaps(object, load.pinDirectory, maps, load);
    try {
      await native().objectLoad(object);
    } catch (error) {
      throw loadFailure(error);
    }
    return pinned(collect(object, maps, wantedPrograms(object, load)), load, reused);
  } finally {
    native().close(object);
  }
}

function open(path: string): ObjectHandle {
  try {
    return native().objectOpen(path);
  } catch (error) {
    throw loadFailure(error);
  }
}

function configure(object: ObjectHandle, load: ObjectLoad, maps: readonly MapDeclaration[]): void {
  for (const { section, offset, bytes } of load.config ?? []) native().objectSetData(object, section, offset, bytes);
  for (const [name, entries] of Object.entries(load.maxEntries ?? {})) {
    if (!maps.some((map) => map.name === name))
      throw new RangeError(`No map ${name} in ${load.path}: it has ${maps.map((map) => map.name).join(', ')}`);
    native().objectSetMaxEntries(object, name, entries);
  }
  const wanted = new Set(wantedPrograms(object, load));
  for (const { name } of native().objectPrograms(object)) {
    if (!wanted.has(name)) native().objectSetAutoload(object, name, false);
  }
}

function wantedPrograms(object: ObjectHandle, load: ObjectLoad): readonly string[] {
  const names = native()
    .objectPrograms(object)
    .map((program) => program.name);
  for (const name of load.programs ?? []) {
    if (!names.includes(name)) throw new RangeError(`No program ${name} in ${load.path}: it has ${names.join(', ')}`);
  }
  return load.programs ?? names;
}

/** Returns the names of the maps that were pinned already. */
function takeOverPinnedMaps(
  object: ObjectHandle,
  directory: string,
  maps: readonly MapDeclaration[],
  { pinName = itself }: Pick<ObjectLoad, 'pinName'>,
): ReadonlySet<string> {
  makePinDirectory(directory);
  const reused = new Set<string>();
  for (const declared of maps) {
    if (declared.internal) continue;
    const path = join(directory, pinName(declared.name));
    if (!existsSync(path)) continue;
    using map = BpfMap.openPinned(path);
    const differences = differencesOf(map, declared);
    if (differences !== '') throw new PinnedMapError(declared.name, path, differences);
    native().objectSetMaxEntries(object, declared.name, map.maxEntries);
    native().objectReuseMap(object, declared.name, map.handle);
    reused.add(declared.name);
  }
  return reused;
}

const itself = (name: string): string => name;

const bpfFilesystem = 0xcafe4a11; // BPF_FS_MAGIC

function makePinDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true });
  if (statfsSync(directory).type !== bpfFilesystem) {
    throw new StentorError(
      'ENOTBPFFS',
      `Could not pin maps in ${directory}: wanted a directory on a bpf filesystem (mount -t bpf bpf /sys/fs/bpf)`,
    );
  }
}

const compared = ['type', 'keySize', 'valueSize', 'flags'] as const;

function differencesOf(map: BpfMap, declared: MapDeclaration): string {
  return compared
    .filter((property) => map[property] !== declared[property])
    .map((property) => `wanted ${property} ${declared[property]}, found ${map[property]}`)
    .join('; ');
}

function collect(object: ObjectHandle, maps: readonly MapDeclaration[], programs: readonly string[]): LoadedObject {
  const external = maps.filter((map) => !map.internal);
  return new LoadedObject(
    new Map(external.map(({ name }) => [name, new BpfMap(native().objectMap(object, name))])),
    new Map(programs.map((name) => [name, new BpfProgram(native().objectProgram(object, name))])),
  );
}

/** Pins what is not pinned yet; takes its own pins back when one fails. */
function pinned(
  loaded: LoadedObject,
  { pinDirectory: directory, pinName = itself }: ObjectLoad,
  reused: ReadonlySet<string>,
): LoadedObject {
  if (directory === undefined) return loaded;
  const paths: string[] = [];
  try {
    for (const [name, map] of loaded.maps) {
      if (reused.has(name)) continue;
      const path = join(directory, pinName(name));
      mkdirSync(dirname(path), { recursive: true });
      map.pin(path);
      paths.push(path);
    }
  } catch (error) {
    for (const path of paths) unlinkSync(path);
    loaded[Symbol.dispose]();
    throw error;
  }
  return loaded;
}

/**
 * What libbpf prints around a rejected program:
 *   libbpf: prog 'pod_from': BPF program load failed: Permission denied
 *   libbpf: prog 'pod_from': -- BEGIN PROG LOAD LOG --
 *   …
 *   -- END PROG LOAD LOG --
 */
const rejection = /prog '([^']+)': -- BEGIN PROG LOAD LOG --\n([^]*?)\n?-- END PROG LOAD LOG --/;

function loadFailure(error: unknown): unknown {
  if (!(error instanceof KernelError) || error.log === undefined) return error;
  const [, program, log] = rejection.exec(error.log) ?? [];
  if (program !== undefined && log !== undefined) return new VerifierError(program, log, error);
  const { code, errno, syscall } = error;
  return new KernelError(`${error.message}: ${lastWords(error.log)}`, { code, errno, syscall, log: error.log, cause: error });
}

/** The last lines that explain something; the verifier ends with its statistics. */
function lastWords(log: string): string {
  const lines = log.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !/^(processed|verification time|stack depth) /.test(line))
    .slice(-3)
    .join(' | ');
}
