// SPDX-License-Identifier: Apache-2.0
// Network namespaces by path, as ip-netns(8) lays them out. No thread of this process ever enters one: what has to happen inside happens on a thread that
// the addon makes for it (about 0.1 ms), and sockets stay in the namespace in which they were opened.

import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { native } from './addon.ts';
import { PROC_SYS } from './proc-sys.ts';

const namedDirectory = '/run/netns';

/** Where `ip netns` looks for a name. */
export function netnsPath(name: string): string {
  return `${namedDirectory}/${name}`;
}

/** Makes a namespace that lives until deleteNetns(path) and the end of its last process and socket. Throws KernelError (EEXIST, EPERM). */
export function createNetns(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  native().netnsCreate(path);
}

/** Removes the path. Throws KernelError (ENOENT). */
export function deleteNetns(path: string): void {
  native().netnsDelete(path);
}

/** Equal inodes are the same namespace; unique while it exists. Throws what fs.statSync() throws. */
export function netnsInode(path: string): number {
  return statSync(path).ino;
}

/** Reads a sysctl as the namespace sees it, e.g. 'net/ipv4/ip_forward', without the final newline. */
export function readSysctl(netns: string, name: string): string {
  return native().netnsReadFile(netns, `${PROC_SYS}/${name}`).trimEnd();
}

/** Throws KernelError (ENOENT: no such sysctl; EINVAL: not a value for it). */
export function writeSysctl(netns: string, name: string, value: string): void {
  native().netnsWriteFile(netns, `${PROC_SYS}/${name}`, value);
}
