// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { randomFrom, seedOfRun } from '../base/random.ts';
import { directoryOf, entriesOf, numbersFrom, opened, told } from './testdata/stores.ts';

const WRITER = join(import.meta.dirname, 'testdata', 'writer.ts');
const flowsIn = (entries: Parameters<typeof told>[0]) => told(entries).filter((one) => typeof one === 'number');

/** Kills it with -9 after that many lines and a bit; how many flows it had said were written. */
async function killed(directory: string, first: number, lines: number, lateMs: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, directory, String(first), '20'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let [said, count] = [first, 0];
  for await (const line of createInterface({ input: child.stdout })) {
    const wrote = /^wrote (\d+)/.exec(line)?.[1];
    if (wrote === undefined) continue;
    said = Number(wrote);
    if (++count === lines) setTimeout(() => child.kill('SIGKILL'), lateMs);
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL');
  return said;
}

it('kill -9 at any time costs nothing that was written, and nothing comes twice', { timeout: 120_000 }, async (t) => {
  const seed = seedOfRun();
  const random = randomFrom(seed);
  const directory = await directoryOf(t);
  let next = 0;
  for (let run = 0; run < 8; run++) {
    const said = await killed(directory, next, 1 + random.below(60), random.below(20));
    const { store } = await opened(directory, { rowsPerBlock: 256 });
    const entries = await entriesOf(store);
    const found = flowsIn(entries);
    assert.deepEqual(found, numbersFrom(0, found.length), `SEED=${seed} run ${run}`);
    assert.ok(found.length >= said, `SEED=${seed} run ${run}: ${said} were written, ${found.length} are there`);
    assert.equal(entries.filter(({ kind }) => kind === 'gap').length >= run, true, 'each time without an agent is a gap');
    next = found.length;
    await store.close();
  }
  assert.ok(next > 256, `${next} flows: some of them in blocks`);

  const said = await killed(directory, next, 5, 0);
  for (const name of await readdir(directory)) if (name.endsWith('.tail')) await rm(join(directory, name));
  const { store } = await opened(directory, { rowsPerBlock: 256 });
  assert.ok(flowsIn(await entriesOf(store)).length < said, 'a flow that is lost would be missed');
  await store.close();
});
