// SPDX-License-Identifier: Apache-2.0
// A sniffer on the LAN, and what it has to complain of.

import { CLIENT } from '../../sandbox/layout.ts';
import type { Layout } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { mustRun } from '../../sandbox/run.ts';
import { clientProgram } from './client-program.ts';

/** Times are milliseconds since 1970. */
export type Sniffed = { readonly ip: string; readonly at: number } & (
  | { /** Somebody else answers than before. */ readonly kind: 'owner'; readonly mac: string }
  | { /** Nobody answered for so long, until then. */ readonly kind: 'gap'; readonly ms: number }
  | { /** These answered one question. */ readonly kind: 'double'; readonly macs: readonly string[] }
  | { /** Said without being asked. */ readonly kind: 'announced'; readonly mac: string }
);

export type Sniffer = {
  /** What it has seen so far. */
  readonly events: () => readonly Sniffed[];
  readonly end: () => Promise<readonly Sniffed[]>;
};

const INTERVAL_MS = 5;

/** Resolves when every address has been answered for. */
export async function startSniffer(layout: Layout, addresses: readonly string[]): Promise<Sniffer> {
  const index = /^(\d+):/.exec(await mustRun([...inNetns(layout, CLIENT.name), 'ip', '-o', 'link', 'show', 'eth0']))?.[1] ?? '';
  const program = clientProgram(layout, 'sniffer-prober.ts', [index, CLIENT.mac, CLIENT.ipv4, `${INTERVAL_MS}`, ...addresses]);
  await program.ready();
  const eventsIn = (text: string) =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Sniffed); // as: what sniffer-prober.ts prints
  return { events: () => eventsIn(program.said()), end: async () => eventsIn(await program.end()) };
}

export type Limits = {
  readonly silentMs: number;
  /** When two may answer: the old owner until it hears of the new one, as planned, or when a segment is whole again. */
  readonly together: readonly { readonly from: number; readonly to: number }[];
};

/** Every silence that is too long, and every question that two have answered. */
export function complaints(events: readonly Sniffed[], { silentMs, together }: Limits): readonly Sniffed[] {
  return events.filter((event) => {
    switch (event.kind) {
      case 'gap':
        return event.ms > silentMs;
      case 'double':
        return !together.some(({ from, to }) => event.at >= from && event.at <= to);
      case 'announced':
        return isStray(event, events);
      case 'owner':
        return false;
    }
  });
}

const SETTLED_MS = 300;

/** Somebody says that he has what another answered for before and afterwards. */
function isStray({ ip, at, mac }: Sniffed & { readonly kind: 'announced' }, events: readonly Sniffed[]): boolean {
  const owners = events.filter((event) => event.kind === 'owner').filter((event) => event.ip === ip);
  const last = owners.findLast((event) => event.at <= at - SETTLED_MS);
  const near = owners.filter((event) => Math.abs(event.at - at) < SETTLED_MS);
  return last !== undefined && last.mac !== mac && near.length === 0;
}
