// SPDX-License-Identifier: Apache-2.0
// Loads the data plane: objects that share their maps through pins.

import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { StentorError } from '../base/errors.ts';
import { loadObject } from '../kernel/load.ts';
import type { LoadedObject } from '../kernel/load.ts';
import { BpfMap } from '../kernel/map.ts';
import { readObject } from '../kernel/object.ts';
import type { ObjectSpec } from '../kernel/object.ts';
import type { BpfProgram } from '../kernel/program.ts';
import { forgetPredecessors, inherit, overwrite, pinNameOf, predecessorsOf, retire } from './inheritance.ts';
import { encodeConfig, handoverCodec, maps, objects } from './schema.gen.ts';
import type { Config } from './schema.gen.ts';
import { nextSize } from './sizes.ts';
import type { Found } from './sizes.ts';

export type DatapathOptions = {
  /** Holds pod.bpf.o, host.bpf.o, sock.bpf.o and xdp.bpf.o. */
  readonly objectDirectory: string;
  /** On a bpf filesystem. Each map has a directory in it, and there a pin named after its definition: see inheritance.ts. */
  readonly pinDirectory: string;
  readonly config: Partial<Config>;
  /** Sizes of new maps, in place of those that are declared. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Of the node, unless said otherwise. */
  readonly memoryBytes?: number;
};

/** What programs write, and nobody else. */
const FLOWS = ['conntrack', 'sock_reverse', 'lb_affinities', 'last_hops'];

/** Of the time that programs write into maps, which is some milliseconds late: a second less. */
const monotonicSeconds = () => Number(process.hrtime.bigint() / 1_000_000_000n) - 1;

export class Datapath {
  readonly #objects: readonly LoadedObject[];
  readonly #pinDirectory: string;
  #swapping = false;
  /** Seconds of CLOCK_MONOTONIC: all that predecessors' flows were then has been copied. */
  #copied = 0;
  constructor(loaded: readonly LoadedObject[], pinDirectory: string) {
    this.#objects = loaded;
    this.#pinDirectory = pinDirectory;
  }

