// SPDX-License-Identifier: Apache-2.0
// Kernel settings of this network namespace as a Target: only those that rows name are ever read or written.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { forEachEntry } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { PROC_SYS } from '../kernel/proc-sys.ts';

/**
 * What the data plane relies on. Forwarding: the route lookup of the programs answers only for forwarding interfaces. rp_filter: replies may
 * leave by another way than the kernel's table would have them come in.
 */
const wanted: Readonly<Record<string, string>> = {
  'net/ipv4/ip_forward': '1',
  'net/ipv4/conf/all/rp_filter': '0',
  'net/ipv4/conf/default/rp_filter': '0',
  'net/ipv6/conf/all/forwarding': '1',
  'net/ipv6/conf/default/forwarding': '1',
};

/** Key: the path below /proc/sys. */
export function sysctlTable(): Table<string, string> {
  const rows = table<string, string>('sysctls');
  const writer = rows.writer('agent');
  for (const [name, value] of Object.entries(wanted)) if (present(name)) writer.put(name, value);
  writer.complete();
  return rows;
}

/** Beside the agent's sockets: what each setting was before we first changed it. */
const ORIGINALS = 'sysctls.json';

/** By path below /proc/sys. `directory`: where sysctlTarget() was told to keep them. */
export function originalSysctls(directory: string): Readonly<Record<string, string>> {
  try {
    const found: unknown = JSON.parse(readFileSync(join(directory, ORIGINALS), 'utf8'));
    const entries = typeof found === 'object' && found !== null ? Object.entries(found) : [];
    return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[0] in wanted && typeof entry[1] === 'string'));
  } catch {
    return {}; // never written, or damaged: nothing is restored
  }
}

export function restoreSysctl(directory: string, name: string, value: string): void {
  writeFileSync(`${PROC_SYS}/${name}`, value);
  const { [name]: _done, ...rest } = originalSysctls(directory);
  writeFileSync(join(directory, ORIGINALS), JSON.stringify(rest));
}

function remember(directory: string, name: string): void {
  const known = originalSysctls(directory);
  if (known[name] !== undefined) return;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, ORIGINALS), JSON.stringify({ ...known, [name]: readFileSync(`${PROC_SYS}/${name}`, 'utf8').trim() }));
}

/** `directory`: where what they were is kept. */
export function sysctlTarget(directory = '/var/run/cilium'): Target<string, string> {
  return {
    name: 'sysctls',
    *list() {
      for (const name of Object.keys(wanted)) if (present(name)) yield [name, readFileSync(`${PROC_SYS}/${name}`, 'utf8').trim()];
    },
    put(entries) {
      forEachEntry(entries, (name, value) => {
        try {
          remember(directory, name);
          if (name === 'net/ipv6/conf/all/forwarding' && value === '1') keepRouterAdvertisements();
          writeFileSync(`${PROC_SYS}/${name}`, value);
        } catch (cause) {
          throw new Error(`Cannot set sysctl ${name.replaceAll('/', '.')} to ${value}, wanted /proc/sys/net mounted writable`, { cause });
        }
      });
    },
    remove() {}, // the setting stays as it is: others may rely on it by now
  };
}

/** A host that forwards ignores router advertisements, unless told otherwise: a node that has its default route from them would lose it. */
function keepRouterAdvertisements(): void {
  for (const link of readdirSync(`${PROC_SYS}/net/ipv6/conf`)) {
    const path = `${PROC_SYS}/net/ipv6/conf/${link}/accept_ra`;
    if (link !== 'all' && readFileSync(path, 'utf8').trim() === '1') writeFileSync(path, '2');
  }
}

/** A kernel without IPv6 has no such directory. */
function present(name: string): boolean {
  try {
    readFileSync(`${PROC_SYS}/${name}`);
    return true;
  } catch {
    return false;
  }
}
