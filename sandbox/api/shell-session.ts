// SPDX-License-Identifier: Apache-2.0
// An ExecSession over a local process: what tests of the API run in the place of a container's command. A kubelet with a
// terminal and namespaces of its own implements the same type.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { ExecSession } from './streams.ts';

/** Starts the command on this machine. It is killed when the client goes. */
export const shellSession = (command: readonly string[]): ExecSession => {
  const [file = 'true', ...args] = command;
  const child = spawn(file, args, { stdio: 'pipe' });
  child.stdin.on('error', () => child.stdin.destroy()); // the command has closed its end
  const exited = new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  return {
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    write: (chunk) => new Promise((resolve, reject) => child.stdin.write(chunk, (error) => (error ? reject(error) : resolve()))),
    end: () => child.stdin.end(),
    resize: () => undefined, // no terminal here
    kill: () => child.kill('SIGKILL'),
  };
};
