// SPDX-License-Identifier: Apache-2.0
// Nodes that allocate identities at random times, and an API that they reach late or not at all.
//
//   pods ──ADD, labels, DEL──▶ node 1 … node 4 ──one call in three is lost; no answer is ever used──────▶ API
//                                   ▲                                                                         │
//                                   └──────────────── watches, each behind by up to some minutes ◀────────────┘
//                                                                                      operator: garbageIn() ─┘
//
// The cluster has few numbers and many label sets, so that nodes often ask for the same number. A step is a minute. After each
// step every pod whose labels its node knows has a number of its own label set; in the end the cluster agrees. Each Fault takes
// away one thing that this rests on, and is there to show that the fuzzer would notice.

import type { Random } from '../base/random.ts';
import type { CiliumEndpoint } from '../kube/types.ts';
import type { IdentityRow } from './facts.ts';
import { addressOf, endpointRow, settle, startedAgent } from './fuzz-agent.ts';
import type { Agent, Kind, Outlives } from './fuzz-agent.ts';
import { garbageIn, GRACE_MS } from './garbage.ts';
import type { Labels } from './labels.ts';
import { identity, isIn, Reserved } from './numbers.ts';
import type { Range } from './numbers.ts';

/** eager: a node uses the number that it asks for; overwrite: the API takes a name twice; hasty: the operator removes without grace. */
export const Fault = { eager: 'eager', overwrite: 'overwrite', hasty: 'hasty' } as const;
export type Fault = (typeof Fault)[keyof typeof Fault];

export type Findings = {
  /** Steps after which a pod with known labels had no number. */
  nameless: number;
  /** Steps after which two label sets had one number. */
  shared: number;
  /** Rounds at whose end a label set had two numbers, or one that nobody else knows. */
  diverged: number;
};

type Held = IdentityRow & { readonly unusedSince: number | undefined; readonly retiredSince: number | undefined };
type Pod = { readonly name: string; readonly node: number; readonly labels: string };
/** What the API has, and how it came about: watches read the logs from where they are. */
type Api = {
  readonly identities: Map<string, Held>;
  readonly endpoints: Map<string, CiliumEndpoint>;
  readonly log: Record<Kind, string[]>;
};
const kinds: readonly Kind[] = ['identities', 'endpoints', 'pods'];

type Round = {
  readonly random: Random;
  readonly fault: Fault | undefined;
  readonly api: Api;
  readonly pods: Map<string, Pod>;
  /** By node. */
  readonly nodes: readonly Outlives[];
  readonly agents: Agent[];
  readonly findings: Findings;
  minute: number;
  /** Until this minute there is no operator. */
  away: number;
};

const UNMARKED = { unusedSince: undefined, retiredSince: undefined };
const NODES = 4;
const PODS = 12;
const LABEL_SETS = 40;
const RANGE: Range = [256, 256 + 49];
const STEPS = 400;
const END_STEPS = 150;
const MINUTE_MS = 60_000;
const AWAY = 90; // minutes
const BEHIND = 8; // minutes at most, of a watch and of a write: together well below the grace

export function findingsOf(random: Random, rounds: number, fault?: Fault): Findings {
  const findings: Findings = { nameless: 0, shared: 0, diverged: 0 };
  for (let i = 0; i < rounds; i++) play({ random, fault, findings });
  return findings;
}

function play(options: Pick<Round, 'random' | 'fault' | 'findings'>): void {
  const api: Api = { identities: new Map(), endpoints: new Map(), log: { identities: [], endpoints: [], pods: [] } };
  const round: Round = {
    ...options,
    api,
    pods: new Map(),
    nodes: Array.from({ length: NODES }, () => ({ files: new Map(), kernel: new Map() })),
    agents: [],
    minute: 0,
    away: 0,
  };
  const { random, nodes, agents, findings } = round;
  for (const [node, outlives] of nodes.entries()) agents.push(startedAgent(node, RANGE, outlives));
  for (; round.minute < STEPS; round.minute++) {
    if (random.chance(0.6)) change(round);
    if (random.chance(0.03)) restart(round, random.below(NODES));
    for (let node = 0; node < NODES; node++) live(round, node, random.chance(0.1));
    if (random.chance(0.003)) round.away = round.minute + AWAY;
    if (round.minute % 5 === 0 && round.minute >= round.away) collect(round);
    look(round);
  }
  for (; round.minute < STEPS + END_STEPS; round.minute++) {
    for (let node = 0; node < NODES; node++) live(round, node, true, true);
    if (round.minute % 5 === 0) collect(round);
  }
  if (!agrees(round)) findings.diverged++;
}

