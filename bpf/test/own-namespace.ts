// SPDX-License-Identifier: Apache-2.0
// Whoever imports this file first runs in a network and a mount namespace of its own: BPF_PROG_TEST_RUN looks interfaces and
// routes up in the network namespace of the caller. The process starts itself again inside; both namespaces end with it.

import { spawnSync } from 'node:child_process';

const inside = process.env['STENTOR_TEST_NAMESPACE'] === '1';
const possible = inside || spawnSync('unshare', ['--net', '--mount', 'true']).status === 0;

if (possible && !inside) {
  const command = ['--net', '--mount', process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', command, { stdio: 'inherit', env: { ...process.env, STENTOR_TEST_NAMESPACE: '1' } });
  process.exit(status ?? 1);
}

/** Why no test here can run, or false. */
export const namespaceMissing: string | false = possible ? false : 'missing capability: unshare(CLONE_NEWNET | CLONE_NEWNS) is refused';
