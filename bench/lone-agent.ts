// SPDX-License-Identifier: Apache-2.0
// An agent that the bench starts and ends itself, on a node of a sandbox without agents.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StentorError } from '../src/base/errors.ts';
import type { Cluster } from '../sandbox/cluster.ts';
import type { SandboxNode } from '../sandbox/node.ts';
import { run } from '../sandbox/run.ts';
import { CHECKOUT } from './checkout.ts';
import { VALUES } from './cluster.ts';
import { PINS } from './pinned-maps.ts';

/** Milliseconds. */
export type LoopDelay = { readonly p50: number; readonly p99: number; readonly max: number };

/** Removes what agents left on a node, so that the next one starts as on a new machine. */
export async function forget(node: SandboxNode): Promise<void> {
  await Promise.all([PINS, '/var/run/cilium', '/etc/cni/net.d'].map((path) => rm(node.path(path), { recursive: true, force: true })));
  await run(node.enter(['mkdir', '-p', '/run/cilium', '/etc/cni/net.d'], ['--mount']));
}

/** Owns the process. */
export class LoneAgent {
  readonly #process: ChildProcess;
  readonly #started = performance.now();
  readonly #said: string[] = [];
  readonly #wanted = new Map<string, PromiseWithResolvers<Record<string, unknown>>>();
  /** Milliseconds from start to the log line that says it is ready. */
  readonly healthy: Promise<number>;
  readonly #exited: Promise<void>;

  constructor({ kubeconfig }: Cluster, node: SandboxNode) {
    const words = [join(CHECKOUT, 'bin', 'stentor'), 'agent', '--values', VALUES, '--node', node.name, '--kubeconfig', kubeconfig];
    const [program = '', ...parameters] = node.command(words);
    const env = { ...process.env, NODE_OPTIONS: `--import=${join(CHECKOUT, 'bench', 'loop-delay.ts')}` };
    this.#process = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'], env });
    if (!this.#process.stderr) throw new StentorError('NO_AGENT', 'The agent has no log');
    createInterface(this.#process.stderr).on('line', (line) => this.#hear(line));
    this.#exited = new Promise((resolve) => this.#process.on('exit', () => resolve()));
    this.healthy = this.#word('Agent is ready').then(() => performance.now() - this.#started);
    this.healthy.catch(() => undefined); // whoever awaits it hears of it
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get startedAt(): number {
    return this.#started;
  }

  /** Since the last call, or the start. */
  async loopDelay(): Promise<LoopDelay> {
    const line = this.#word('Loop delay');
    this.#process.kill('SIGUSR2');
    const { p50, p99, max } = await line;
    return { p50: Number(p50), p99: Number(p99), max: Number(max) };
  }

  /** Milliseconds from SIGTERM to the end. */
  async end(): Promise<number> {
    const started = performance.now();
    this.#process.kill('SIGTERM');
    await this.#exited;
    return performance.now() - started;
  }

  #word(message: string): Promise<Record<string, unknown>> {
    const word = Promise.withResolvers<Record<string, unknown>>();
    this.#wanted.set(message, word);
    const timer = setTimeout(
      () => word.reject(new StentorError('NO_AGENT', `The agent did not say '${message}' within 30 s: ${this.#said.slice(-5).join('\n')}`)),
      30_000,
    );
    return word.promise.finally(() => clearTimeout(timer));
  }

  #hear(line: string): void {
    this.#said.push(line);
    if (!line.startsWith('{')) return;
    const fields: Record<string, unknown> = JSON.parse(line);
    this.#wanted.get(String(fields['message']))?.resolve(fields);
  }
}

/** Resident memory of a process in MiB. */
export function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Seconds of CPU that a process has used. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
