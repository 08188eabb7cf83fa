// SPDX-License-Identifier: Apache-2.0
// Everything that agents leave on a node, each thing with how to remove it, in the order in which that is to be done.

import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { cidrText } from '../base/ip.ts';
import { podLinkTarget } from '../datapath/pod-links.ts';
import { routeTarget } from '../datapath/routes.ts';
import { originalSysctls, restoreSysctl } from '../datapath/sysctls.ts';
import { NetlinkSocket } from '../kernel/socket.ts';
import { CONFLIST, confDirOf, PLUGIN } from './cni-install.ts';
import type { Config } from './config.ts';
import { LAST_WORDS } from './l2-before.ts';

export type Leftover = { readonly kind: string; readonly what: string; readonly remove: () => void | Promise<void> };

export type Node = Pick<Config, 'bpfRoot' | 'cni'> & {
  /** Directory of endpoint files. */
  readonly state: string;
  /** Directory of flows. */
  readonly history: string;
};

/** What there is now. Reading it changes nothing. Throws KernelError. */
export function leftoversOn({ bpfRoot, cni, state, history }: Node): readonly Leftover[] {
  const pins = join(bpfRoot, 'stentor');
  const run = dirname(state);
  const confDir = confDirOf(cni.confPath);
  const conflist = join(confDir, CONFLIST);
  return [
    ...namesIn(join(pins, 'links')).map((name) => file('program', join(pins, 'links', name))),
    ...inKernel(),
    ...namesIn(join(pins, 'maps')).map((name) => file('map', join(pins, 'maps', name))),
    ...there('pins', pins),
    ...there('CNI configuration', conflist),
    ...namesIn(confDir)
      .filter((name) => name.endsWith(ASIDE))
      .map((name) => giveBack(join(confDir, name))),
    ...there('CNI plugin', join(cni.binPath, PLUGIN)),
    ...Object.entries(originalSysctls(run)).map(([name, value]) => ({
      kind: 'sysctl',
      what: `${name.replaceAll('/', '.')} = ${value}, as it was`,
      remove: () => restoreSysctl(run, name, value),
    })),
    ...['cilium.sock', 'cni.sock', 'deleteQueue', 'sysctls.json', 'api-servers.json', LAST_WORDS].flatMap((name) =>
      there('file', join(run, name)),
    ),
    ...there('endpoints', state),
    ...there('flows', history),
  ];
}

const ASIDE = '.cilium_bak';

function giveBack(path: string): Leftover {
  const name = path.slice(0, -ASIDE.length);
  return { kind: 'CNI configuration put aside', what: `${name}, given back`, remove: () => renameSync(path, name) };
}

function file(kind: string, path: string): Leftover {
  return { kind, what: path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

function there(kind: string, path: string): readonly Leftover[] {
  return existsSync(path) ? [file(kind, path)] : [];
}

/** Interfaces of pods, with the programs on them, and routes. */
function inKernel(): readonly Leftover[] {
  using socket = NetlinkSocket.open();
  const [links, routes] = [Array.from(podLinkTarget(socket).list()), Array.from(routeTarget(socket).list())];
  const within = (change: (own: NetlinkSocket) => void | Promise<void>) => async () => {
    using own = NetlinkSocket.open();
    await change(own);
  };
  return [
    ...links.map((entry) => ({ kind: 'interface', what: entry[0], remove: within((own) => podLinkTarget(own).remove([entry])) })),
    ...routes.map((entry) => ({
      kind: 'route',
      what: cidrText(entry[1].destination),
      remove: within((own) => routeTarget(own).remove([entry])),
    })),
  ];
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