/** A pod comes, goes, or gets other labels. */
function change({ random, pods, nodes, agents, api, minute }: Round): void {
  const node = random.below(NODES);
  const agent = agents[node];
  const name = `p${random.below(PODS)}`;
  const present = pods.get(name);
  if (!agent) return;
  if (present === undefined) {
    const pod: Pod = { name, node, labels: `l${random.below(LABEL_SETS)}` };
    const row = endpointRow(`${name}-${minute}`, name);
    pods.set(name, pod);
    nodes[node]?.files.set(row.hostInterface, row);
    agent.endpoints.put(row.hostInterface, row);
  } else if (random.chance(0.7)) {
    pods.delete(name);
    for (const [key, row] of nodes[present.node]?.files ?? [])
      if (row.pod === name) {
        nodes[present.node]?.files.delete(key);
        agents[present.node]?.endpoints.delete(key);
      }
  } else pods.set(name, { ...present, labels: `l${random.below(LABEL_SETS)}` });
  api.log.pods.push(name);
}

/** A minute in the life of a node: it hears, derives, and writes. */
function live(round: Round, node: number, all: boolean, reached = false): void {
  const { random, agents, nodes, api, fault } = round;
  const agent = agents[node];
  if (!agent) return;
  for (const kind of kinds) hear(round, agent, { kind, node, all: all || (round.minute + node) % BEHIND === 0 });
  settle(agent.tables.derivations);
  if (fault === Fault.eager)
    for (const [key, { id, labels }] of agent.tables.wanted.entries())
      agent.identities.put(key, { id, labels, created: '9', retired: false });
  settle(agent.tables.derivations);
  const mine = nodes[node]?.kernel;
  mine?.clear();
  for (const [key, row] of agent.tables.endpointIdentities.entries()) mine?.set(key, row.identity);
  const works = () => reached || round.minute % BEHIND === 0 || random.chance(0.67);
  for (const [key, { id, labels }] of agent.tables.wanted.entries()) {
    if (!works() || (api.identities.has(key) && fault !== Fault.overwrite)) continue;
    api.identities.set(key, { id, labels, created: String(1000 + round.minute), retired: false, ...UNMARKED });
    api.log.identities.push(key);
  }
  for (const [key, object] of agent.tables.endpointObjects.entries())
    if (api.endpoints.get(key) !== object && works()) tell(api, key, object);
  if (!agent.tables.endpointObjects.complete) return;
  for (const [key, { status }] of api.endpoints)
    if (status?.networking?.node === addressOf(node) && !agent.tables.endpointObjects.has(key) && works()) tell(api, key, undefined);
}

function tell(api: Api, key: string, object: CiliumEndpoint | undefined): void {
  if (object) api.endpoints.set(key, object);
  else api.endpoints.delete(key);
  api.log.endpoints.push(key);
}

/** The first time a list of everything, then a part of what has changed since. */
function hear(
  round: Round,
  agent: Agent,
  { kind, node, all }: { readonly kind: Kind; readonly node: number; readonly all: boolean },
): void {
  const { api, random } = round;
  const log = api.log[kind];
  const from = agent.heard[kind];
  const writers = { identities: agent.identities, endpoints: agent.remotePods, pods: agent.pods };
  if (from === undefined) {
    if (!all) return;
    const keys = { identities: api.identities.keys(), endpoints: api.endpoints.keys(), pods: round.pods.keys() };
    for (const key of keys[kind]) apply(round, agent, { kind, key, node });
    writers[kind].complete();
    agent.heard[kind] = log.length;
    return;
  }
  // What a watch says of an object is what it was then; here it is what it is by now, which is the same in the end and sooner.
  const until = all ? log.length : Math.min(log.length, from + random.below(2));
  for (const key of log.slice(from, until)) apply(round, agent, { kind, key, node });
  agent.heard[kind] = until;
}

