// SPDX-License-Identifier: Apache-2.0
// node bench/balancer-cost.ts [rounds]   nanoseconds of a packet in the load balancer's programs, over the floor; prints Findings as JSON
//
// Each run has a fresh packet (testrun.c). The floor is the same call of a program that does nothing. Redirects are not carried out:
// transmission comes on top. Among few and among many services in turn, so that what the machine does meanwhile hits all alike.
import { namespaceMissing } from '../bpf/test/own-namespace.ts';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { families } from '../bpf/test/cluster.ts';
import { link, loadNode } from '../bpf/test/loaded.ts';
import type { LoadedNode } from '../bpf/test/loaded.ts';
import { StentorError } from '../src/base/errors.ts';
import { attachXdp } from '../src/kernel/link.ts';
import { loadObject } from '../src/kernel/load.ts';
import { skbContext } from '../src/kernel/program.ts';
import type { BpfProgram } from '../src/kernel/program.ts';
import { temporaryBpffs } from '../src/kernel/testdata/harness.ts';
import { BalancerFlows, FRESH } from './balancer-flows.ts';
import type { BalancerFlow } from './balancer-flows.ts';
import { CHECKOUT } from './checkout.ts';
import { manyBalanced } from './many-balanced.ts';
import { median } from './statistics.ts';
import type { Interval } from './statistics.ts';
import { met } from './table.ts';
import type { Findings } from './table.ts';

const ROUNDS = Number(process.argv[2] ?? 30);
const COUNTS = [10, 1_000, 10_000] as const;
const BUILD = join(CHECKOUT, 'build', 'bench');

/** A flow in one node: `costs` has a value for each round, the median of its runs over that of the floor. */
type Row = {
  readonly flow: BalancerFlow;
  readonly services: number;
  readonly family: 4 | 6;
  readonly node: LoadedNode;
  readonly pin: string;
  readonly costs: number[];
};

type Kind = { readonly mode: 'snat' | 'dsr'; readonly geneve: 0 | 1; readonly services: number };

const KINDS: readonly Kind[] = [
  ...COUNTS.flatMap((services): readonly Kind[] => [
    { mode: 'snat', geneve: 0, services },
    { mode: 'dsr', geneve: 0, services },
  ]),
  { mode: 'dsr', geneve: 1, services: COUNTS[0] },
];

const ATTEMPTS = 5;

/** The median of runs of a flow that ended as they have to. Where a second ends in the midst XDP leaves the rest to tc: once more. */
function costOf({ flow, node, pin }: Row): number {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    node.forget();
    flow.prepare();
    const runs = runsOf(pin, flow);
    if (runs.length > FRESH / 2) return median(runs).middle;
  }
  throw new StentorError('NO_RUN', `${flow.hook} does not return ${flow.verdict} for '${flow.name}'`);
}

/** Nanoseconds of each run that ended as it has to. */
function runsOf(pin: string, flow: BalancerFlow): readonly number[] {
  const input = Buffer.concat(flow.frames.flatMap((bytes) => [Buffer.from([bytes.length & 0xff, bytes.length >> 8]), bytes]));
  const context = flow.hook === 'xdp_from' ? xdpContext(flow.frames[0]?.length ?? 0, flow.ifindex) : skbContext({ ifindex: flow.ifindex });
  const ran = spawnSync(join(BUILD, 'testrun'), [pin, context.toString('hex'), `${FRESH}`], { input, maxBuffer: 1 << 24 });
  if (ran.status !== 0) throw new StentorError('NO_RUN', `Cannot run ${flow.name}: ${ran.stderr.toString().trim()}`);
  const outcomes = ran.stdout.toString().trim().split('\n');
  const counted = outcomes.map((line) => line.split(' ').map(Number)).filter(([verdict]) => verdict === flow.verdict);
  return counted.map(([, nanoseconds = 0]) => nanoseconds);
}

/** struct xdp_md: the data, and the interface that it came by. */
function xdpContext(bytes: number, ifindex: number): Buffer {
  const context = Buffer.alloc(24);
  context.writeUInt32LE(bytes, 4);
  context.writeUInt32LE(ifindex, 12);
  return context;
}

function neighbours(): void {
  const macs = ['2001:db8:1::12', '192.0.2.12', '2001:db8:1::1', '192.0.2.1'];
  const lines = macs.map((address) => `neigh replace ${address} lladdr 02:00:00:00:01:12 dev eth0`);
  spawnSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}

