// SPDX-License-Identifier: Apache-2.0
// One address that three nodes can announce, what may fail, and who answers meanwhile. For tests, which judge, and for the bench, which counts.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { CLIENT, LAN, NODES } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import type { TableRow } from '../../src/agent/api-types.ts';
import { ask } from '../../src/cli/client.ts';
import { agentReady } from './cluster.ts';
import type { Agent, Faulty } from './cluster.ts';
import { clientProgram } from './client-program.ts';

export const names = NODES.map(({ name }) => name);
export const macOf = (name: string): string => (NODES.find((node) => node.name === name)?.mac ?? '').replaceAll(':', '');

export type Owner = { readonly owner: string | undefined; readonly held: object | undefined; readonly why: string };
export type Answer = { readonly at: number; readonly mac: string };

/** Times are milliseconds since 1970. */
export type Asked = { readonly answers: readonly Answer[]; readonly acted: number };

/** `cut`: the owner does not notice, and answers until it hears of the others again. */
export type Fault = {
  readonly name: string;
  readonly cut?: true;
  readonly act: (owner: string) => Promise<unknown>;
  readonly mend: (owner: string) => Promise<unknown>;
};

export type Failovers = {
  readonly agents: Map<string, Agent>;
  readonly faults: readonly Fault[];
  /** What the agent of a node thinks of the address. */
  readonly ownerOn: (node: string) => Promise<Owner | undefined>;
  /** The node that answers, when all agents that live agree on it. */
  readonly settled: (living?: readonly string[]) => Promise<string>;
  /** Asks who has the address while `act` runs and for `ms` more. */
  readonly asked: (act: () => Promise<unknown>, ms?: number, intervalMs?: number) => Promise<Asked>;
  readonly startOn: (node: string) => Promise<void>;
  readonly signal: (node: string, name: NodeJS.Signals) => Promise<void>;
  readonly cordon: (node: string, unschedulable: boolean) => void;
  /** `ip link set …` on the bridge that is the LAN. */
  readonly lan: (command: string) => Promise<string>;
  readonly linkUp: (node: string) => Promise<void>;
  readonly inNode: (node: string, command: string) => Promise<string>;
};

export function failoversIn(faulty: () => Faulty, vip: string): Failovers {
  const agents = new Map<string, Agent>();
  const ownerOn = async (node: string) => {
    const rows: readonly TableRow[] = await ask(faulty().node(node).path('/run/cilium/cilium.sock'), '/tables/l2_owners');
    return rows.find(({ key }) => key === vip)?.row as Owner | undefined; // as: what this table has
  };
  const startOn = async (name: string) => {
    const node = faulty().node(name);
    const agent = faulty().start(node);
    agents.set(name, agent);
    await agentReady(node, agent);
  };
  const signal = (name: string, what: NodeJS.Signals) => Promise.resolve(agents.get(name)?.signal(what));
  const lan = (command: string) => mustRun([...inNetns(faulty().cluster.layout, LAN), 'ip', 'link', 'set', ...command.split(' ')]);
  const inNode = (node: string, command: string) => mustRun([...inNetns(faulty().cluster.layout, node), ...command.split(' ')]);
  const linkUp = (node: string) => linkUpWith(inNode, node);
  return {
    agents,
    ownerOn,
    startOn,
    signal,
    lan,
    inNode,
    linkUp,
    settled: (living = names) => settledAmong(living, ownerOn),
    asked: (act, ms = 1500, intervalMs = 2) => askedWhile(faulty(), vip, act, { ms, intervalMs }),
    cordon: (node, unschedulable) => void faulty().cluster.store.patch('nodes', { name: node }, { spec: { unschedulable } }),
    faults: [
      {
        name: "the owner's agent is frozen",
        act: (owner) => signal(owner, 'SIGSTOP'),
        mend: (owner) => signal(owner, 'SIGCONT'),
      },
      { name: "the owner's agent is killed", act: (owner) => signal(owner, 'SIGKILL'), mend: startOn },
      {
        name: "the owner's cable is cut",
        cut: true,
        act: (owner) => lan(`${owner} down`),
        mend: (owner) => lan(`${owner} up`),
      },
      { name: "the owner's interface is down", act: (owner) => inNode(owner, 'ip link set eth0 down'), mend: linkUp },
    ],
  };
}

async function settledAmong(living: readonly string[], ownerOn: Failovers['ownerOn']): Promise<string> {
  let found: string | undefined;
  await until('one owner', 10_000, async () => {
    const rows = await Promise.all(living.map((name) => ownerOn(name).catch(() => undefined)));
    const holders = living.filter((_, i) => rows[i]?.held !== undefined);
    found = holders[0];
    return holders.length === 1 && rows.every((row) => row?.owner === found);
  });
  return found ?? assert.fail('no owner');
}

type Times = { readonly ms: number; readonly intervalMs: number };

async function askedWhile({ cluster }: Faulty, vip: string, act: () => Promise<unknown>, { ms, intervalMs }: Times): Promise<Asked> {
  const index = /^(\d+):/.exec(await mustRun([...inNetns(cluster.layout, CLIENT.name), 'ip', '-o', 'link', 'show', 'eth0']))?.[1] ?? '';
  const prober = clientProgram(cluster.layout, 'arp-prober.ts', [index, CLIENT.mac, CLIENT.ipv4, vip, `${intervalMs}`]);
  await until('the prober to be answered', 5000, () => prober.said().split('\n').length > 20);
  const acted = performance.timeOrigin + performance.now();
  await act();
  await delay(ms); // the time in which it is asked
  const lines = (await prober.end()).split('\n').filter(Boolean);
  return { answers: lines.map((line) => JSON.parse(line) as Answer), acted }; // as: what arp-prober.ts prints
}

/** With what the kernel forgets of an interface that goes down. */
async function linkUpWith(inNode: Failovers['inNode'], node: string): Promise<void> {
  await inNode(node, 'ip link set eth0 up');
  const host = NODES.find(({ name }) => name === node);
  for (const command of [
    `ip addr replace ${host?.ipv6}/64 dev eth0 nodad`,
    'ip route replace default via 192.168.0.1',
    'ip route replace default via fd00:192:168::1',
  ])
    await inNode(node, command);
}

export type Judged = {
  /** Milliseconds, the longest without an answer. */
  readonly gap: number;
  /** Link address of who answered last. */
  readonly owner: string | undefined;
  /** Since the act: from when on nobody else answered, and when he did first. */
  readonly exclusive: number;
  readonly first: number;
};

export function judged({ answers, acted }: Asked): Judged {
  const times = answers.map(({ at }) => at);
  const gap = Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? at)));
  const owner = answers.at(-1)?.mac;
  const others = answers.filter(({ mac }) => mac !== owner).map(({ at }) => at);
  return {
    gap,
    owner,
    exclusive: Math.max(acted, ...others) - acted,
    first: (answers.find(({ mac, at }) => mac === owner && at > acted)?.at ?? NaN) - acted,
  };
}
