// SPDX-License-Identifier: Apache-2.0
// node bench/beat-cost.ts NODES…   what heartbeats among so many nodes cost one of them; prints BeatCost[] as JSON
//
//   the agent's thread ─▶ eth0 ═ wire0 ─▶ host_from       as many frames come in as go out
import { namespaceMissing } from '../bpf/test/own-namespace.ts';
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { link, loadNode } from '../bpf/test/loaded.ts';
import { knownMac, mac } from '../bpf/test/eth0.ts';
import { StentorError } from '../src/base/errors.ts';
import { beatTimes } from '../src/agent/peers.ts';
import { l2BeatCodec, l2BeatKeyCodec } from '../src/datapath/schema.gen.ts';
import { Beats } from '../src/kernel/beats.ts';
import type { BeatPeer } from '../src/kernel/beats.ts';
import type { BpfMap } from '../src/kernel/map.ts';
import { attachTcx } from '../src/kernel/link.ts';
import { beatSeconds } from './beat-thread.ts';

export type BeatCost = {
  readonly nodes: number;
  /** Frames a second. */ readonly sent: number;
  readonly heard: number;
  /** Part of one CPU, sending and receiving. */ readonly busy: number;
};

const SECONDS = 10;
const OWN_NODE = 1;

type Link = {
  readonly ifindex: number;
  readonly address: string;
  readonly stats64: Readonly<Record<'rx' | 'tx', { readonly packets: number }>>;
};

function linkOf(name: string): Link {
  const [found] = JSON.parse(execFileSync('ip', ['-json', '-statistics', 'link', 'show', name], { encoding: 'utf8' })) as readonly Link[]; // as: iproute2's
  if (found === undefined) throw new StentorError('NO_LINK', `Cannot find the interface ${name}`);
  return found;
}

const frames = () => ({ sent: linkOf('eth0').stats64.tx.packets, heard: linkOf('wire0').stats64.rx.packets });

async function costAmong(nodes: number, maps: { readonly lease: BpfMap; readonly beats: BpfMap }): Promise<BeatCost> {
  const to = knownMac(linkOf('wire0').address);
  const peers = Array.from({ length: nodes - 1 }, (_, index): BeatPeer => ({
    node: OWN_NODE + 1 + index,
    interfaceIndex: 2,
    via: link.uplink,
    to,
    from: knownMac(mac.uplink),
  }));
  const beatKey = (node: number, interfaceIndex: number) => l2BeatKeyCodec.encode({ node: node, interfaceIndex });
  for (const { node, interfaceIndex } of peers) maps.beats.update(beatKey(node, interfaceIndex), l2BeatCodec.encode({ seen: 0 }));
  const own = beatKey(OWN_NODE, link.uplink);
  maps.beats.update(own, l2BeatCodec.encode({ seen: 0 }));
  using beats = new Beats(maps, OWN_NODE, { leaseMs: 200, patienceMs: 1_000_000 });
  beats.set(beatTimes(peers.length), peers);
  beats.touch();
  await delay(500);
  const before = { ...frames(), cpu: beatSeconds('self') };
  await delay(SECONDS * 1_000);
  const after = { ...frames(), cpu: beatSeconds('self') };
  if (!l2BeatCodec.decode(maps.beats.lookup(own) ?? Buffer.alloc(l2BeatCodec.size)).seen)
    throw new StentorError('NOT_HEARD', 'host_from has timed no heartbeat');
  return {
    nodes,
    sent: (after.sent - before.sent) / SECONDS,
    heard: (after.heard - before.heard) / SECONDS,
    busy: (after.cpu - before.cpu) / SECONDS,
  };
}

async function main(sizes: readonly number[]): Promise<void> {
  if (namespaceMissing !== false) throw new Error(namespaceMissing);
  using node = await loadNode();
  using _attached = await attachTcx(node.datapath.program('host_from'), linkOf('wire0').ifindex, { direction: 'ingress' });
  const maps = { lease: node.datapath.map('l2_lease'), beats: node.datapath.map('l2_beats') };
  const costs: BeatCost[] = [];
  for (const nodes of sizes) costs.push(await costAmong(nodes, maps));
  process.stdout.write(JSON.stringify(costs));
  process.exit();
}

await main(process.argv.slice(2).map(Number));
