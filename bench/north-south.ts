// SPDX-License-Identifier: Apache-2.0
// A client on the LAN, by a load balancer IP, to a pod on another node than the one that it asks.
//
//   Stentor:    client ─▶ node1 (SNAT; DSR by option), node2 (DSR by Geneve) ─▶ far (node3)
//   with XDP:   client ─▶ node1 (generic mode), node2 (without)              ─▶ far (node3)    a sandbox with checksums in frames
//   kube-proxy: client ─▶ node1 (nftables), node2 (iptables)                 ─▶ far (node3)    the bridge plugin, static routes
import { run, CommandFailed } from '../sandbox/run.ts';
import { startBareVeth } from './bare-veth.ts';
import { startBench } from './cluster.ts';
import type { Bench } from './cluster.ts';
import type { Effort } from './east-west.ts';
import { interleave } from './interleave.ts';
import { iptablesRules, nftablesRules } from './kube-proxy-rules.ts';
import type { ProxiedService } from './kube-proxy-rules.ts';
import { LoadKind, PORT } from './loader.ts';
import type { Loader, Sample } from './loader.ts';
import { outOfProcess } from './out-of-process.ts';
import { programCosts } from './program-cost.ts';
import type { Findings } from './table.ts';
import { aheadFindings, pathFindings } from './vip-findings.ts';
import { createVips, restartWith, routeBy, servicePorts, sumInFrames } from './vips.ts';
import type { Vip } from './vips.ts';

export type VipPath = { readonly name: string; readonly from: Loader; readonly to: string };

export const KINDS = ['rr', 'crr', 'udp', 'burst'] as const;
export type VipKind = (typeof KINDS)[number];
export type VipResults = ReadonlyMap<VipKind, ReadonlyMap<string, readonly Sample[]>>;

const DSR: Vip = { name: 'vip-dsr', address: '192.168.7.12', owner: 'node1', mode: 'dsr' };
const SNAT: Vip = { name: 'vip-snat', address: '192.168.7.11', owner: 'node1', mode: 'snat' };
const GENEVE: Vip = { name: 'vip-geneve', address: '192.168.7.13', owner: 'node2', mode: 'dsr' };
const DSR_6: Vip = { name: 'vip-dsr6', address: 'fd00:192:168:7::12', owner: 'node1', mode: 'dsr' };
const SNAT_6: Vip = { name: 'vip-snat6', address: 'fd00:192:168:7::11', owner: 'node1', mode: 'snat' };
const PLAIN_SNAT: Vip = { ...SNAT, name: 'vip-snat-plain', address: '192.168.7.14', owner: 'node2' };
const PLAIN_DSR: Vip = { ...DSR, name: 'vip-dsr-plain', address: '192.168.7.15', owner: 'node2' };
const NFTABLES = '192.168.7.21';
const IPTABLES = '192.168.7.22';

export async function northSouth(effort: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  return [
    ...(await compared(effort, say)),
    ...(await watched(effort, say)),
    ...(await accelerated(effort, say)),
    ...(await outOfProcess<readonly Findings[]>('balancer-cost.ts', `${effort.rounds}`)),
  ];
}

/** Every mode against kube-proxy's rules. */
async function compared(effort: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  using bare = await startBareVeth();
  await using ours = await startBench('stentor');
  await using theirs = await startBench('bridge');
  await restartWith(ours, 'node2', ['mode: dsr', 'mode: dsr\n  dsrDispatch: geneve']);
  const vips = [SNAT, DSR, GENEVE, SNAT_6, DSR_6];
  await createVips(ours, vips);
  await writeRules(theirs);
  for (const bench of [ours, theirs]) await routeBy(bench, '10.244.3.0/24', 'node3');
  const [client, other] = [ours.loaderOutside(), theirs.loaderOutside()];
  const paths: readonly VipPath[] = [
    { name: 'bare veth pair', from: bare.client, to: bare.address },
    { name: 'direct', from: client, to: ours.podIp('far') },
    { name: 'SNAT', from: client, to: SNAT.address },
    { name: 'DSR opt', from: client, to: DSR.address },
    { name: 'DSR geneve', from: client, to: GENEVE.address },
    { name: 'SNAT, IPv6', from: client, to: SNAT_6.address },
    { name: 'DSR opt, IPv6', from: client, to: DSR_6.address },
    { name: 'direct, without rules', from: other, to: theirs.podIp('far') },
    { name: 'nftables', from: other, to: NFTABLES },
    { name: 'iptables', from: other, to: IPTABLES },
  ];
  const results = await measured(paths, effort, say);
  return [
    ...KINDS.map((kind) => pathFindings(kind, { title: 'North-south', paths, results })),
    aheadFindings(results, PAIRS),
    await costs(ours, paths.slice(1, 7)),
  ];
}

const PAIRS = [
  ...['SNAT', 'DSR opt', 'DSR geneve'].flatMap((name) => ['nftables', 'iptables'].map((rules): readonly [string, string] => [name, rules])),
  ...['DSR opt', 'DSR geneve'].map((name): readonly [string, string] => [name, 'SNAT']),
  ['DSR opt, IPv6', 'SNAT, IPv6'] as const,
];

