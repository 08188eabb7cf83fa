// SPDX-License-Identifier: Apache-2.0
// A load generator that sits somewhere and works on request (load.c).
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { StentorError } from '../src/base/errors.ts';
import { CHECKOUT } from './checkout.ts';
import { join } from 'node:path';

export const LOAD = join(CHECKOUT, 'build', 'bench', 'load');
export const PORT = 7000;
/** Clients and servers share this CPU, so that every instruction of the path counts. 'free': the scheduler places them. */
export const LOAD_CPU = process.env['BENCH_CPU'] === 'free' ? '' : (process.env['BENCH_CPU'] ?? '1');

/** What is done over and over; load.c says of each what it is. */
export const LoadKind = {
  rr: 'TCP_RR',
  crr: 'new connections',
  udp: 'UDP_RR',
  burst: 'datagrams',
  open: 'sockets opened and closed',
  stream: 'STREAM',
} as const;
export type LoadKind = keyof typeof LoadKind;

export type Sample = {
  /** Operations a second; bytes a second of a stream. */
  readonly rate: number;
  /** Seconds for which the machine's CPUs were busy, all of them together. */
  readonly busy: number;
  readonly operations: number;
  readonly failed: number;
  /** Microseconds of one operation. */
  readonly p50: number;
  readonly p99: number;
};

/** Owns the process. One run at a time. */
export class Loader {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  #waiting: PromiseWithResolvers<string> | undefined;

  /** `command` leads to where the load is made; it ends with the program. */
  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [program = '', ...parameters] = command;
    this.#process = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ...env, LOAD_CPU } });
    let said = '';
    this.#process.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    this.#process.stdin?.on('error', () => undefined); // said by 'exit'
    this.#process.on('exit', (code) =>
      this.#waiting?.reject(new StentorError('LOAD_FAILED', `The load generator ended with code ${code}: ${said.trim()}`)),
    );
    if (!this.#process.stdout) throw new StentorError('LOAD_FAILED', 'The load generator has no output');
    this.#lines = createInterface(this.#process.stdout);
    this.#lines.on('line', (line) => this.#waiting?.resolve(line));
  }

  /** Throws StentorError LOAD_FAILED, with what the generator said. */
  async run(kind: LoadKind, address: string, milliseconds: number, port = PORT): Promise<Sample> {
    this.#waiting = Promise.withResolvers();
    this.#process.stdin?.write(`${kind} ${address} ${port} ${milliseconds}\n`);
    const { operations, seconds, ...rest } = JSON.parse(await this.#waiting.promise);
    return { ...rest, operations, rate: operations / seconds };
  }

  [Symbol.dispose](): void {
    this.#lines.close();
    this.#process.kill('SIGKILL');
  }
}
