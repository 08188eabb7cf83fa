// SPDX-License-Identifier: Apache-2.0
// A Prometheus on the machine beside the nodes, as somebody would have one: it scrapes every second, and is asked what panels ask.

import { spawn } from 'node:child_process';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLIENT } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { until, WaitTimeout } from '../../sandbox/until.ts';
import { checkout } from './cluster.ts';
import type { Faulty } from './cluster.ts';

const program = join(checkout, 'build', 'bin', 'prometheus');
const PORT = 9090;

/** Why there is none; false where there is. */
export const noPrometheus: string | false = await access(program).then(
  () => false as const,
  () => "needs Debian's prometheus in build/bin, which `sh tools/setup.sh test` puts there",
);

export type Target = { readonly job: string; readonly node: string; readonly address: string };

export type Prometheus = AsyncDisposable & {
  /** How many series a query finds. Throws with Prometheus's words where it does not understand it. */
  count(query: string): Promise<number>;
  /** Targets that it cannot scrape, and why. */
  down(): Promise<readonly string[]>;
};

type Data = {
  readonly result?: readonly unknown[];
  readonly activeTargets?: readonly { readonly health: string; readonly scrapeUrl: string; readonly lastError: string }[];
};
type Answer = { readonly data?: Data; readonly error?: string };

/** Starts it; it goes on until it is disposed. */
export async function startPrometheus({ scratch, places, cluster }: Faulty, targets: readonly Target[]): Promise<Prometheus> {
  const folder = join(scratch, 'prometheus');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(configOf(targets))); // which is YAML, too
  const flags = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${PORT}`,
    '--log.level=warn',
  ];
  const started = processOf([...inNetns(cluster.layout, CLIENT.name), program, ...flags]);
  const ask = async (path: string, ...more: readonly string[]): Promise<Data> => {
    const ran = await places.outsider.run([
      'curl',
      '--silent',
      '--show-error',
      '--max-time',
      '4',
      ...more,
      `http://127.0.0.1:${PORT}${path}`,
    ]);
    if (ran.code !== 0) throw new Error(`Prometheus does not answer: ${ran.stderr.trim()} ${started.said()}`);
    const { data, error } = JSON.parse(ran.stdout) as Answer; // as: Prometheus's API, version 1
    if (!data) throw new Error(`Prometheus does not take it: ${error}`);
    return data;
  };
  await until('Prometheus to be ready', 30_000, () =>
    ask('/api/v1/query', '--data-urlencode', 'query=vector(1)').then(Boolean, () => false),
  ).catch(async (error: unknown) => {
    await started.end();
    throw new Error(started.said(), { cause: error });
  });
  return {
    count: async (query) => (await ask('/api/v1/query', '--data-urlencode', `query=${query}`)).result?.length ?? 0,
    async down() {
      const { activeTargets = [] } = await ask('/api/v1/targets?state=active');
      const away = activeTargets.filter(({ health }) => health !== 'up');
      return away.map(({ scrapeUrl, lastError }) => `${scrapeUrl}: ${lastError || 'not scraped yet'}`);
    },
    [Symbol.asyncDispose]: started.end,
  };
}

function configOf(targets: readonly Target[]) {
  const jobs = [...new Set(targets.map(({ job }) => job))].map((job) => ({
    job_name: job,
    static_configs: targets.filter((one) => one.job === job).map(({ address, node }) => ({ targets: [address], labels: { node } })),
  }));
  return { global: { scrape_interval: '1s', scrape_timeout: '1s' }, scrape_configs: jobs };
}

function processOf([command = '', ...rest]: readonly string[]) {
  const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  child.on('close', () => resolve());
  child.on('error', () => resolve());
  const end = () => {
    child.kill('SIGTERM');
    return exited;
  };
  return { said: () => said, end };
}

type Shown = {
  readonly title: string;
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
};
export type Asked = { readonly panel: string; readonly query: string };

/** What all panels ask, with short times in place of those that Grafana puts in, and all nodes. */
export async function panelQueries(): Promise<readonly Asked[]> {
  const folder = join(checkout, 'chart', 'files', 'dashboards');
  const asked: Asked[] = [];
  for (const file of (await readdir(folder)).toSorted()) {
    const { title, panels } = JSON.parse(await readFile(join(folder, file), 'utf8')) as Shown; // as: grafanaJson() wrote it
    for (const panel of panels)
      for (const { expr } of panel.targets ?? []) asked.push({ panel: `${title} / ${panel.title}`, query: substituted(expr) });
  }
  return asked;
}

const substituted = (query: string): string =>
  query.replaceAll('$__rate_interval', '10s').replaceAll('$__range', '1m').replaceAll('"$node"', '".*"');

/** Asks until each has found something, or the time is over. Those that never did, in the end. */
export async function emptyOf(prometheus: Prometheus, asked: readonly Asked[], patienceMs: number): Promise<readonly Asked[]> {
  let empty = asked;
  const ask = async () => {
    const counts = [];
    for (const one of empty) counts.push({ one, count: await prometheus.count(one.query) });
    empty = counts.filter(({ count }) => count === 0).map(({ one }) => one);
    return empty.length === 0;
  };
  await until('every query to find something', patienceMs, ask).catch((error: unknown) => {
    if (!(error instanceof WaitTimeout)) throw error;
  });
  return empty;
}