/** The agents of the seed, which tell of flows, against agents that do not. */
async function watched(effort: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  await using on = await startBench('stentor');
  await using off = await startBench('stentor', 'off');
  for (const { name } of off.cluster.nodes) await restartWith(off, name, ['hubble:\n  enabled: true', 'hubble:\n  enabled: false']);
  const pathsIn = async (bench: Bench, suffix: string): Promise<readonly VipPath[]> => {
    await createVips(bench, [SNAT, DSR]);
    await routeBy(bench, '10.244.3.0/24', 'node3');
    const from = bench.loaderOutside();
    const ends = Object.entries({ direct: bench.podIp('far'), SNAT: SNAT.address, 'DSR opt': DSR.address });
    return ends.map(([name, to]) => ({ name: `${name}${suffix}`, from, to }));
  };
  const paths = [...(await pathsIn(on, '')), ...(await pathsIn(off, ', Hubble off'))];
  const results = await measured(paths, effort, say, ['rr', 'crr']);
  const pairs = ['direct', 'SNAT', 'DSR opt'].map((name) => [name, `${name}, Hubble off`] as const);
  const title = 'North-south with Hubble and without';
  return [pathFindings('crr', { title, paths, results }), aheadFindings(results, pairs)];
}

/** With XDP in its generic mode against the same without it. */
async function accelerated(effort: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  await using bench = await startBench('stentor', 'xdp');
  await sumInFrames(bench);
  const xdp = 'mode: dsr\n  acceleration: testing-only';
  await restartWith(bench, 'node1', ['mode: dsr', xdp]);
  await createVips(bench, [SNAT, DSR, PLAIN_SNAT, PLAIN_DSR]);
  await routeBy(bench, '10.244.3.0/24', 'node3');
  const from = bench.loaderOutside();
  const direct = { name: 'direct', from, to: bench.podIp('far') };
  const pair = (mode: string): readonly VipPath[] => [
    { name: `${mode} with XDP`, from, to: mode === 'SNAT' ? SNAT.address : DSR.address },
    { name: mode, from, to: mode === 'SNAT' ? PLAIN_SNAT.address : PLAIN_DSR.address },
  ];
  const byOption = [direct, ...pair('SNAT'), ...pair('DSR opt')];
  const first = await measured(byOption, effort, say);
  const geneve = '\n  dsrDispatch: geneve';
  await restartWith(bench, 'node1', ['mode: dsr', `${xdp}${geneve}`]);
  await restartWith(bench, 'node2', ['mode: dsr', `mode: dsr${geneve}`]);
  const inEnvelopes = pair('DSR geneve');
  const second = await measured(inEnvelopes, effort, say);
  const all = new Map(KINDS.map((kind) => [kind, new Map([...(first.get(kind) ?? []), ...(second.get(kind) ?? [])])] as const));
  const title = 'North-south with XDP (generic mode, checksums in frames)';
  return [
    ...KINDS.map((kind) => pathFindings(kind, { title, paths: byOption, results: first })),
    aheadFindings(
      all,
      ['SNAT', 'DSR opt', 'DSR geneve'].map((mode) => [`${mode} with XDP`, mode] as const),
    ),
  ];
}

async function measured(
  paths: readonly VipPath[],
  { rounds, milliseconds }: Effort,
  say: (line: string) => void,
  kinds: readonly VipKind[] = KINDS,
): Promise<VipResults> {
  const results = new Map<VipKind, ReadonlyMap<string, readonly Sample[]>>();
  for (const kind of kinds) {
    const variants = paths.map(({ name, from, to }) => ({ name, run: () => from.run(kind, to, milliseconds) }));
    results.set(kind, await interleave(variants, rounds));
    say(`${LoadKind[kind]} of ${paths.length} paths: done`);
  }
  return results;
}

/** kube-proxy's rules for a load balancer IP on two nodes, in front of the pod on the third. */
async function writeRules(bench: Bench): Promise<void> {
  const backend = bench.podIp('far');
  const services = (vip: string): readonly ProxiedService[] =>
    servicePorts.map(({ name, port, protocol }) => ({
      name: `vip-${name}`,
      ip: '10.96.7.1',
      port,
      protocol: protocol === 'TCP' ? 'tcp' : 'udp',
      endpoints: [{ ip: backend, port }],
      vip,
    }));
  const [first, second] = bench.cluster.nodes;
  const load = async (node: typeof first, command: readonly string[], input: string) => {
    const ran = await run(node?.enter(command) ?? [], { input });
    if (ran.code !== 0) throw new CommandFailed(command, ran);
  };
  for (const transaction of nftablesRules(services(NFTABLES))) await load(first, ['nft', '-f', '-'], transaction);
  await load(second, ['iptables-restore'], iptablesRules(services(IPTABLES)));
  await routeBy(bench, `${NFTABLES}/32`, 'node1');
  await routeBy(bench, `${IPTABLES}/32`, 'node2');
}

/** Where the time goes: one run of each kind on each path, under the kernel's program counters. */
async function costs(bench: Bench, paths: readonly VipPath[]): Promise<Findings> {
  const pids = bench.cluster.nodes.map(({ name }) => bench.agentPid(name));
  const rows: string[][] = [];
  for (const kind of KINDS)
    for (const { name, from, to } of paths) {
      let operations = 1;
      const programs = await programCosts(pids, async () => ({ operations } = await from.run(kind, to, 200)));
      const busy = programs.filter(({ runs }) => runs > operations / 10);
      const told = busy.map((one) => `${one.name} ${(one.runs / operations).toFixed(1)} × ${one.nanoseconds.toFixed(0)}`);
      rows.push([LoadKind[kind], name, told.join(', ')]);
    }
  return {
    title: 'North-south: programs, runs for each operation × nanoseconds of a run, all nodes together',
    columns: ['', 'path', 'programs'],
    rows,
    notes: [`The counters themselves add some 30 ns to each run. Port ${PORT}.`],
    charts: [],
  };
}
