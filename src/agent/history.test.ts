// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../base/clock.ts';
import { logTo } from '../base/log.ts';
import type { Problem } from '../base/problem.ts';
import { flowRing } from '../flows/flow-ring.ts';
import type { Flow } from '../flows/flow.ts';
import { flowHistory } from './history.ts';
import type { FlowHistory } from './history.ts';

const flowOf = (history: FlowHistory): Flow => ({
  time: BigInt(Date.now()) * 1_000_000n,
  uuid: history.uuid(),
  verdict: 1,
  type: 1,
  nodeName: 'default/node1',
  summary: '',
});

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !holds(); await delay(10)) assert.ok(performance.now() < end, `${what} within 10 s`);
}

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'stentor-history-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function agent(directory: string, maxBytes = 1e8) {
  const said: (readonly Problem[])[] = [];
  const stop = new AbortController();
  const log = logTo(() => undefined);
  const history = flowHistory({
    directory,
    node: 'default/node1',
    maxBytes,
    clock: systemClock,
    log,
    report: (rows) => void said.push(rows),
  });
  const ring = flowRing(7);
  const ended = history.run(stop.signal);
  const see = (count: number) => {
    const flows = Array.from({ length: count }, () => flowOf(history));
    history.append(flows);
    ring.append(flows);
    return flows.map(({ uuid }) => uuid);
  };
  const all = async (): Promise<readonly string[]> => {
    const query = { since: 0n, matches: () => true };
    const through = history.through(ring, { ...query, wanted: { matches: query.matches, alternatives: [] } }, stop.signal);
    const found = [];
    for await (const entries of through?.past ?? []) found.push(...entries);
    found.push(...ring.read(through?.present() ?? query).take(1000));
    return found.map((entry) => (entry.kind === 'flow' ? entry.flow.uuid : 'lost'));
  };
  const end = async () => {
    stop.abort();
    await ended;
  };
  return { history, said, see, all, end };
}

describe('the history of an agent', () => {
  it('has what came before it was open, and what an agent before it saw', async (t) => {
    const directory = await scratch(t);
    const first = agent(directory);
    const early = first.see(20);
    await until('open', () => first.history.store !== undefined);
    const late = first.see(20);
    assert.deepEqual(await first.all(), [...early, ...late]);
    await first.end();
    const second = agent(directory);
    await until('open', () => second.history.store !== undefined);
    const more = second.see(3);
    assert.deepEqual(await second.all(), [...early, ...late, 'lost', ...more]);
    await second.end();
    assert.deepEqual([first.said, second.said], [[], []]);
    assert.equal(new Set([...early, ...late, ...more]).size, 43);
  });

  it('that cannot be had is a Problem, and flows are in the ring as ever', async (t) => {
    const directory = join(await scratch(t), 'file');
    await writeFile(directory, '');
    const one = agent(directory);
    await until('a Problem', () => one.said.length > 0);
    assert.deepEqual(
      one.said[0]?.map(({ object, reason }) => [object, reason]),
      [[`File ${directory}`, 'HistoryDiskFails']],
    );
    assert.deepEqual((await one.all()).length, 0);
    const seen = one.see(5);
    assert.deepEqual(await one.all(), seen);
    await one.end();
  });

  it('that nobody wants is none, and touches no disk', async (t) => {
    const one = agent('/dev/null/nowhere', 0);
    t.after(one.end);
    const seen = one.see(3);
    assert.deepEqual([await one.all(), one.history.store, one.said], [seen, undefined, []]);
  });
});
