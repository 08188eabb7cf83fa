// SPDX-License-Identifier: Apache-2.0
// What a connection to a ClusterIP costs among few and among many services, against kube-proxy's rules over the bridge CNI.
//
//   Stentor:     node1 client ─▶ near (node1), far (node3)
//   nftables:    node1 client ─▶ near (node1), far (node3)      one sandbox with the bridge plugin, rules of each backend
//   iptables:    node2 client2 ─▶ near2 (node2), far (node3)    on a node of its own
import { until } from '../sandbox/until.ts';
import { run, CommandFailed } from '../sandbox/run.ts';
import { StentorError } from '../src/base/errors.ts';
import type { SandboxNode } from '../sandbox/node.ts';
import { startBench } from './cluster.ts';
import type { Bench } from './cluster.ts';
import type { Effort } from './east-west.ts';
import { interleave } from './interleave.ts';
import type { Variant } from './interleave.ts';
import { iptablesRules, nftablesRules } from './kube-proxy-rules.ts';
import type { ProxiedService } from './kube-proxy-rules.ts';
import { LoadKind, PORT } from './loader.ts';
import type { Loader, Sample } from './loader.ts';
import { createMany, manyServices } from './many-services.ts';
import { pinnedMap } from './pinned-maps.ts';
import { median, ratio, sum } from './statistics.ts';
import { interval, number } from './table.ts';
import type { Bar, Findings } from './table.ts';

const COUNTS = [10, 1_000, 10_000] as const;
const ENDPOINTS = 3;

type Path = {
  readonly name: string;
  readonly where: 'same node' | 'other node';
  readonly from: Loader;
  readonly to: string;
  readonly ours: boolean;
};
type Measured = { readonly count: number; readonly kind: LoadKind; readonly results: ReadonlyMap<string, readonly Sample[]> };

/** An established connection meets no rule: it is enough to see that once among few and once among many. */
const kindsAt = (count: number): readonly LoadKind[] => (count === 1_000 ? ['crr'] : ['rr', 'crr']);

const OURS = 'Stentor';
const DIRECT = 'Stentor, pod → pod';

export async function services({ rounds, milliseconds }: Effort, say: (line: string) => void): Promise<readonly Findings[]> {
  await using ours = await startBench('stentor');
  await using theirs = await startBench('bridge');
  await filterBridges(theirs);
  const paths = pathsOf(ours, theirs);
  const measured: Measured[] = [];
  let present = 0;
  for (const count of COUNTS) {
    createMany(ours.cluster.store, manyServices(present, count, ENDPOINTS));
    present = count;
    await Promise.all([programmed(ours, count), writeRules(theirs, count)]);
    for (const kind of kindsAt(count)) {
      const variants: Variant<Sample>[] = paths.map(({ name, where, from, to }) => ({
        name: `${name}, ${where}`,
        run: () => from.run(kind, to, milliseconds),
      }));
      measured.push({ count, kind, results: await interleave(variants, rounds) });
    }
    say(`${count} services: done`);
  }
  return (['rr', 'crr'] as const).map((kind) =>
    findingsOf(
      kind,
      paths,
      measured.filter((one) => one.kind === kind),
    ),
  );
}

function pathsOf(ours: Bench, theirs: Bench): readonly Path[] {
  const [client, bypass, nftables, iptables] = [
    ours.loaderIn('client'),
    ours.loaderIn('bypass'),
    theirs.loaderIn('client'),
    theirs.loaderIn('client2'),
  ];
  return [
    { name: DIRECT, where: 'same node', from: client, to: ours.podIp('near'), ours: true },
    { name: OURS, where: 'same node', from: client, to: ours.serviceIp('near'), ours: true },
    { name: `${OURS} per packet`, where: 'same node', from: bypass, to: ours.serviceIp('near'), ours: true },
    { name: 'nftables', where: 'same node', from: nftables, to: theirs.serviceIp('near'), ours: false },
    { name: 'iptables', where: 'same node', from: iptables, to: theirs.serviceIp('near2'), ours: false },
    { name: OURS, where: 'other node', from: client, to: ours.serviceIp('far'), ours: true },
    { name: 'nftables', where: 'other node', from: nftables, to: theirs.serviceIp('far'), ours: false },
    { name: 'iptables', where: 'other node', from: iptables, to: theirs.serviceIp('far'), ours: false },
  ];
}

