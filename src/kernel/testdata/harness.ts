// SPDX-License-Identifier: Apache-2.0
// What the tests of src/kernel share: compiled test programs, and places in the kernel that are gone when the test process ends.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { native } from '../addon.ts';
import { KernelError } from '../errors.ts';
import { BpfMap, MapType } from '../map.ts';
import { createNetns, deleteNetns } from '../netns.ts';

const buildDirectory = fileURLToPath(new URL('../../../build/test/kernel/', import.meta.url));

/** Path of testdata/<name>.bpf.c, compiled. */
export function compiled(name: string): string {
  const output = join(buildDirectory, `${name}.bpf.o`);
  const unfinished = `${output}.${process.pid}`; // test files run at the same time
  mkdirSync(buildDirectory, { recursive: true });
  const source = fileURLToPath(new URL(`${name}.bpf.c`, import.meta.url));
  // Debian keeps asm/ where only the native target looks.
  execFileSync('clang-19', [
    '-target',
    'bpf',
    '-mcpu=v3',
    '-g',
    '-O2',
    '-Wall',
    '-Werror',
    '-I/usr/include/x86_64-linux-gnu',
    '-I/usr/include/aarch64-linux-gnu',
    '-c',
    source,
    '-o',
    unfinished,
  ]);
  renameSync(unfinished, output);
  return output;
}

/** Why no test here that needs bpf(2) can run, or false. */
export const bpfMissing = refusal('bpf(2)', () =>
  BpfMap.create({ name: 'probe', type: MapType.array, keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 })[Symbol.dispose](),
);

/** The same for network namespaces. */
export const netnsMissing = refusal('unshare(CLONE_NEWNET)', () => {
  using _netns = temporaryNetns();
});

/** The same for cgroup2: its mount point must be writable. */
export const cgroupMissing = refusal('a writable cgroup2', () => {
  using _cgroup = temporaryCgroup();
});

function refusal(capability: string, probe: () => void): string | false {
  try {
    probe();
    return false;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return `missing capability: ${capability} is refused with ${code}`;
  }
}

export type TemporaryPlace = Disposable & { readonly path: string };

/** A bpf filesystem of its own. */
export function temporaryBpffs(): TemporaryPlace {
  const path = mkdtempSync(join(tmpdir(), 'stentor-bpffs-'));
  execFileSync('mount', ['-t', 'bpf', 'bpf', path]);
  return place(path, () => {
    execFileSync('umount', [path]);
    rmdirSync(path);
  });
}

/** A network namespace of its own; it has the interface `lo` with index 1 and nothing else. */
export function temporaryNetns(): TemporaryPlace {
  const directory = mkdtempSync(join(tmpdir(), 'stentor-netns-'));
  const path = join(directory, 'net');
  const clean = () => rmSync(directory, { recursive: true });
  try {
    createNetns(path);
  } catch (error) {
    clean();
    throw error;
  }
  return place(path, () => {
    deleteNetns(path);
    clean();
  });
}

/** A cgroup2 directory of its own. */
export function temporaryCgroup(): TemporaryPlace {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '))
    ?.split(' ')[4];
  if (mount === undefined) throw new Error('Wanted a mounted cgroup2, found none');
  const path = mkdtempSync(join(mount, 'stentor-test-'));
  return place(path, () => rmdirSync(path));
}

function place(path: string, remove: () => void): TemporaryPlace {
  const onExit = () => remove(); // also when a test threw before its `using` ended
  process.once('exit', onExit);
  return {
    path,
    [Symbol.dispose]: () => {
      process.removeListener('exit', onExit);
      remove();
    },
  };
}

/** Number of descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length - 1; // without the one that lists
}

/** For assert.throws(): a KernelError with this code. */
export function kernelError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof KernelError && error.code === code;
}

/** Waits until `condition` holds; throws after `deadlineMs`. */
export async function eventually(what: string, condition: () => boolean, deadlineMs = 5_000): Promise<void> {
  const end = native().monotonicNs() + BigInt(deadlineMs) * 1_000_000n;
  while (!condition()) {
    if (native().monotonicNs() > end) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
