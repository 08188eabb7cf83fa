// SPDX-License-Identifier: Apache-2.0
// kubectl exec and kubectl logs: commands that enter a container, and the files its output went to.
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { badRequest, notFound } from '../api/api-error.ts';
import type { ExecSession, ExecTarget, LogTarget } from '../api/streams.ts';
import type { Store } from '../api/store.ts';
import { podAt } from '../objects.ts';
import type { Pod } from '../objects.ts';
import { exitCodeOf, run } from '../run.ts';
import { pause, until } from '../until.ts';
import type { ContainerLoop } from './container-loop.ts';
import type { Kubelet } from './kubelet.ts';
import { logDir, logFile, podDir } from './pod-files.ts';

export type StreamsOptions = {
  readonly store: () => Store;
  readonly kubelets: () => readonly Kubelet[];
  readonly podsDir: string;
};

type Found = { readonly pod: Pod; readonly name: string; readonly container: ContainerLoop };

function find(
  { store, kubelets }: StreamsOptions,
  target: { readonly namespace: string; readonly pod: string; readonly container?: string },
): Found {
  const pod = podAt(store(), { namespace: target.namespace, name: target.pod });
  if (pod === undefined) throw notFound({ group: '', plural: 'pods', kind: 'Pod' }, target.pod);
  const worker = kubelets()
    .find(({ node }) => node.name === pod.spec.nodeName)
    ?.worker(pod.metadata.uid);
  const name = target.container ?? pod.spec.containers[0]?.name ?? '';
  const container = worker?.container(name);
  if (container === undefined) throw badRequest(`container "${name}" in pod "${target.pod}" is waiting to start: ContainerCreating`);
  return { pod, name, container };
}

/** Starts a command in a container. Throws ApiError when the container does not run. */
export async function execIn(options: StreamsOptions, target: ExecTarget): Promise<ExecSession> {
  const { name, container } = find(options, target);
  const process = container.process();
  if (process === undefined) throw badRequest(`container not found ("${name}" in pod "${target.pod}" is not running)`);
  const inside = target.tty ? inTerminal(target.command) : target.command;
  const [program = '', ...parameters] = process.enter(inside);
  const child = spawn(program, parameters, { env: { TERM: 'xterm', ...process.environment }, stdio: ['pipe', 'pipe', 'pipe'] });
  if (!target.stdin) child.stdin.end();
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  child.on('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
  child.on('error', () => resolve(127));
  child.stdin.on('error', () => undefined); // the command may end before its input does
  return {
    stdout: child.stdout,
    stderr: child.stderr,
    write: (chunk) => written(child.stdin, chunk),
    end: () => child.stdin.end(),
    resize: ({ columns, rows }) => void resize(child.pid, columns, rows),
    exited,
    kill: () => child.exitCode === null && child.kill('SIGKILL'),
  };
}

/** script(1) makes a terminal and passes everything through. */
const inTerminal = (command: readonly string[]): string[] => [
  'script',
  '--quiet',
  '--return',
  '--echo',
  'always',
  '--command',
  `exec ${command.map(quoted).join(' ')}`,
  '/dev/null',
];

const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** Resolves when the command may be given more. */
function written(stdin: Writable, chunk: Buffer): Promise<void> {
  if (!stdin.writable) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  stdin.write(chunk, () => resolve());
  return promise;
}

/** Sets the size of the terminal that script(1) made, which it holds open; the first size may come before there is one. */
async function resize(pid: number | undefined, columns: number, rows: number): Promise<void> {
  let terminal: string | undefined;
  const found = async () => {
    const files = await readdir(`/proc/${pid}/fd`);
    const targets = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
    terminal = targets.find((target) => target.startsWith('/dev/pts/'));
    return terminal !== undefined;
  };
  try {
    await until('a terminal', 2_000, found);
    await run(['stty', '-F', terminal ?? '', 'cols', `${columns}`, 'rows', `${rows}`]);
  } catch {
    return; // the command has ended
  }
}

/** The log of a container, from its current (or previous) run. Throws ApiError when there is none. */
export async function* logsOf(options: StreamsOptions, target: LogTarget, signal: AbortSignal): AsyncIterable<Buffer> {
  const { pod, name, container } = find(options, target);
  const podName = pod.metadata.name;
  const dir = podDir(options.podsDir, pod);
  const runs = (await readdir(logDir(dir, name)).catch(() => [])).map((file) => Number.parseInt(file, 10)).toSorted((a, b) => b - a);
  const index = runs[target.previous === true ? 1 : 0];
  if (index === undefined)
    throw badRequest(`${target.previous === true ? 'previous terminated ' : ''}container "${name}" in pod "${podName}" not found`);
  const path = logFile(dir, name, index);
  let position = await startOf(path, target.tailLines);
  while (!signal.aborted) {
    const isLive = container.process() !== undefined; // asked first: what it wrote before its end is read below
    const { size } = await stat(path).catch(() => ({ size: 0 }));
    if (size > position) for await (const chunk of createReadStream(path, { start: position, end: size - 1 })) yield chunk as Buffer; // as: no encoding is set
    position = Math.max(position, size);
    if (!target.follow || !isLive) return;
    await pause(FOLLOW_MS, signal);
  }
}

const FOLLOW_MS = 200;
/** A tail is looked for in this much of the end of a log. */
const TAIL_BYTES = 4 << 20;

/** The offset at which the last lines begin. */
async function startOf(path: string, lines: number | undefined): Promise<number> {
  if (lines === undefined) return 0;
  const { size } = await stat(path);
  if (lines === 0) return size;
  const first = Math.max(size - TAIL_BYTES, 0);
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { start: first })) chunks.push(chunk as Buffer); // as: no encoding is set
  const text = Buffer.concat(chunks);
  let at = text.at(-1) === NEWLINE ? text.length - 1 : text.length;
  for (let count = 0; count < lines && at >= 0; count++) at = at === 0 ? -1 : text.lastIndexOf(NEWLINE, at - 1);
  return first + Math.max(at + 1, 0);
}

const NEWLINE = 0x0a;