  /** Pins of earlier maps, by which programs may still be running. */
  get predecessors(): readonly string[] {
    return this.maps.flatMap(({ name }) => predecessorsOf(this.#pinDirectory, name));
  }

  /**
   * Copies what predecessors have and this version's maps do not; once programs are swapped only of what programs write, since the rest
   * has its owner here. How many entries. Throws KernelError.
   */
  async inherit(): Promise<number> {
    const [began, since] = [monotonicSeconds(), this.#copied];
    let entries = 0;
    for (const map of this.maps.filter(({ name }) => !this.#swapping || FLOWS.includes(name)))
      for (const path of predecessorsOf(this.#pinDirectory, map.name)) entries += await inherit(path, map, since);
    this.#copied = began;
    return entries;
  }

  /** Whether programs of this version run beside predecessors' maps. */
  get swapping(): boolean {
    return this.#swapping;
  }

  /**
   * To be called before a program of this version runs: what predecessors know of flows by then is copied, also over what was copied
   * of them before, and for `waitMs` packets of no known flow wait. Who began that and died left newer flows than they have.
   */
  swap(waitMs: number): void {
    if (this.#swapping) return;
    const flows = FLOWS.flatMap((name) => predecessorsOf(this.#pinDirectory, name).map((path) => [path, this.map(name)] as const));
    if (flows.length === 0) return;
    this.#swapping = true;
    const [first] = [...this.map('handovers').entries()];
    if (first && handoverCodec.decode(first[1]).until === 0) {
      const began = monotonicSeconds();
      for (const [path, map] of flows) overwrite(path, map, this.#copied);
      this.#copied = began;
    }
    this.awaitFlows(waitMs);
  }

  /** From now on, at programs of predecessors as well, as far as they know what that is; 0: no longer. */
  awaitFlows(ms: number): void {
    const until = ms === 0 ? 0 : Number(process.hrtime.bigint()) + ms * 1e6;
    const value = handoverCodec.encode({ until });
    const own = this.map('handovers');
    own.update(Buffer.alloc(4), value);
    for (const path of predecessorsOf(this.#pinDirectory, 'handovers')) {
      using before = BpfMap.openPinned(path);
      if (before.keySize === own.keySize && before.valueBytes === own.valueBytes) before.update(Buffer.alloc(4), value);
    }
  }

  /** To be called when no program of another version runs any more. */
  forgetPredecessors(): void {
    if (this.#swapping) this.awaitFlows(0);
    this.#swapping = false;
    forgetPredecessors(this.#pinDirectory);
  }

  /** Every program that may be attached. */
  get programs(): readonly BpfProgram[] {
    return this.#objects.flatMap((object) => [...object.programs.values()]);
  }

  get maps(): readonly BpfMap[] {
    const byName = new Map(this.#objects.flatMap((object) => [...object.maps]));
    return [...byName.values()];
  }

  /** Throws StentorError NoProgram. */
  program(name: string): BpfProgram {
    const found = this.#objects.flatMap((object) => object.programs.get(name) ?? [])[0];
    if (!found)
      throw new StentorError('NoProgram', `Cannot find program ${name} in the data plane's objects, wanted what 'npm run setup' builds`);
    return found;
  }

  map(name: string): BpfMap {
    const found = this.#objects.flatMap((object) => object.maps.get(name) ?? [])[0];
    if (!found) throw new RangeError(`Cannot find map ${name} in the loaded objects`);
    return found;
  }

  [Symbol.dispose](): void {
    for (const object of this.#objects) object[Symbol.dispose]();
  }
}

/** The data plane with all that its predecessors know. Throws VerifierError, PinnedMapError, KernelError, or StentorError SCHEMA when the files are not those that this program was made with. */
export async function loadDatapath(options: DatapathOptions): Promise<Datapath> {
  const { objectDirectory, pinDirectory, config } = options;
  const maxEntries = sizesFor(options);
  const loaded: LoadedObject[] = [];
  for (const name of ['pod', 'host', 'sock', 'xdp'] as const) {
    const path = join(objectDirectory, `${name}.bpf.o`);
    const { btfHash } = objectAt(path);
    if (btfHash !== objects[name].btfHash)
      throw new StentorError(
        'SCHEMA',
        `Cannot use ${path}: its types are ${btfHash}, wanted ${objects[name].btfHash} (build the objects and the schema from the same sources)`,
      );
    loaded.push(await loadObject({ path, config: encodeConfig(config, name), pinDirectory, pinName: pinNameOf, maxEntries }));
  }
  const datapath = new Datapath(loaded, pinDirectory);
  try {
    await datapath.inherit();
  } catch (error) {
    datapath[Symbol.dispose]();
    throw error;
  }
  return datapath;
}

/** Sizes of the maps that are made now. A pinned map that has become too full makes way for a larger one. */
function sizesFor({ pinDirectory, maxEntries = {}, memoryBytes = totalmem() }: DatapathOptions): Readonly<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const schema of Object.values(maps)) {
    if (!SIZED.has(schema.type)) continue;
    const found = foundOf(pinDirectory, schema.name);
    const size = nextSize(schema, found, memoryBytes, maxEntries[schema.name]);
    if (found.size !== undefined && size > found.size) retire(pinDirectory, schema.name);
    sizes[schema.name] = size;
  }
  return sizes;
}

/** Types whose size is a number of entries that come and go. */
const SIZED: ReadonlySet<string> = new Set(['hash', 'lru_hash', 'lpm_trie']);

function foundOf(pinDirectory: string, name: string): Found {
  const predecessors = predecessorsOf(pinDirectory, name).map((path) => {
    using map = BpfMap.openPinned(path);
    return map.maxEntries;
  });
  const pin = join(pinDirectory, pinNameOf(name));
  if (!existsSync(pin)) return { size: undefined, entries: 0, predecessors };
  using map = BpfMap.openPinned(pin);
  return { size: map.maxEntries, entries: map.count(), predecessors };
}

function objectAt(path: string): ObjectSpec {
  try {
    return readObject(readFileSync(path));
  } catch (cause) {
    throw new StentorError('NoObject', `Cannot read the data plane's program ${path}, wanted what 'npm run setup' builds`, { cause });
  }
}
