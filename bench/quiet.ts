// SPDX-License-Identifier: Apache-2.0
// How busy the machine is with other things.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

type CpuTime = { readonly busy: number; readonly all: number };

/** Ticks of all CPUs since boot. */
function cpuTime(): CpuTime {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0] =
    readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  const busy = user + nice + system + irq + softirq;
  return { busy, all: busy + idle + iowait };
}

/** The part of all CPUs that was busy for as long as this waits. */
export async function busyPart(milliseconds: number): Promise<number> {
  const before = cpuTime();
  await delay(milliseconds);
  const after = cpuTime();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

/** Waits until the machine is at most so busy, or for as long as one is patient. Returns how busy it was in the end. */
export async function quiet({ most = 0.2, patienceMs = 10_000 } = {}): Promise<number> {
  const started = performance.now();
  for (;;) {
    const part = await busyPart(300);
    if (part <= most || performance.now() - started > patienceMs) return part;
  }
}
