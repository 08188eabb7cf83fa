// SPDX-License-Identifier: Apache-2.0
// One container of a pod through all of its runs: start, probe, end, back off, start again.
import { messageOf } from '../../src/base/errors.ts';
import { now } from '../conditions.ts';
import type { Container } from '../objects.ts';
import { pause } from '../until.ts';
import type { ContainerOptions, ContainerProcess } from './process.ts';
import { startProcess } from './process.ts';
import { runProbes } from './probes.ts';
import { notStarted } from './status.ts';
import type { ContainerRecord } from './status.ts';
import type { SandboxNode } from '../node.ts';

export type LoopContext = {
  readonly node: SandboxNode;
  readonly container: Container;
  readonly podIp: string;
  readonly restartPolicy: string;
  readonly isInit: boolean;
  readonly graceSeconds: number;
  /** Everything that a run needs; asked for before each run. Throws what the pod waits for. */
  prepare(restarts: number, id: string): Promise<ContainerOptions>;
  onChange(): void;
  event(type: 'Normal' | 'Warning', reason: string, message: string): void;
};

export type ContainerLoop = {
  record(): ContainerRecord;
  /** Of the run in progress. */
  process(): ContainerProcess | undefined;
  /** Resolves with the last exit code when the container will not be started again. */
  readonly done: Promise<number>;
  /** Ends the container: politely, then after the grace period by force. */
  stop(graceSeconds: number): Promise<void>;
};

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;
/** A run that lasted this long is not part of a crash loop. */
const STABLE_MS = 60_000;

export function startContainerLoop(context: LoopContext): ContainerLoop {
  const stopping = new AbortController();
  let record = notStarted(context.container, 'ContainerCreating');
  let process: ContainerProcess | undefined;
  const update = (change: Partial<ContainerRecord>) => {
    record = { ...record, ...change };
    context.onChange();
  };
  const loop: Loop = { ...context, signal: stopping.signal, update, record: () => record, setProcess: (running) => (process = running) };
  const done = runs(loop);
  return {
    record: () => record,
    process: () => process,
    done,
    stop: async (graceSeconds) => {
      stopping.abort();
      if (process !== undefined) await end(process, graceSeconds);
      await done; // a run that was about to start ends itself
    },
  };
}

type Loop = LoopContext & {
  readonly signal: AbortSignal;
  update(change: Partial<ContainerRecord>): void;
  record(): ContainerRecord;
  setProcess(process: ContainerProcess | undefined): void;
};

async function runs(loop: Loop): Promise<number> {
  const { container, restartPolicy, signal } = loop;
  for (let backoff = 0; ;) {
    const started = performance.now();
    const code = await oneRun(loop);
    if (signal.aborted || restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && code === 0)) return code;
    backoff = performance.now() - started > STABLE_MS ? 0 : backoff;
    if (backoff > 0) {
      const message = `back-off ${Math.round(backoff / 1_000)}s restarting failed container=${container.name}`;
      loop.update({ last: loop.record().state, state: { kind: 'waiting', reason: 'CrashLoopBackOff', message } });
      loop.event('Warning', 'BackOff', `Back-off restarting failed container ${container.name}`);
      await pause(backoff, signal);
      if (signal.aborted) return code;
    }
    backoff = Math.min(Math.max(backoff * 2, FIRST_BACKOFF_MS), LONGEST_BACKOFF_MS);
    const { state, last, restarts } = loop.record();
    loop.update({ restarts: restarts + 1, ...(state.kind === 'ended' ? { last: state } : last && { last }) });
  }
}

/** From preparing to the end of the process; 128 when it could not even be prepared. */
async function oneRun(loop: Loop): Promise<number> {
  const { container, signal } = loop;
  const id = crypto.randomUUID().replaceAll('-', '');
  const startedAt = now();
  let process: ContainerProcess;
  try {
    process = await startProcess(await loop.prepare(loop.record().restarts, id));
  } catch (error) {
    loop.event('Warning', 'Failed', `Error: ${messageOf(error)}`);
    loop.update({ state: { kind: 'ended', exitCode: 128, reason: 'StartError', startedAt, finishedAt: now() }, id });
    return 128;
  }
  loop.setProcess(process);
  const running = new AbortController();
  loop.update({ state: { kind: 'running', startedAt }, id, started: container.startupProbe === undefined });
  loop.event('Normal', 'Started', `Started container ${container.name}`);
  const probing = signal.aborted ? end(process, 0) : probe(loop, process, running.signal);
  const code = await process.exited;
  running.abort();
  loop.setProcess(undefined);
  const reason = code === 0 ? 'Completed' : 'Error';
  // An init container is ready once it has done its work.
  const ready = code === 0 && loop.isInit;
  loop.update({ state: { kind: 'ended', exitCode: code, reason, startedAt, finishedAt: now() }, started: false, ready });
  await probing;
  return code;
}

function probe(loop: Loop, process: ContainerProcess, signal: AbortSignal): Promise<void> {
  const { node, container, podIp, graceSeconds } = loop;
  const context = {
    node,
    container,
    process,
    podIp,
    onStarted: () => loop.update({ started: true }),
    onReady: (ready: boolean) => signal.aborted || loop.update({ ready }),
    onFailure: (kind: string, message: string) => loop.event('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
    onDead: (kind: string) => {
      loop.event('Normal', 'Killing', `Container ${container.name} failed ${kind.toLowerCase()} probe, will be restarted`);
      void end(process, graceSeconds);
    },
  };
  return runProbes(context, signal);
}

async function end(process: ContainerProcess, graceSeconds: number): Promise<void> {
  if (graceSeconds > 0) {
    process.terminate();
    const timer = new AbortController();
    await Promise.race([process.exited, pause(graceSeconds * 1_000, timer.signal)]);
    timer.abort();
  }
  await process.kill();
  await process.exited;
}
