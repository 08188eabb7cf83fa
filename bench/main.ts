// SPDX-License-Identifier: Apache-2.0
// node bench/main.ts [suite…]   measures and prints; tables and pictures go to build/bench/
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { requireMachine } from '../sandbox/requirements.ts';
import { mustRun } from '../sandbox/run.ts';
import { agent } from './agent.ts';
import { svg } from './chart.ts';
import { CHECKOUT } from './checkout.ts';
import { cni } from './cni.ts';
import { eastWest } from './east-west.ts';
import { failover } from './failover.ts';
import { flows } from './flows.ts';
import { l2Idle } from './l2-idle.ts';
import { history } from './history.ts';
import { maglev } from './maglev.ts';
import { maps } from './maps.ts';
import { northSouth } from './north-south.ts';
import { quiet } from './quiet.ts';
import { services } from './services.ts';
import { outOfProcess } from './out-of-process.ts';
import { page } from './page.ts';
import { markdown } from './table.ts';
import type { Findings } from './table.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 30);

const say = (line: string): void => void process.stderr.write(`  ${line}\n`);

const SUITES: Readonly<Record<string, () => Promise<readonly Findings[]>>> = {
  'east-west': () => eastWest({ rounds: ROUNDS, milliseconds: 80 }, say),
  'north-south': () => northSouth({ rounds: ROUNDS, milliseconds: 100 }, say),
  flows: () => flows({ rounds: ROUNDS, milliseconds: 80 }, say),
  l2: () => l2Idle(say),
  sockets: () => outOfProcess('socket-end.ts', `${ROUNDS}`),
  services: () => services({ rounds: ROUNDS, milliseconds: 40 }, say),
  agent: () => agent(say),
  cni,
  failover: () => failover(ROUNDS, say),
  history: () => history(say),
  maglev,
  maps,
  page: () => page(say),
};

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.find((name) => SUITES[name] === undefined);
  if (unknown !== undefined) {
    process.stderr.write(`There is no suite '${unknown}', wanted some of ${Object.keys(SUITES).join(', ')}\n`);
    return 2;
  }
  await requireMachine();
  await mustRun(['make', '-s', '-C', join(CHECKOUT, 'bench')]);
  const directory = join(CHECKOUT, 'build', 'bench');
  mkdirSync(directory, { recursive: true });
  for (const [name, suite] of Object.entries(SUITES).filter(([name]) => names.length === 0 || names.includes(name))) {
    const started = performance.now();
    const busy = await quiet();
    const findings = await suite();
    const text = [machine(busy, started), ...findings.map(markdown)].join('\n\n');
    process.stdout.write(`# ${name}\n\n${text}\n`);
    writeFileSync(join(directory, `${name}.md`), `# ${name}\n\n${text}\n`);
    writeFileSync(join(directory, `${name}.svg`), svg(findings.flatMap(({ charts }) => charts)));
  }
  return 0;
}

function machine(busy: number, started: number): string {
  const model = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch;
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ');
  return `Linux ${release()}, ${cpus().length} × ${model}, Node ${process.versions.node}; ${Math.round(busy * 100)} % busy before, load average ${load} after ${Math.round((performance.now() - started) / 1000)} s. ${ROUNDS} rounds, medians with 95 % intervals.`;
}

process.exitCode = await main(process.argv.slice(2));
process.exit();
