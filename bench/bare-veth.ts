// SPDX-License-Identifier: Apache-2.0
// The floor: two network namespaces and one veth pair between them, with nothing attached.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { StentorError } from '../src/base/errors.ts';
import { mustRun } from '../sandbox/run.ts';
import { until } from '../sandbox/until.ts';
import { readlink } from 'node:fs/promises';
import { LOAD, LOAD_CPU, Loader, PORT } from './loader.ts';

export type BareVeth = Disposable & { readonly client: Loader; readonly address: string };

const ADDRESS = '198.18.0.2';

/** The namespaces are those of two processes and end with them. */
export async function startBareVeth(): Promise<BareVeth> {
  const server = spawn('unshare', ['--net', 'sh', '-c', `ip link set lo up && LOAD_CPU=${LOAD_CPU} exec ${LOAD} serve ${PORT}`], {
    stdio: 'ignore',
  });
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec sleep infinity'], { stdio: 'ignore' });
  const stop = () => {
    server.kill('SIGKILL');
    holder.kill('SIGKILL');
  };
  try {
    const [there, here] = [await ownNamespace(server), await ownNamespace(holder)];
    await mustRun(['nsenter', `--net=/proc/${here}/ns/net`, 'ip', '-batch', '-'], {
      input: [`link add eth0 type veth peer name eth0 netns ${there}`, 'addr add 198.18.0.1/24 dev eth0', 'link set eth0 up'].join('\n'),
    });
    await mustRun(['nsenter', `--net=/proc/${there}/ns/net`, 'ip', '-batch', '-'], {
      input: `addr add ${ADDRESS}/24 dev eth0\nlink set eth0 up\n`,
    });
    const client = new Loader(['nsenter', `--net=/proc/${here}/ns/net`, LOAD]);
    return {
      client,
      address: ADDRESS,
      [Symbol.dispose]() {
        client[Symbol.dispose]();
        stop();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}

async function ownNamespace({ pid }: ChildProcess): Promise<number> {
  if (pid === undefined) throw new StentorError('NO_NAMESPACE', 'Cannot start a process in a network namespace of its own');
  const ours = await readlink('/proc/self/ns/net');
  await until('a network namespace', 5_000, async () => (await readlink(`/proc/${pid}/ns/net`)) !== ours);
  return pid;
}
