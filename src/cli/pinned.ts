// SPDX-License-Identifier: Apache-2.0
// Maps of the data plane, opened where they are pinned: the agent is not asked, and need not live.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, StentorError } from '../base/errors.ts';
import { pinNameOf, retiredPinOf } from '../datapath/inheritance.ts';
import type { Codec } from '../kernel/codec.ts';
import { isKernelError } from '../kernel/errors.ts';
import { BpfMap } from '../kernel/map.ts';

export const BPF_ROOT = '/sys/fs/bpf';

type Kind<K, V> = { readonly name: string; readonly key: Codec<K>; readonly value: Codec<V> };

/** The entries of a map. `root`: bpf.root of the values. Throws StentorError when it cannot be opened. */
export function* pinnedEntries<K, V>(root: string, { name, key, value }: Kind<K, V>): Iterable<{ readonly key: K; readonly value: V }> {
  for (const [k, v] of pinnedBytes(root, name)) yield { key: key.decode(k), value: value.decode(v) };
}

/** The same as they are in the map. */
export function* pinnedBytes(root: string, name: string): Iterable<readonly [key: Buffer, value: Buffer]> {
  using map = opened(root, name);
  yield* map.entries();
}

function opened(root: string, name: string): BpfMap {
  const directory = join(root, 'stentor', 'maps');
  const path = join(directory, pinNameOf(name));
  try {
    // once more at last: meanwhile a larger map may have been made, and the smaller one removed
    return openedAt(path) ?? openedAt(join(directory, retiredPinOf(name))) ?? BpfMap.openPinned(path);
  } catch (cause) {
    const others = namesIn(join(directory, name));
    const why =
      others.length > 0
        ? `another version of this program has it as ${others.join(', ')}`
        : 'no agent has loaded the data plane here, or bpf.root is another (--bpf-root)';
    throw new StentorError('NoMap', `Cannot open ${path} (${messageOf(cause)}): ${why}`);
  }
}

/** Undefined when nothing is pinned there. */
function openedAt(path: string): BpfMap | undefined {
  try {
    return BpfMap.openPinned(path);
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
