// SPDX-License-Identifier: Apache-2.0
// CNI ADD through the real plugins, ours and the bridge plugin in turn.
import { StentorError } from '../src/base/errors.ts';
import type { SandboxNode } from '../sandbox/node.ts';
import { startBench } from './cluster.ts';
import type { Bench } from './cluster.ts';
import { addTimes } from './cni-times.ts';
import type { AddTimes } from './cni-times.ts';
import { interleave } from './interleave.ts';
import { forget, LoneAgent } from './lone-agent.ts';
import { median, quantile } from './statistics.ts';
import { number } from './table.ts';
import type { Findings } from './table.ts';

const ROUNDS = 6;
const ALONE = 20;
const TOGETHER = 20;
const NAMES = { ours: 'Stentor', theirs: 'bridge + host-local' } as const;

export async function cni(): Promise<readonly Findings[]> {
  await using ours = await startBench('stentor');
  await using theirs = await startBench('bridge');
  const variants = [
    { name: NAMES.ours, run: () => addTimes(thirdNode(ours), ALONE, TOGETHER) },
    { name: NAMES.theirs, run: () => addTimes(thirdNode(theirs), ALONE, TOGETHER) },
  ];
  const results = await interleave(variants, ROUNDS);
  const rows = [...results].map(([name, times]) => rowOf(name, times));
  const bars = [...results].map(([name, times]) => ({
    label: name,
    value: median(times.flatMap(({ alone }) => alone)),
    other: name !== NAMES.ours,
  }));
  return [
    await loopFindings(),
    {
      title: 'CNI ADD',
      columns: [
        '',
        'VERSION p50 ms',
        'one by one p50 ms',
        'p99 ms',
        '20 at once: each p50 ms',
        'each p99 ms',
        'all of them, median ms',
        'failed',
      ],
      rows,
      notes: [
        ...[...results].flatMap(([name, times]) =>
          times
            .flatMap(({ failures }) => failures)
            .slice(0, 1)
            .map((failure) => `${name}: ${failure.trim()}`),
        ),
        `${ROUNDS} rounds of ${ALONE} one by one and ${TOGETHER} at once, from fork to exit of the plugin; the network namespaces exist before. VERSION asks no agent: it is what starting the process costs here. Aims: p50 ≤ 6 ms, p99 ≤ 15 ms, 20 at once ≤ 80 ms.`,
      ],
      charts: [{ title: 'CNI ADD, one by one', unit: 'ms', bars, aim: 6 }],
    },
  ];
}

/** Pods that come and go are the agent's work, but nobody else's wait. */
async function loopFindings(): Promise<Findings> {
  await using bench = await startBench('nobody');
  const node = thirdNode(bench);
  await forget(node);
  const lone = new LoneAgent(bench.cluster, node);
  await lone.healthy;
  await lone.loopDelay(); // of the start
  const failures: string[] = [];
  for (let round = 0; round < ROUNDS; round++) failures.push(...(await addTimes(node, ALONE, TOGETHER)).failures);
  const { p50, p99, max } = await lone.loopDelay();
  await lone.end();
  return {
    title: 'The loop of an agent whose pods come and go',
    columns: ['ADDs and DELs', 'loop delay p50 ms', 'p99 ms', 'max ms', 'failed'],
    rows: [[`${ROUNDS * (ALONE + TOGETHER)}`, ...[p50, p99, max].map((value) => value.toFixed(1)), `${failures.length}`]],
    notes: [
      ...failures.slice(0, 1),
      'One sample a millisecond while the loop is free, one for each time that it is not. Aim: p99 ≤ 10 ms above the resolution of 1 ms.',
    ],
    charts: [],
  };
}

function rowOf(name: string, times: readonly AddTimes[]): readonly string[] {
  const alone = times.flatMap((one) => one.alone);
  const together = times.flatMap((one) => one.together);
  const all = times.map(({ allMs }) => allMs);
  return [
    name,
    quantile(
      times.flatMap((one) => one.floor),
      0.5,
    ),
    quantile(alone, 0.5),
    quantile(alone, 0.99),
    quantile(together, 0.5),
    quantile(together, 0.99),
    quantile(all, 0.5),
    `${times.flatMap(({ failures }) => failures).length}`,
  ].map((cell) => (typeof cell === 'string' ? cell : number(cell)));
}

function thirdNode({ cluster }: Bench): SandboxNode {
  const node = cluster.nodes[2];
  if (node === undefined) throw new StentorError('NO_NODE', 'The sandbox has no third node');
  return node;
}
