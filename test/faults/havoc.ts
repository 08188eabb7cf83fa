// SPDX-License-Identifier: Apache-2.0
// Things that happen to nodes at random: agents are killed, restarted, frozen, interfaces go down, cables are cut, nodes go deaf or mute, are
// cordoned, the API is silent, heartbeats get lost. At least one node is always well, and has been for long enough to have heard the others.

import { setTimeout as delay } from 'node:timers/promises';
import { LAN } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { mustRun } from '../../sandbox/run.ts';
import type { Random } from '../../src/base/random.ts';
import type { Faulty } from './cluster.ts';
import { names } from './failovers.ts';
import type { Failovers } from './failovers.ts';

export type Happened = {
  readonly at: number;
  readonly what: string;
  readonly node: string;
  /** When it was over. */
  ended: number | undefined;
};

type Act = (node: string, random: Random) => Promise<unknown>;

/** A node that is back listens before it may answer, so for so long nothing must depend on it. */
const RECOVERS_MS = 2000;

const now = () => performance.timeOrigin + performance.now();

/** Lets `count` things happen, of all kinds by turns; what happened, and when. */
export async function havoc(faulty: Faulty, failovers: Failovers, { count, random }: { readonly count: number; readonly random: Random }) {
  const happened: Happened[] = [];
  const acts = Object.entries(actsOf(faulty, failovers));
  const ill = new Set<string>();
  const underWay = new Set<Promise<unknown>>();
  const failed: unknown[] = [];
  while (happened.length < count && failed.length === 0) {
    const well = names.filter((name) => !ill.has(name));
    const [what, act] = acts[random.below(acts.length)] ?? ['', () => Promise.resolve()];
    const node = well[random.below(well.length)] ?? '';
    if (well.length > 1) {
      ill.add(node);
      const row: Happened = { at: now(), what, node, ended: undefined };
      happened.push(row);
      const one = act(node, random)
        .then(() => (row.ended = now()))
        .then(() => delay(RECOVERS_MS))
        .catch((error: unknown) => failed.push(error))
        .finally(() => (ill.delete(node), underWay.delete(one)));
      underWay.add(one);
    }
    await delay(100 + random.below(1200));
  }
  await Promise.all(underWay);
  if (failed.length > 0) throw failed[0];
  return happened;
}

/** On the LAN's bridge, for so long. */
async function filter({ cluster }: Faulty, name: string, rule: string, ms: number): Promise<void> {
  const bridge = inNetns(cluster.layout, LAN);
  await mustRun([...bridge, 'nft', '-f', '-'], {
    input: `table bridge ${name} { chain forward { type filter hook forward priority 0; ${rule}; }; }`,
  });
  await delay(ms);
  await mustRun([...bridge, 'nft', 'delete', 'table', 'bridge', name]);
}

function actsOf(faulty: Faulty, { agents, signal, startOn, inNode, lan, linkUp, cordon }: Failovers): Readonly<Record<string, Act>> {
  const { faults } = faulty.cluster;
  return {
    async 'agent killed'(node, random) {
      await signal(node, 'SIGKILL');
      await agents.get(node)?.exited;
      await delay(random.below(1500));
      await startOn(node);
    },
    async 'agent restarted'(node) {
      await signal(node, 'SIGTERM');
      await agents.get(node)?.exited;
      await startOn(node);
    },
    async 'agent frozen'(node, random) {
      await signal(node, 'SIGSTOP');
      await delay(50 + random.below(2000));
      await signal(node, 'SIGCONT');
    },
    async 'interface down'(node, random) {
      await inNode(node, 'ip link set eth0 down');
      await delay(random.below(1500));
      await linkUp(node);
    },
    async 'cable cut'(node, random) {
      await lan(`${node} down`);
      await delay(random.below(1500));
      await lan(`${node} up`);
    },
    deaf: (node, random) => filter(faulty, `deaf${node}`, `oifname "${node}" drop`, random.below(1500)),
    mute: (node, random) => filter(faulty, `mute${node}`, `iifname "${node}" drop`, random.below(1500)),
    lossy: (node, random) => filter(faulty, `lossy${node}`, 'ether type 0x88b5 numgen random mod 100 < 30 drop', 500 + random.below(2000)),
    async cordoned(node, random) {
      cordon(node, true);
      await delay(300 + random.below(1500));
      cordon(node, false);
    },
    async 'API silent'(_, random) {
      faults.silent = true;
      await delay(500 + random.below(2000));
      faults.silent = false;
    },
  };
}