/** As kube-proxy demands of a bridge: else the answer of a pod of the same node comes back untranslated. */
async function filterBridges({ cluster }: Bench): Promise<void> {
  for (const node of cluster.nodes) await onNode(node, ['sh', '-c', 'echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables']);
}

async function programmed({ cluster }: Bench, count: number): Promise<void> {
  const opened = cluster.nodes.map((node) => pinnedMap(node, 'lb_services'));
  await until(`${count} services in every node's lb_services`, 60_000, () => opened.every((map) => map.count() > count));
}

async function writeRules(bench: Bench, count: number): Promise<void> {
  const used = ['client', 'near', 'near2', 'far'].map((name): ProxiedService => ({
    name,
    ip: bench.serviceIp(name),
    port: PORT,
    protocol: 'tcp',
    endpoints: [{ ip: bench.podIp(name), port: PORT }],
  }));
  const many = manyServices(0, count, ENDPOINTS).map((service): ProxiedService => ({ ...service, protocol: 'tcp' }));
  const all = [...many.slice(0, count / 2), ...used, ...many.slice(count / 2)]; // kube-proxy's order is that of a hash: in the middle on average
  const [first, second] = bench.cluster.nodes;
  if (first === undefined || second === undefined) throw new StentorError('NO_NODE', 'The sandbox has no second node');
  for (const transaction of nftablesRules(all)) await onNode(first, ['nft', '-f', '-'], transaction);
  await onNode(second, ['iptables-restore'], iptablesRules(all));
}

async function onNode(node: SandboxNode, command: readonly string[], input = ''): Promise<void> {
  const ran = await run(node.enter(command), { input, timeoutMs: 60_000 });
  if (ran.code !== 0) throw new CommandFailed(command, ran);
}

function findingsOf(kind: LoadKind, paths: readonly Path[], measured: readonly Measured[]): Findings {
  const bars: Bar[] = [];
  const rows: string[][] = [];
  for (const { count, results } of measured) {
    const rates = (name: string) => (results.get(name) ?? []).map(({ rate }) => rate);
    for (const { name, where, ours } of paths) {
      const key = `${name}, ${where}`;
      const samples = results.get(key) ?? [];
      const ahead = ratio(rates(`${OURS}, ${where}`), rates(key));
      if (name !== DIRECT && where === 'same node') bars.push({ label: `${name}, ${count}`, value: median(rates(key)), other: !ours });
      rows.push([
        count.toLocaleString('en-US'),
        key,
        number(median(rates(key)).middle),
        number((sum(samples.map(({ busy }) => busy)) / sum(samples.map(({ operations }) => operations))) * 1e6),
        number(median(samples.map(({ p99 }) => p99)).middle),
        name === OURS ? '1' : interval(ahead),
        name.startsWith(OURS) ? '' : ahead.low > 1 ? 'ahead' : ahead.high < 1 ? '**behind**' : 'unclear',
        `${sum(samples.map(({ failed }) => failed))}`,
      ]);
    }
  }
  return {
    title: `Services: ${LoadKind[kind]} to a ClusterIP`,
    columns: ['services', 'path', 'per second', 'CPU µs each', 'p99 µs', `${OURS} over it [95 %]`, '', 'failed'],
    rows,
    notes: [
      flatness(measured),
      `${ENDPOINTS} endpoints each; the one that is used has one. kube-proxy's rules over bridge + host-local with static routes, iptables as Debian ships it (nf_tables).`,
    ],
    charts: [{ title: `${LoadKind[kind]} to a ClusterIP, same node, by number of services`, unit: 'per second', bars }],
  };
}

/** Our rate at the most services over that at the fewest, each first divided by pod → pod of the same rounds. */
function flatness(measured: readonly Measured[]): string {
  const relative = ({ results }: Measured, name: string) => {
    const rates = (key: string) => (results.get(key) ?? []).map(({ rate }) => rate);
    return ratio(rates(`${name}, same node`), rates(`${DIRECT}, same node`)).middle;
  };
  const [few, many] = [measured[0], measured.at(-1)];
  if (few === undefined || many === undefined) return '';
  const change = (name: string) => `${((relative(many, name) / relative(few, name) - 1) * 100).toFixed(1)} %`;
  return `From ${few.count} to ${many.count.toLocaleString('en-US')} services our rate changes by ${change(OURS)} at the socket and by ${change(`${OURS} per packet`)} per packet, measured against pod → pod (aim: within 3 %); nftables' by ${change('nftables')}, iptables' by ${change('iptables')}.`;
}
