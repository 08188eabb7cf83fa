// SPDX-License-Identifier: Apache-2.0
// Loads the data plane: three objects that share their maps through pins.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StentorError } from '../base/errors.ts';
import { loadObject } from '../kernel/load.ts';
import type { LoadedObject } from '../kernel/load.ts';
import type { BpfMap } from '../kernel/map.ts';
import { readObject } from '../kernel/object.ts';
import type { ObjectSpec } from '../kernel/object.ts';
import type { BpfProgram } from '../kernel/program.ts';
import { encodeConfig, objects, schemaHash } from './schema.gen.ts';
import type { Config } from './schema.gen.ts';

export type DatapathOptions = {
  /** Holds pod.bpf.o, host.bpf.o and sock.bpf.o. */
  readonly objectDirectory: string;
  /** On a bpf filesystem. Maps go to a directory named after the schema, so that another schema never reads them. */
  readonly pinDirectory: string;
  readonly config: Partial<Config>;
  readonly maxEntries?: Readonly<Record<string, number>>;
};

export class Datapath {
  readonly #objects: readonly LoadedObject[];
  constructor(loaded: readonly LoadedObject[]) {
    this.#objects = loaded;
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

/** Throws VerifierError, PinnedMapError, KernelError, or StentorError SCHEMA when the files are not those that this program was made with. */
export async function loadDatapath({ objectDirectory, pinDirectory, config, maxEntries = {} }: DatapathOptions): Promise<Datapath> {
  const loaded: LoadedObject[] = [];
  for (const name of ['pod', 'host', 'sock'] as const) {
    const path = join(objectDirectory, `${name}.bpf.o`);
    const { btfHash } = objectAt(path);
    if (btfHash !== objects[name].btfHash)
      throw new StentorError(
        'SCHEMA',
        `Cannot use ${path}: its types are ${btfHash}, wanted ${objects[name].btfHash} (build the objects and the schema from the same sources)`,
      );
    const spec = { path, config: encodeConfig(config, name), pinDirectory: join(pinDirectory, schemaHash), maxEntries: { ...maxEntries } };
    loaded.push(await loadObject(spec));
  }
  return new Datapath(loaded);
}

function objectAt(path: string): ObjectSpec {
  try {
    return readObject(readFileSync(path));
  } catch (cause) {
    throw new StentorError('NoObject', `Cannot read the data plane's program ${path}, wanted what 'npm run setup' builds`, { cause });
  }
}
