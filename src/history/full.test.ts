// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { directoryOf } from './testdata/stores.ts';

const WRITER = join(import.meta.dirname, 'testdata', 'writer.ts');
const skip =
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0 ? false : 'needs CAP_SYS_ADMIN to mount a small disk';

type Ran = { readonly troubles: readonly string[]; readonly missed: readonly number[]; readonly has: string | undefined };

/** A writer on a disk of its own of 1 MiB, most of which a file has; that file goes when flows are missed. It ends by itself or after that many lines. */
async function ran(directory: string, fillKiB: number, limit: number): Promise<Ran> {
  const script = [
    'exec 3<&0',
    `mount -t tmpfs -o size=1m tmpfs ${directory}`,
    `head -c ${fillKiB}k /dev/zero > ${directory}/other`,
    `{ read _ <&3; rm ${directory}/other; } &`,
    `exec ${process.execPath} ${WRITER} ${directory}/history 0 200 1e8`,
  ];
  const child = spawn('unshare', ['-m', 'sh', '-ec', script.join('\n')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [troubles, missed]: [string[], number[]] = [[], []];
  let has: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, value = ''] = line.split(' ');
    if (word === 'trouble') troubles.push(value);
    if (word === 'has') has = line.slice(4);
    if (word === 'wrote') missed.push(Number(line.split(' ')[3]));
    if ((missed.at(-1) ?? 0) > 2000 && child.stdin.writable) child.stdin.end('go\n');
    if (missed.length === limit) child.kill('SIGKILL');
  }
  child.stdin.destroy();
  return { troubles, missed, has };
}

it('a full disk stops history with a reason, and it goes on by itself when there is room', { skip, timeout: 60_000 }, async (t) => {
  const { troubles, missed, has = '{}' } = await ran(await directoryOf(t), 900, 5000);
  assert.deepEqual(troubles, ['full', 'over']);
  assert.equal(missed.at(-1), missed.at(-5), 'nothing is missed afterwards');
  const { flows, sorted, gaps } = JSON.parse(has);
  assert.deepEqual([sorted, gaps], [true, ['full']]);
  const all = missed.length * 200;
  assert.equal(flows + (missed.at(-1) ?? 0), all, 'every flow is there or was counted');
});

it('a disk with room gives no reason', { skip, timeout: 60_000 }, async (t) => {
  const { troubles, missed } = await ran(await directoryOf(t), 1, 40);
  assert.deepEqual([troubles, missed.at(-1), missed.length], [[], 0, 40]);
});
