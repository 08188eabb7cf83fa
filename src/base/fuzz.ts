// SPDX-License-Identifier: Apache-2.0
// Random agents in a world that fails: `node src/base/fuzz.ts [seed] [--break order|unsure|incomplete]`.
//
//   world ──facts, late──▶ services, hosts ──▶ backend rows ──▶ backends map ┐ one call in ten fails,
//                                         └──▶ service rows ──▶ services map ┘ half of those after a part of the work
//
// The maps outlive agents. After every single write each backend that a service names has to be there; no agent removes
// anything before it has heard all the facts; in the end the maps say what the world says. Each --break leaves out one thing
// that this rests on, and is there to show that the fuzzer would notice.

import { isDeepStrictEqual } from 'node:util';

import { engine } from './commit.ts';
import type { Engine } from './commit.ts';
import { derive, from } from './derive.ts';
import type { Entries } from './ledger.ts';
import { reconciler } from './reconcile.ts';
import type { Outcome, Reconciler, Target } from './reconcile.ts';
import { randomFrom, seedOfRun } from './random.ts';
import type { Random } from './random.ts';
import { table } from './table.ts';
import type { Table, Writer } from './table.ts';

export const Break = { order: 'order', unsure: 'unsure', incomplete: 'incomplete' } as const;
export type Break = (typeof Break)[keyof typeof Break];

export type Findings = {
  /** Writes after which a service named a backend that was not there. */
  dangling: number;
  /** Removals by an agent that had not heard everything. */
  early: number;
  /** Rounds in which the maps did not come to say what the world says. */
  diverged: number;
};

type Held = Map<string, string>;
/** The truth: hosts with their version, services with the hosts that they want. */
type World = { readonly hosts: Map<string, string>; readonly services: Map<string, readonly string[]> };
type Maps = { readonly backends: Held; readonly services: Held };

type Round = {
  readonly random: Random;
  readonly broken: Break | undefined;
  readonly world: World;
  readonly maps: Maps;
  readonly findings: Findings;
  /** How many services there can be; beyond 32 a turn does not derive all. Three times as many hosts. */
  readonly size: number;
  /** Whether agents die and others write into the maps. Each of these makes an agent look anew, which heals much. */
  readonly rough: boolean;
};
type Agent = {
  readonly machine: Engine;
  readonly reconcilers: readonly Reconciler[];
  readonly hosts: Writer<string, string>;
  readonly services: Writer<string, readonly string[]>;
  heardAll: boolean;
};

const ROUNDS = 150;
const STEPS = 40;
const PATIENCE = 300; // commits until a round counts as diverged

export async function findingsOf(seed: number, broken?: Break, rounds = ROUNDS): Promise<Findings> {
  const random = randomFrom(seed);
  const findings: Findings = { dangling: 0, early: 0, diverged: 0 };
  for (let i = 0; i < rounds; i++) {
    const world: World = { hosts: new Map(), services: new Map() };
    const maps: Maps = { backends: new Map(), services: new Map() };
    await play({ random, broken, world, maps, findings, size: random.pick([6, 6, 100]), rough: random.chance(0.5) });
  }
  return findings;
}

async function play(round: Round): Promise<void> {
  const { random, maps, world, findings } = round;
  let agent = start(round);
  for (let step = 0; step < STEPS; step++) {
    for (let i = 0; i < round.size; i += 6) change(round, agent);
    if (random.chance(0.3)) hear(round, agent);
    if (round.rough && random.chance(0.05)) {
      agent.machine.close();
      agent = start(round);
    }
    if (round.rough && random.chance(0.05)) disturb(round, agent);
    if (round.rough) for (const one of agent.reconcilers) for (let i = random.below(20); i > 0 && !one.look(() => true); i--);
    agent.machine.schedule();
    if (random.chance(0.7)) await (random.chance(0.5) ? agent.machine.settled() : turn());
  }
  while (!agent.heardAll) hear(round, agent);
  let tries = 0;
  if (round.rough) for (const one of [...agent.reconcilers, ...agent.reconcilers]) one.look(() => false); // the first ends a look that began earlier
  do await agent.machine.settled();
  while (agent.reconcilers.some((one) => one.pending > 0 || one.status.error !== undefined) && ++tries < PATIENCE);
  agent.machine.close();
  const want = wantedIn(world);
  if (!isDeepStrictEqual(maps.backends, want.backends) || !isDeepStrictEqual(maps.services, want.services)) findings.diverged++;
}

