// SPDX-License-Identifier: Apache-2.0
// Node ports among the ephemeral ports, as a Target: the kernel gives none of them to a socket that asks for any port. What others have
// reserved stays reserved.

import { readFileSync, writeFileSync } from 'node:fs';
import { forEachEntry } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { PROC_SYS } from '../kernel/proc-sys.ts';

export type PortRange = { readonly first: number; readonly last: number };

const SYSCTL = `${PROC_SYS}/net/ipv4`;

/** Key: '30000-32767'. Empty where the kernel gives none of them away (`ephemeral`), or nobody wants them kept. */
export function reservedPorts(ports: PortRange | undefined, ephemeral: PortRange = ephemeralPorts()): Table<string, PortRange> {
  const rows = table<string, PortRange>('reserved_ports');
  const writer = rows.writer('agent');
  if (ports && ports.first <= ephemeral.last && ephemeral.first <= ports.last) writer.put(rangeText(ports), ports);
  writer.complete();
  return rows;
}

/** `wanted`: which it looks for. `directory`: of the settings. */
export function reservedPortsTarget(wanted: Table<string, PortRange>, directory = SYSCTL): Target<string, PortRange> {
  const path = `${directory}/ip_local_reserved_ports`;
  const reserved = () => rangesIn(readFileSync(path, 'utf8'));
  return {
    name: 'reserved ports',
    *list() {
      const now = reserved();
      for (const [key, range] of wanted.entries())
        if (now.some((one) => one.first <= range.first && range.last <= one.last)) yield [key, range];
    },
    put(entries) {
      forEachEntry(entries, (key, range) => {
        try {
          writeFileSync(path, [...reserved(), range].map(rangeText).join());
        } catch (cause) {
          throw new Error(`Cannot add ${key} to sysctl net.ipv4.ip_local_reserved_ports, wanted /proc/sys/net mounted writable`, { cause });
        }
      });
    },
    remove() {}, // others may rely on it by now
  };
}

/** What the kernel gives to sockets that ask for any port. */
function ephemeralPorts(): PortRange {
  const [first = 0, last = 0] = readFileSync(`${SYSCTL}/ip_local_port_range`, 'utf8').trim().split(/\s+/).map(Number);
  return { first, last };
}

/** As the kernel writes them: '8080,30000-32767', neighbours as one. */
function rangesIn(text: string): readonly PortRange[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return { first, last };
    });
}

function rangeText({ first, last }: PortRange): string {
  return first === last ? `${first}` : `${first}-${last}`;
}
