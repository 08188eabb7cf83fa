// SPDX-License-Identifier: Apache-2.0
// Puts the CNI plugin and its configuration where the container runtime looks. Whoever looks sees the old file or the new one, never half.

import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf } from '../base/errors.ts';

export const PLUGIN = 'cilium-cni';
export const CONFLIST = '05-cilium.conflist';

/**
 * The network as the runtime reads it. Version 1.0.0 is the newest that every runtime of Kubernetes 1.31 reads; one that knows
 * `cniVersions` (libcni 1.2) takes the newest of these that it speaks, and from 1.1.0 on calls STATUS and GC.
 */
export const conflist = { cniVersion: '1.0.0', cniVersions: ['1.0.0', '1.1.0'], name: 'cilium', plugins: [{ type: PLUGIN }] } as const;

/** The directory of cni.confPath, which may name the directory or a file in it. */
export function confDirOf(confPath: string): string {
  return confPath.endsWith('.conflist') ? dirname(confPath) : confPath;
}

/** Copies the plugin at `from` to `binDir` unless it is there. A plugin that runs at the moment is not disturbed. */
export function installPlugin(from: string, binDir: string): void {
  mkdirSync(binDir, { recursive: true, mode: 0o755 });
  const wanted = readFileSync(from);
  const present = statSync(join(binDir, PLUGIN), { throwIfNoEntry: false });
  if (present?.size === wanted.length && (present.mode & 0o777) === 0o755 && readFileSync(join(binDir, PLUGIN)).equals(wanted)) return;
  const hidden = join(binDir, `.${PLUGIN}.new`);
  copyFileSync(from, hidden);
  chmodSync(hidden, 0o755);
  renameSync(hidden, join(binDir, PLUGIN));
}

/**
 * Writes the configuration to `confDir`, mode 0600; an equal one is left alone, as runtimes reload when the directory changes.
 * `exclusive` renames every other configuration to *.cilium_bak, after ours is in place. Returns the names that it renamed.
 */
export function installConflist(confDir: string, exclusive: boolean): readonly string[] {
  mkdirSync(confDir, { recursive: true, mode: 0o755 });
  const path = join(confDir, CONFLIST);
  const text = `${JSON.stringify(conflist, undefined, 2)}\n`;
  if (contentOf(path) !== text) {
    const hidden = join(confDir, `.${CONFLIST}.new`);
    writeFileSync(hidden, text, { mode: 0o600 });
    chmodSync(hidden, 0o600); // the mode above holds for a new file only
    renameSync(hidden, path);
  }
  const others = exclusive ? readdirSync(confDir).filter((name) => name !== CONFLIST && /^[^.].*\.(conf|conflist|json)$/.test(name)) : [];
  for (const name of others) renameSync(join(confDir, name), join(confDir, `${name}.cilium_bak`));
  return others;
}

/** Calls `changed` a little after something in one of the directories changed. A directory that cannot be watched is left out. */
export function watchDirectories(directories: readonly string[], changed: () => void, signal: AbortSignal): void {
  let timer: NodeJS.Timeout | undefined;
  for (const directory of directories) {
    try {
      const watcher = watch(directory, { signal, persistent: false }, () => {
        timer ??= setTimeout(() => {
          timer = undefined;
          if (!signal.aborted) changed();
        }, SETTLE_MS).unref();
      });
      watcher.on('error', () => watcher.close()); // the directory went; it is looked at now and then all the same
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** In which an installer writes what belongs together. */
const SETTLE_MS = 200;

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