/** One thing in the world is different now; an agent that has heard everything hears of it. */
function change({ random, world, size }: Round, agent: Agent): void {
  const anyHost = () => `h${random.below(3 * size)}`;
  const host = anyHost();
  const service = `s${random.below(size)}`;
  if (random.chance(0.3)) {
    if (random.chance(0.3)) world.hosts.delete(host);
    else world.hosts.set(host, `v${random.below(3)}`);
    if (agent.heardAll) tell(agent.hosts, host, world.hosts.get(host));
  } else {
    if (random.chance(0.3)) world.services.delete(service);
    else world.services.set(service, Array.from({ length: random.below(5) }, anyHost));
    if (agent.heardAll) tell(agent.services, service, world.services.get(service));
  }
}

/** An agent that is new hears a part of the facts, and in the end all of them as they are by then. */
function hear({ random, world }: Round, agent: Agent): void {
  if (agent.heardAll) return;
  const all = random.chance(0.4);
  for (const [key, row] of world.hosts) if (all || random.chance(0.3)) agent.hosts.put(key, row);
  for (const [key, row] of world.services) if (all || random.chance(0.3)) agent.services.put(key, row);
  if (!all) return;
  for (const [key] of agent.hosts.table.entries()) if (!world.hosts.has(key)) agent.hosts.delete(key);
  for (const [key] of agent.services.table.entries()) if (!world.services.has(key)) agent.services.delete(key);
  agent.heardAll = true;
  agent.hosts.complete();
  agent.services.complete();
}

/** Somebody else writes into the maps; the agent is told to look, or finds out when it looks by itself. */
function disturb({ random, maps }: Round, agent: Agent): void {
  if (random.chance(0.5)) maps.services.set(`s${random.below(120)}`, '');
  for (const key of maps.backends.keys()) if (random.chance(0.2)) maps.backends.set(key, 'rubbish');
  if (random.chance(0.5)) maps.backends.set('stray', 'rubbish');
  if (random.chance(0.3)) for (const one of agent.reconcilers) one.refresh();
  if (random.chance(0.3)) for (const key of maps.backends.keys()) agent.reconcilers[0]?.doubt(key);
}

function start(round: Round): Agent {
  const { random, broken } = round;
  const hosts = table<string, string>('hosts');
  const services = table<string, readonly string[]>('services', { indexes: { host: (names) => names } });
  const backendRows = table<string, string>('backend rows');
  const serviceRows = table<string, string>('service rows');
  const users = (host: string) => [...services.entries()].filter(([, names]) => names.includes(host)).map(([key]) => key);
  const known = (key: string) => [...new Set(services.get(key) ?? [])].filter((host) => hosts.has(host)).toSorted();
  const derivations = [
    derive<string, string, string>({
      name: 'backend rows',
      inputs: [from(services), from(hosts, users)],
      out: backendRows.writer('backend rows'),
      compute: (key) => known(key).map((host) => [host, hosts.get(host) ?? ''] as const),
    }),
    derive<string, string, string>({
      name: 'service rows',
      inputs: [from(hosts, users), from(services)],
      out: serviceRows.writer('service rows'),
      compute: (key) => (services.has(key) ? [[key, known(key).join(',')] as const] : []),
    }),
  ];
  const agent = { hosts: hosts.writer('world'), services: services.writer('world'), heardAll: false };
  const target = (name: keyof Maps) => flaky(name, round, () => agent.heardAll);
  const make = broken === 'unsure' ? reconcilerThatForgets : reconciler<string, string>;
  const reconcilers = [make(backendRows, target('backends')), make(serviceRows, target('services'))];
  if (broken === 'order') reconcilers.reverse();
  if (broken === 'incomplete') for (const writer of [agent.hosts, agent.services]) writer.complete();
  let now = 0;
  const clock = { now: () => now, monotonic: () => (now += random.below(3)) }; // a turn's share ends after any number of looks
  return Object.assign(agent, { reconcilers, machine: engine({ derivations, walks: [reconcilers], clock }) });
}

