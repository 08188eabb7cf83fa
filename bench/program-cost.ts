// SPDX-License-Identifier: Apache-2.0
// What each BPF program of an agent costs, by the kernel's own count (kernel.bpf_stats_enabled, which itself adds a few
// tens of nanoseconds to each run).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mustRun } from '../sandbox/run.ts';

export type ProgramCost = {
  readonly name: string;
  readonly runs: number;
  /** Nanoseconds of a run, on average. */ readonly nanoseconds: number;
};

type Counters = { readonly name: string; readonly run_time_ns: number; readonly run_cnt: number };

const SWITCH = '/proc/sys/kernel/bpf_stats_enabled';

/** Counts while `work` goes on, over the programs that these processes have open. */
export async function programCosts(pids: readonly number[], work: () => Promise<unknown>): Promise<readonly ProgramCost[]> {
  const ids = pids.flatMap(programsOf);
  const enabled = readFileSync(SWITCH, 'utf8');
  writeFileSync(SWITCH, '1');
  try {
    const before = await counters(ids);
    await work();
    const after = await counters(ids);
    const byName = new Map<string, { runs: number; time: number }>();
    for (const [id, { name, run_cnt, run_time_ns }] of after) {
      const total = byName.get(name) ?? { runs: 0, time: 0 };
      total.runs += run_cnt - (before.get(id)?.run_cnt ?? 0);
      total.time += run_time_ns - (before.get(id)?.run_time_ns ?? 0);
      byName.set(name, total);
    }
    return [...byName].filter(([, { runs }]) => runs > 0).map(([name, { runs, time }]) => ({ name, runs, nanoseconds: time / runs }));
  } finally {
    writeFileSync(SWITCH, enabled);
  }
}

function programsOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/fdinfo`).flatMap((fd) => {
    const id = /^prog_id:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1];
    return id === undefined ? [] : [Number(id)];
  });
}

async function counters(ids: readonly number[]): Promise<ReadonlyMap<number, Counters>> {
  const found: readonly (Partial<Counters> & { readonly id: number })[] = JSON.parse(await mustRun(['bpftool', '--json', 'prog', 'show']));
  return new Map(
    found
      .filter(({ id }) => ids.includes(id))
      .map(({ id, name = '', run_time_ns = 0, run_cnt = 0 }) => [id, { name, run_time_ns, run_cnt }]),
  );
}
