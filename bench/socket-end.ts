// SPDX-License-Identifier: Apache-2.0
// node bench/socket-end.ts [rounds]   what forgetting a closed socket costs, with sock_release attached and without; prints Findings as JSON
import { namespaceMissing } from '../bpf/test/own-namespace.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { at } from '../bpf/test/cluster.ts';
import { loadNode } from '../bpf/test/loaded.ts';
import type { LoadedNode } from '../bpf/test/loaded.ts';
import { attachCgroup, AttachType } from '../src/kernel/link.ts';
import { temporaryCgroup } from '../src/kernel/testdata/harness.ts';
import { inCgroup } from '../sandbox/cgroup.ts';
import { until } from '../sandbox/until.ts';
import { interleave } from './interleave.ts';
import { LOAD, Loader } from './loader.ts';
import { median } from './statistics.ts';
import { number } from './table.ts';
import type { Findings } from './table.ts';

const ROUNDS = Number(process.argv[2] ?? 30);
const MILLISECONDS = 50;
const HOOKS = { sock_connect4: AttachType.cgroupInet4Connect, sock_release: AttachType.cgroupInetSockRelease } as const;
type Hook = keyof typeof HOOKS;

type Variant = { readonly name: string; readonly hooks: readonly Hook[]; readonly address: string };

/** By pairs: without sock_release, and with it. */
const VARIANTS: readonly Variant[] = [
  { name: 'no program', hooks: [], address: '127.0.0.1' },
  { name: 'sock_release alone', hooks: ['sock_release'], address: '127.0.0.1' },
  { name: 'to a service, sock_connect4', hooks: ['sock_connect4'], address: at[4].cart },
  { name: 'to a service, sock_connect4 and sock_release', hooks: ['sock_connect4', 'sock_release'], address: at[4].cart },
];

/** Ends in the opposite order; a cgroup can be removed once nobody is in it. */
async function loaderIn(node: LoadedNode, { hooks }: Variant, stack: AsyncDisposableStack): Promise<Loader> {
  const { path } = stack.use(temporaryCgroup());
  for (const hook of hooks) stack.use(await attachCgroup(node.datapath.program(hook), path, HOOKS[hook]));
  stack.defer(() => until('nobody to be left', 5_000, () => readFileSync(join(path, 'cgroup.procs'), 'utf8') === ''));
  return stack.use(new Loader(inCgroup(path, [LOAD])));
}

async function main(): Promise<void> {
  if (namespaceMissing !== false) throw new Error(namespaceMissing);
  using node = await loadNode();
  await using stack = new AsyncDisposableStack();
  const loads = [];
  for (const variant of VARIANTS) {
    const loader = await loaderIn(node, variant, stack);
    loads.push({ name: variant.name, run: () => loader.run('open', variant.address, MILLISECONDS, 53) });
  }
  const results = await interleave(loads, ROUNDS);
  const held = node.datapath.map('sock_reverse').count();
  const nanoseconds = (name: string) => (results.get(name) ?? []).map(({ rate }) => 1e9 / rate);
  const rows = VARIANTS.map(({ name }, index) => {
    const before = index % 2 === 1 ? nanoseconds(VARIANTS[index - 1]?.name ?? '') : undefined;
    const more = before && median(nanoseconds(name).map((value, round) => value - (before[round] ?? Number.NaN)));
    return [
      name,
      number(median(nanoseconds(name)).middle),
      more ? `${number(more.middle)} [${number(more.low)}, ${number(more.high)}]` : '',
    ];
  });
  const findings: Findings = {
    title: 'A socket that is opened, connected and closed',
    columns: ['programs of its cgroup', 'ns', 'sock_release: ns more [95 %]'],
    rows,
    notes: [`${ROUNDS} rounds of ${MILLISECONDS} ms, datagram sockets. sock_reverse had ${held} entries in the end.`],
    charts: [],
  };
  process.stdout.write(JSON.stringify([findings]));
}

await main();
