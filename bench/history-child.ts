// SPDX-License-Identifier: Apache-2.0
// node history-child.ts keep ENGINE DIRECTORY COUNT | find DIRECTORY: one measurement in a process of its own, as JSON on stdout.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { systemClock } from '../src/base/clock.ts';
import type { Flow } from '../src/flows/flow.ts';
import { Verdict } from '../src/flows/flow-enums.ts';
import type { FlowFilter } from '../src/hubble/filter-message.ts';
import { wantedOf } from '../src/history/filters.ts';
import { histogram } from '../src/history/histogram.ts';
import { openStore } from '../src/history/open.ts';
import { read } from '../src/history/reader.ts';
import type { Query } from '../src/history/reader.ts';
import { textOf } from '../src/history/text.ts';
import { uuidsOf } from '../src/history/uuid.ts';
import { flowMix, NODE } from './flow-mix.ts';

const SINCE = 1_764_000_000_000_000_000n;
const POSITION = 1_764_000_000_000_000;
const MIX = 100_000;
const BATCH = 256;
const PAGE = 100;

type Engine = { put(flows: readonly Flow[]): void; settle(): Promise<void>; end(): Promise<void> };

const openOurs = (directory: string) =>
  openStore({
    directory,
    node: NODE,
    maxBytes: 2 ** 40,
    clock: systemClock,
    report: (trouble) => process.stderr.write(`${trouble.disk?.message}\n`),
  });

const engines: Readonly<Record<string, (directory: string) => Promise<Engine>>> = {
  none: async () => ({ put: () => undefined, settle: async () => undefined, end: async () => undefined }),
  async stentor(directory) {
    const store = await openOurs(directory);
    return { put: store.append, settle: store.flush, end: store.close };
  },
  'sqlite-rows': async (directory) => {
    const db = sqlite(directory);
    for (const name of ['shapes', 'ends', 'said']) db.exec(`CREATE TABLE ${name} (id INTEGER PRIMARY KEY, value TEXT UNIQUE)`);
    db.exec('CREATE TABLE flows (id INTEGER PRIMARY KEY, time INTEGER, shape, source, destination, said, sport, dport, latency)');
    const insert = db.prepare('INSERT INTO flows VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)');
    const ids = new Map<string, number | bigint>();
    const idOf = (table: string, value: unknown) => {
      const key = `${table}${JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? Number(one) : one))}`;
      const known = ids.get(key) ?? db.prepare(`INSERT INTO ${table} (value) VALUES (?)`).run(key).lastInsertRowid;
      ids.set(key, known);
      return known;
    };
    return transacted(db, ({ time, uuid: _uuid, source, destination, sourceNames, destinationNames, ip, l4, l7, ...shape }) => {
      const ports = l4 && 'sourcePort' in l4 ? l4 : undefined;
      const { latencyNs, ...said } = l7 ?? {};
      const [from, to] = [
        { source, sourceNames, at: ip?.source },
        { destination, destinationNames, at: ip?.destination },
      ];
      const flags = l4 && 'flags' in l4 ? l4.flags : l4?.kind;
      const parts = [idOf('shapes', [shape, flags]), idOf('ends', from), idOf('ends', to), l7 ? idOf('said', said) : 0];
      insert.run(time, ...parts, ports?.sourcePort ?? 0, ports?.destinationPort ?? 0, latencyNs ?? 0);
    });
  },
  'sqlite-zstd': async (directory) => {
    const db = sqlite(directory);
    db.exec('CREATE TABLE blocks (id INTEGER PRIMARY KEY, time INTEGER, rows BLOB)');
    const insert = db.prepare('INSERT INTO blocks VALUES (NULL, ?, ?)');
    let lines: string[] = [];
    let first = 0n;
    return transacted(db, (flow) => {
      if (lines.length === 0) first = flow.time;
      if (lines.push(textOf(flow)) < 4096) return;
      insert.run(first, zstdCompressSync(lines.join('\n')));
      lines = [];
    });
  },
};

function sqlite(directory: string): DatabaseSync {
  const db = new DatabaseSync(join(directory, 'flows.db'));
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
  return db;
}

