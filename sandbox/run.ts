// SPDX-License-Identifier: Apache-2.0
// Runs a program to its end and hands back what it said.
import { spawn } from 'node:child_process';
import { StentorError } from '../src/base/errors.ts';

export type Ran = {
  /** Exit code; 128 + n for signal n, 127 when the program could not be started. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
};

export type RunOptions = {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program is killed when it lasts longer. 30,000 unless said otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

/** A program that the sandbox depends on failed. */
export class CommandFailed extends StentorError {
  constructor(command: readonly string[], ran: Ran) {
    const said = (ran.stderr || ran.stdout).trim();
    super('COMMAND_FAILED', `Cannot run '${command.join(' ')}': exit code ${ran.code}${said && `, ${said}`}`);
  }
}

const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };

/** The shell's convention: 128 + n for a process that signal n ended. */
export const exitCodeOf = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0));

/** Runs a program; never throws for what the program does. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [program = '', ...parameters] = command;
  const started = performance.now();
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const child = spawn(program, parameters, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 30_000,
    killSignal: 'SIGKILL',
    ...(options.env && { env: { ...options.env } }),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.signal && { signal: options.signal }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const text = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString();
  const finish = (code: number, more = '') =>
    resolve({ code, stdout: text(stdout), stderr: text(stderr) + more, milliseconds: performance.now() - started });
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.on('error', (error) => finish(127, error.message));
  child.on('close', (code, signal) => finish(exitCodeOf(code, signal)));
  child.stdin?.on('error', () => undefined); // the program need not read its input
  child.stdin?.end(options.input);
  return promise;
}

/** Runs a program that must succeed; returns its standard output. Throws CommandFailed. */
export async function mustRun(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(command, options);
  if (ran.code !== 0) throw new CommandFailed(command, ran);
  return ran.stdout;
}