function apply(
  { api, pods }: Round,
  agent: Agent,
  { kind, key, node }: { readonly kind: Kind; readonly key: string; readonly node: number },
): void {
  if (kind === 'pods') {
    const pod = pods.get(key);
    if (pod?.node === node)
      agent.pods.put(`shop/${key}`, { namespace: 'shop', name: key, uid: key, labels: { app: pod.labels }, serviceAccount: 'default' });
    else agent.pods.delete(`shop/${key}`);
  } else if (kind === 'identities') {
    const row = api.identities.get(key);
    if (row) agent.identities.put(key, { id: row.id, labels: row.labels, created: row.created, retired: row.retired });
    else agent.identities.delete(key);
  } else {
    const id = api.endpoints.get(key)?.status?.identity?.id;
    if (id !== undefined) agent.remotePods.put(key, { identity: identity(id), addresses: [], node: undefined });
    else agent.remotePods.delete(key);
  }
}

/** The operator's pass. */
function collect({ api, minute, fault }: Round): void {
  const used = new Set(Array.from(api.endpoints.values(), ({ status }) => `${status?.identity?.id}`));
  const candidates = Array.from(api.identities, ([id, { unusedSince, retiredSince }]) => ({ id, unusedSince, retiredSince }));
  const now = minute * MINUTE_MS;
  const { spare, mark, retire, remove } = garbageIn(candidates, used, { now, graceMs: GRACE_MS });
  const write = (key: string, row: Partial<Held> | undefined) => {
    const present = api.identities.get(key);
    if (row && present) api.identities.set(key, { ...present, ...row });
    else api.identities.delete(key);
    api.log.identities.push(key);
  };
  const hasty = candidates.filter(({ id }) => fault === Fault.hasty && !used.has(id));
  for (const key of spare) write(key, { ...UNMARKED, retired: false });
  for (const key of mark) write(key, { unusedSince: now });
  for (const key of retire) write(key, { retired: true, retiredSince: now });
  for (const key of [...remove, ...hasty.map(({ id }) => id)]) write(key, undefined);
}

/** Nobody is nameless, and no number that leaves a node has two label sets. */
function look({ agents, pods, findings }: Round): void {
  const sets = new Map<string, Labels>();
  let [nameless, shared] = [false, false];
  for (const [node, { tables }] of agents.entries())
    for (const [, { identity: number, labels }] of tables.endpointIdentities.entries()) {
      if (labels === undefined) continue;
      if (number === Reserved.unknown || number === Reserved.init) nameless = true;
      const key = isIn(RANGE, number) ? `${number}` : `${node} ${number}`;
      if (sets.has(key) && sets.get(key) !== labels) shared = true;
      sets.set(key, labels);
    }
  if (agents.reduce((sum, { tables }) => sum + tables.endpointIdentities.size, 0) < pods.size) nameless = true;
  if (nameless) findings.nameless++;
  if (shared) findings.shared++;
}

/** Every pod has the number that its CiliumEndpoint says and the CiliumIdentity of that number has its labels, one for each set. */
function agrees({ agents, api, pods }: Round): boolean {
  const numbers = new Map<Labels, number>();
  for (const { tables } of agents)
    for (const [key, { identity: number, labels, agreed }] of tables.endpointIdentities.entries()) {
      const endpoint = tables.endpointObjects.get(`shop/${key.split('-')[0]}`);
      if (!agreed || labels === undefined || api.identities.get(`${number}`)?.labels !== labels) return false;
      if (endpoint?.status?.identity?.id !== number || api.endpoints.get(`shop/${key.split('-')[0]}`) !== endpoint) return false;
      if ((numbers.get(labels) ?? number) !== number) return false;
      numbers.set(labels, number);
    }
  return api.endpoints.size === pods.size;
}

function restart({ agents, nodes }: Round, node: number): void {
  const outlives = nodes[node];
  if (!outlives) return;
  agents[node] = startedAgent(node, RANGE, outlives);
  settle(agents[node].tables.derivations);
}
