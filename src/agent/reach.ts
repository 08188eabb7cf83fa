// SPDX-License-Identifier: Apache-2.0
// Whether anybody is reached through an interface that has a carrier. Other nodes prove it by their heartbeats; when none is heard any more, the gateway is
// asked before it is believed that they are dead, and that this node has to take over what they had:
//
//   the gateway answers, or it never has, or there is none ──▶ they are dead
//   it does not, but frames arrive                         ──▶ a doubt: others come first, where there are others
//   it does not, and nothing at all arrives                ──▶ a fault: whoever is deaf must not announce what others answer for

import { readFileSync } from 'node:fs';
import { familyOf } from '../base/ip.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { Asker } from './asker.ts';

export type ReachOptions = {
  readonly asker: Asker;
  /** Interfaces of this node on which others are listened for. */
  readonly interfaces: () => Iterable<InterfaceRow>;
  /** Whether a node is heard through this interface. */
  readonly hears: (interfaceIndex: number) => boolean;
  /** Milliseconds since the latest heartbeat of any node through it. */
  readonly quietFor: (interfaceIndex: number) => number;
  readonly changed: () => void;
  /** Frames that have come in, by name of the interface. */
  readonly received?: () => ReadonlyMap<string, number>;
};

export type Reached = { readonly fault: string | undefined; readonly doubt: string | undefined };

export type Reach = {
  readonly of: (interfaceIndex: number) => Reached;
  /** Nobody is heard any more through these; resolves when it is known what that means. */
  readonly silent: (interfaceIndexes: readonly number[]) => Promise<void>;
  /** To be called ten times a second. */
  readonly often: () => void;
  /** Once a second. */
  readonly seldom: () => void;
};

const TIMES = 3;
const EACH_MS = 30;
/** Seconds between two questions while other nodes are heard: only to know that the gateway is one that answers. */
const SELDOM = 10;
const WELL: Reached = { fault: undefined, doubt: undefined };
const UNANSWERED = 'neither the gateway nor another node answers there';

/** Some heartbeats are missing, of all nodes: whoever asks the gateway now knows its answer when they are missed for good. */
const EARLY_MS = 100;

type Known = { reached: Reached; answers: boolean; peers: boolean; frames: number; early: Promise<Reached> | undefined };

export function reachOf({ asker, interfaces, hears, quietFor, changed, received = framesReceived }: ReachOptions): Reach {
  const known = new Map<number, Known>();
  let turn = 0;
  const knownOf = ({ index, name }: InterfaceRow): Known => {
    const one = known.get(index) ?? { reached: WELL, answers: false, peers: false, frames: received().get(name) ?? 0, early: undefined };
    known.set(index, one);
    return one;
  };
  const judged = (row: InterfaceRow, isSilent: boolean) =>
    reachedNow(row, knownOf(row), { asker, received, isHeard: () => !isSilent && hears(row.index), isSilent });
  const look = async (row: InterfaceRow, asked = judged(row, false)) => {
    const reached = await asked;
    knownOf(row).reached = reached;
    changed();
  };
  const isEarly = ({ index }: InterfaceRow) => hears(index) && quietFor(index) > EARLY_MS;
  return {
    of: (index) => known.get(index)?.reached ?? WELL,
    async silent(indexes) {
      const rows = [...interfaces()].filter(({ index }) => indexes.includes(index));
      await Promise.all(rows.map((row) => look(row, knownOf(row).early ?? judged(row, true))));
    },
    often() {
      for (const row of interfaces()) {
        const one = knownOf(row);
        one.early = isEarly(row) ? (one.early ?? judged(row, true)) : undefined;
        if (one.reached === WELL) continue;
        if (hears(row.index)) one.reached = WELL;
        else if (one.reached.fault !== undefined && (received().get(row.name) ?? 0) > one.frames) void look(row);
      }
    },
    seldom() {
      turn++;
      for (const row of interfaces()) {
        const one = knownOf(row);
        const isHeard = hears(row.index);
        one.peers ||= isHeard;
        if (!isHeard || turn % SELDOM === 1 || !one.answers) void look(row);
      }
      const rows = new Set(Array.from(interfaces(), ({ index }) => index));
      for (const index of known.keys()) if (!rows.has(index)) known.delete(index);
    },
  };
}

type World = Pick<ReachOptions, 'asker'> & {
  readonly received: () => ReadonlyMap<string, number>;
  readonly isHeard: () => boolean;
  /** Nobody is, though others still count as heard. */
  readonly isSilent: boolean;
};

async function reachedNow(row: InterfaceRow, one: Known, { asker, received, isHeard, isSilent }: World): Promise<Reached> {
  const before = received().get(row.name) ?? 0;
  const answered = await answersOf(row, asker);
  const after = received().get(row.name) ?? 0;
  one.answers ||= answered;
  one.peers ||= isSilent;
  one.frames = after;
  if (answered || !one.answers || isHeard()) return WELL;
  return after > before || !one.peers
    ? { fault: undefined, doubt: UNANSWERED }
    : { fault: `nothing is heard on it: ${UNANSWERED}`, doubt: undefined };
}

async function answersOf({ index, mac, gateways, addresses }: InterfaceRow, asker: Asker): Promise<boolean> {
  const asked = gateways.flatMap((ip) => {
    const source = addresses.find((address) => familyOf(address.ip) === familyOf(ip))?.ip;
    return mac === undefined || source === undefined ? [] : [{ ip, interfaceIndex: index, mac, source }];
  });
  if (asked.length === 0) return false;
  const answers = asked.map(async (question) => (await asker.ask(question, TIMES, EACH_MS)) ?? Promise.reject(new Error('no answer')));
  return Promise.any(answers).then(
    () => true,
    () => false,
  );
}

/** Of this network namespace. */
function framesReceived(): ReadonlyMap<string, number> {
  const lines = readFileSync('/proc/self/net/dev', 'utf8').split('\n').slice(2);
  return new Map(
    lines.flatMap((line) => {
      const [, name, fields] = /^\s*([^:]+):\s*(.*)$/.exec(line) ?? [];
      return name === undefined || fields === undefined ? [] : [[name, Number(fields.split(/\s+/)[1])] as const];
    }),
  );
}
