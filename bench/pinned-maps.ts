// SPDX-License-Identifier: Apache-2.0
// A node's maps, looked at from outside.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap } from '../src/kernel/map.ts';
import { schemaHash } from '../src/datapath/schema.gen.ts';
import type { SandboxNode } from '../sandbox/node.ts';

export const PINS = '/sys/fs/bpf/stentor';

const directory = (node: SandboxNode): string => node.path(join(PINS, 'maps', schemaHash));

/** Throws KernelError ENOENT when the agent has not made it yet. */
export const pinnedMap = (node: SandboxNode, name: string): BpfMap => BpfMap.openPinned(join(directory(node), name));

export const pinnedMaps = (node: SandboxNode): readonly BpfMap[] => readdirSync(directory(node)).map((name) => pinnedMap(node, name));

export function countOf(map: BpfMap): number {
  let count = 0;
  for (const _ of map.entries()) count++;
  return count;
}