async function nodeOf({ mode, geneve, services }: Kind): Promise<LoadedNode> {
  const node = await loadNode({ dsrGeneve: geneve }, mode, { algorithm: 'maglev' });
  node.serve('away', ['far', 'far2']);
  const { objects, slices } = manyBalanced(services);
  node.add(objects, slices);
  return node;
}

function rowsOf(node: LoadedNode, { mode, geneve, services }: Kind, pins: ReadonlyMap<string, string>): readonly Row[] {
  return families.flatMap((family) => {
    const flows = new BalancerFlows(node, family);
    const measured = mode === 'snat' ? flows.translated() : flows.direct(geneve ? 'geneve' : 'opt');
    node.forget();
    return measured.map((flow) => ({ flow, services, family, node, pin: pins.get(flow.hook) ?? '', costs: [] }));
  });
}

async function main(): Promise<void> {
  if (namespaceMissing !== false) throw new Error(namespaceMissing);
  using stack = new DisposableStack();
  const directory = stack.use(temporaryBpffs()).path;
  const pinned = (program: BpfProgram, name: string) => {
    const path = join(directory, name);
    program.pin(path);
    return path;
  };
  const floors = stack.use(await loadObject({ path: join(BUILD, 'floor.bpf.o') }));
  const floorPins = new Map([...floors.programs].map(([name, program]) => [name, pinned(program, name)]));
  const rows: Row[] = [];
  for (const [index, kind] of KINDS.entries()) {
    const node = stack.use(await nodeOf(kind));
    if (index === 0) stack.use(await attachXdp(node.datapath.program('xdp_from'), link.uplink, 'native')); // else the driver has no queue for test runs
    neighbours();
    const pins = new Map(
      ['host_from', 'pod_from', 'xdp_from'].map((name) => [name, pinned(node.datapath.program(name), `${name}${index}`)]),
    );
    rows.push(...rowsOf(node, kind, pins));
  }
  const floorNs: { readonly tc: number[]; readonly xdp: number[] } = { tc: [], xdp: [] };
  for (let round = 0; round < ROUNDS; round++) measureRound(rows, floorPins, floorNs);
  process.stdout.write(JSON.stringify([findingsOf(rows, floorNs)]));
}

function measureRound(
  rows: readonly Row[],
  floorPins: ReadonlyMap<string, string>,
  floorNs: { readonly tc: number[]; readonly xdp: number[] },
): void {
  const any = rows[0]?.flow;
  if (any === undefined) return;
  const middle = (values: readonly number[]) => median(values).middle;
  const tc = middle(runsOf(floorPins.get('floor_tc') ?? '', { ...any, verdict: 0 }));
  const xdp = middle(runsOf(floorPins.get('floor_xdp') ?? '', { ...any, hook: 'xdp_from', verdict: 2 }));
  floorNs.tc.push(tc);
  floorNs.xdp.push(xdp);
  for (const row of rows) row.costs.push(costOf(row) - (row.flow.hook === 'xdp_from' ? xdp : tc));
}

function findingsOf(rows: readonly Row[], floorNs: { readonly tc: readonly number[]; readonly xdp: readonly number[] }): Findings {
  const named = Map.groupBy(rows, ({ flow, family }) => `${flow.name}, IPv${family}`);
  const cell = ({ middle, low, high }: Interval) => `${middle} [${low}, ${high}]`;
  const table = [...named].map(([name, same]) => {
    const found = COUNTS.map((count) => same.find(({ services }) => services === count)).map((row) => row && median(row.costs));
    const [few] = found;
    const { aim, hook } = same[0]?.flow ?? {};
    return [name, hook ?? '', ...found.map((one) => (one ? cell(one) : '–')), aim && few ? `≤ ${aim}: ${met(few, aim, false)}` : ''];
  });
  return {
    title: 'The load balancer: nanoseconds of a packet over the floor',
    columns: ['packet', 'program', ...COUNTS.map((count) => `${count.toLocaleString('en-US')} services [95 %]`), 'aim'],
    rows: table,
    notes: [
      `${ROUNDS} rounds of ${FRESH} runs with a fresh packet each, medians over rounds of their medians. Maglev, two backends on another node. The floor, a program that does nothing: ${cell(median(floorNs.tc))} ns in tc, ${cell(median(floorNs.xdp))} in XDP.`,
    ],
    charts: [
      {
        title: 'A packet in the load balancer, 10 services, IPv4',
        unit: 'ns over the floor',
        bars: rows
          .filter(({ services, family }) => services === COUNTS[0] && family === 4)
          .map(({ flow, costs }) => ({ label: flow.name, value: median(costs), other: flow.hook === 'xdp_from' })),
      },
    ],
  };
}

await main();