function flaky(name: keyof Maps, { random, maps, findings }: Round, heardAll: () => boolean): Target<string, string> {
  const map = maps[name];
  const each = (entries: Entries<string, string>, write: (key: string, value: string) => void) => {
    const fails = random.chance(0.1);
    const part = fails ? random.below(2) * random.below(entries.length + 1) : entries.length;
    for (const [key, value] of entries.slice(0, part)) {
      write(key, value);
      for (const hosts of maps.services.values())
        if (hosts !== '' && !hosts.split(',').every((host) => maps.backends.has(host))) findings.dangling++;
    }
    if (fails) throw new Error(`Cannot write ${entries.length} entries of ${name}: ENOMEM`);
  };
  return {
    name,
    list() {
      if (random.chance(0.1)) throw new Error(`Cannot list ${name}: EAGAIN`);
      return [...map];
    },
    put: (entries) => each(entries, (key, value) => map.set(key, value)),
    remove(entries) {
      if (!heardAll()) findings.early++;
      each(entries, (key) => map.delete(key));
    },
  };
}

/** What a first draft does: it tries again what failed, and believes that a call which failed did nothing. */
function reconcilerThatForgets(desired: Table<string, string>, target: Target<string, string>): Reconciler {
  const { name } = target;
  const changes = desired.changes();
  const dirty = new Set<string>();
  const actual = new Map<string, string>();
  let listed = false;
  let error: string | undefined;
  const attempt = (call: () => void): Outcome => {
    try {
      call();
      error = undefined;
      return 'done';
    } catch (thrown) {
      error = String(thrown);
      return 'failed';
    }
  };
  const list = () => {
    const found = [...target.list()];
    for (const [key] of [...actual, ...found]) dirty.add(key);
    actual.clear();
    for (const [key, value] of found) actual.set(key, value);
    listed = true;
  };
  const step = (wants: (key: string) => boolean, write: (keys: readonly string[]) => void) => () => {
    if (!listed && attempt(list) === 'failed') return 'failed';
    for (const key of changes.take().keys()) dirty.add(key);
    for (const key of dirty) if (actual.get(key) === desired.get(key)) dirty.delete(key);
    const keys = [...dirty].filter(wants);
    return keys.length === 0 ? 'done' : attempt(() => write(keys));
  };
  const put = (keys: readonly string[]) => {
    target.put(keys.map((key) => [key, desired.get(key) ?? '']));
    for (const key of keys) actual.set(key, desired.get(key) ?? '');
  };
  const remove = (keys: readonly string[]) => {
    if (!desired.complete) return;
    void target.remove(keys.map((key) => [key, actual.get(key) ?? '']));
    for (const key of keys) actual.delete(key);
  };
  const status = () => ({
    name,
    entries: actual.size,
    pending: dirty.size + changes.pending,
    failures: 0,
    refused: new Map<string, string>(),
    error,
  });
  // No look() and no doubt(): what it learned at the start is all that it knows.
  return Object.defineProperties(
    {
      name,
      pending: 0,
      status: status(),
      upserts: step((key) => desired.has(key), put),
      deletes: step((key) => !desired.has(key), remove),
      refresh: () => void (listed = false),
      look: () => true,
      doubt: () => {},
      leaving: () => undefined,
      onGone: () => {},
      differences: () => [],
      trouble: () => error,
    },
    { pending: { get: () => status().pending }, status: { get: status } },
  );
}

function wantedIn({ hosts, services }: World): Maps {
  const want: Maps = { backends: new Map(), services: new Map() };
  for (const [key, names] of services) {
    const known = [...new Set(names)].filter((host) => hosts.has(host)).toSorted();
    want.services.set(key, known.join(','));
    for (const host of known) want.backends.set(host, hosts.get(host) ?? '');
  }
  return want;
}

function tell<R>(writer: Writer<string, R>, key: string, row: R | undefined): void {
  if (row === undefined) writer.delete(key);
  else writer.put(key, row);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

if (import.meta.main) {
  const [given, flag, what] = process.argv.slice(2);
  const broken = flag === '--break' ? Object.values(Break).find((one) => one === what) : undefined;
  if (flag !== undefined && broken === undefined)
    throw new RangeError(`Cannot run with '${flag} ${what}', wanted --break ${Object.values(Break).join('|')}`);
  const seed = given === undefined ? seedOfRun() : Number(given);
  const findings = await findingsOf(seed, broken);
  console.log(`seed ${seed}, ${broken === undefined ? 'nothing broken' : `broken: ${broken}`}, ${ROUNDS} rounds:`, findings);
  process.exitCode = Object.values(findings).some((count) => count > 0) ? 1 : 0;
}