function transacted(db: DatabaseSync, add: (flow: Flow) => void): Engine {
  return {
    put(flows) {
      db.exec('BEGIN');
      flows.forEach(add);
      db.exec('COMMIT');
    },
    settle: async () => undefined,
    async end() {
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      db.close();
    },
  };
}

/** The same flows over and over, later each time: making them costs more than keeping them. */
function* mixed(count: number): Generator<readonly Flow[]> {
  const mix = flowMix({ since: SINCE, position: POSITION });
  const flows = Array.from({ length: Math.min(MIX, count) }, () => mix.next().value as Flow); // as: it never ends
  const span = (flows.at(-1)?.time ?? SINCE) - SINCE + 50_000_000n;
  const uuids = uuidsOf(NODE);
  for (let made = 0; made < count;)
    for (let first = 0; first < flows.length && made < count; first += BATCH) {
      const round = BigInt(Math.floor(made / flows.length));
      yield flows
        .slice(first, first + BATCH)
        .map((flow) => ({ ...flow, time: flow.time + round * span, uuid: uuids.of(POSITION + made++) }));
    }
}

async function keep(name: string, directory: string, count: number) {
  const engine = await engines[name]?.(directory);
  if (!engine) throw new Error(`There is no engine '${name}'`);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const started = process.cpuUsage();
  let [batches, longest] = [0, 0];
  for (const flows of mixed(count)) {
    const begin = process.threadCpuUsage();
    engine.put(flows);
    const { user, system } = process.threadCpuUsage(begin);
    longest = Math.max(longest, (user + system) / 1000);
    if (++batches % 16 === 0) await setImmediate();
    if (batches === 100) delay.enable();
    if (batches % 64 === 0) await engine.settle();
  }
  await engine.settle();
  await engine.end();
  const { user, system } = process.cpuUsage(started);
  const bytes = readdirSync(directory).reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
  return { count, bytes, cpuUs: user + system, rssMiB: process.resourceUsage().maxRSS / 1024, p99Ms: delay.percentile(99) / 1e6, longest };
}

const questions: Readonly<Record<string, { readonly order: Query['order']; readonly filter?: FlowFilter }>> = {
  'the oldest, without a filter': { order: 'oldest first' },
  'the newest, without a filter': { order: 'newest first' },
  'drops of one pod, newest first': { order: 'newest first', filter: { verdict: [Verdict.DROPPED], sourcePod: ['shop/'] } },
  'answers with code 500 to one namespace': { order: 'oldest first', filter: { httpStatusCode: ['500'], destinationPod: ['media/'] } },
  'an address that nobody has': { order: 'oldest first', filter: { destinationIp: ['198.51.100.1'] } },
  'what is in every block, and never together': { order: 'oldest first', filter: { verdict: [Verdict.DROPPED], destinationPort: ['443'] } },
};

async function find(directory: string) {
  const began = performance.now();
  const store = await openOurs(directory);
  const opened = performance.now() - began;
  const results: [question: string, ms: number, cpuMs: number, found: number][] = [];
  const timed = async (question: string, ask: () => Promise<number>) => {
    const [start, cpu] = [performance.now(), process.cpuUsage()];
    const found = await ask();
    const { user, system } = process.cpuUsage(cpu);
    results.push([question, performance.now() - start, (user + system) / 1000, found]);
  };
  for (const [question, { order, filter }] of Object.entries(questions))
    await timed(question, async () => {
      let found = 0;
      const query: Query = { order, wanted: wantedOf({ whitelist: filter ? [filter] : [] }), since: SINCE };
      for await (const { entries } of read(store, query)) if ((found += entries.length) >= PAGE) break;
      return found;
    });
  const last = store.places.at(-1)?.times[1] ?? SINCE;
  await timed('flows by verdict, 100 bars', async () => (await histogram(store, { since: SINCE, until: last, buckets: 100 })).length);
  await store.close();
  return { opened, results, rssMiB: process.resourceUsage().maxRSS / 1024, blocks: store.places.length };
}

const [what = '', ...args] = process.argv.slice(2);
const answer = what === 'keep' ? await keep(args[0] ?? '', args[1] ?? '', Number(args[2])) : await find(args[0] ?? '');
process.stdout.write(JSON.stringify(answer));
