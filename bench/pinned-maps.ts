// SPDX-License-Identifier: Apache-2.0
// A node's maps, looked at from outside.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap } from '../src/kernel/map.ts';
import { pinNameOf } from '../src/datapath/inheritance.ts';
import type { SandboxNode } from '../sandbox/node.ts';

export const PINS = '/sys/fs/bpf/stentor';

const directory = (node: SandboxNode): string => node.path(join(PINS, 'maps'));

/** Throws KernelError ENOENT when the agent has not made it yet. */
export const pinnedMap = (node: SandboxNode, name: string): BpfMap => BpfMap.openPinned(join(directory(node), pinNameOf(name)));

export const pinnedMaps = (node: SandboxNode): readonly BpfMap[] => readdirSync(directory(node)).map((name) => pinnedMap(node, name));
