// SPDX-License-Identifier: Apache-2.0
// npm run sandbox            a three-node cluster on this machine, until Ctrl-C
// npm run sandbox -- --once  the same, checks, and away again; the exit code says whether all checks passed
// npm run sandbox -- down    ends the sandbox that runs in another terminal, or removes what a crash left
//
// STENTOR_SANDBOX=name runs another sandbox beside the first.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../src/base/errors.ts';
import { runChecks } from './checks/run-checks.ts';
import { isSandboxName, layoutFor } from './layout.ts';
import type { Layout } from './layout.ts';
import { lockHolder, takeLock } from './lock.ts';
import { progressTo, seconds } from './progress.ts';
import { removeRemains } from './remains.ts';
import { MissingRequirement, requireMachine } from './requirements.ts';
import { until } from './until.ts';
import { up } from './up.ts';
import type { Cni } from './up.ts';
import { usage } from './usage.ts';
import { webPage } from './web-page.ts';

const ExitCode = { Passed: 0, Failed: 1, Impossible: 2 } as const;
type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const progress = progressTo(process.stdout);
const say = (text: string) => void process.stderr.write(`${text}\n`);

async function main(): Promise<ExitCode> {
  const words = process.argv.slice(2);
  const name = process.env['STENTOR_SANDBOX'] ?? '';
  const unknown = words.find((word) => word !== '--once' && word !== 'down');
  if (unknown !== undefined || words.length > 1) {
    say(`Cannot understand '${words.join(' ')}', wanted nothing, --once or down`);
    return ExitCode.Impossible;
  }
  if (!isSandboxName(name)) {
    say(`Cannot use STENTOR_SANDBOX='${name}', wanted at most 12 lower-case letters and digits`);
    return ExitCode.Impossible;
  }
  const layout = layoutFor(join(import.meta.dirname, '..'), name);
  try {
    await requireMachine();
    return words[0] === 'down' ? await down(layout) : await session(layout, words[0] === '--once');
  } catch (error) {
    say(messageOf(error));
    return error instanceof MissingRequirement ? ExitCode.Impossible : ExitCode.Failed;
  }
}

async function session(layout: Layout, once: boolean): Promise<ExitCode> {
  const started = performance.now();
  const lock = await takeLock(layout);
  if (lock === undefined) {
    say(`A sandbox runs already (process ${(await lockHolder(layout))?.pid}): end it with Ctrl-C there, or with npm run sandbox -- down`);
    return ExitCode.Impossible;
  }
  const { signal, whenInterrupted } = interruption();
  const stack = new AsyncDisposableStack();
  let code: ExitCode = ExitCode.Failed;
  let summary = '';
  try {
    if (await removeRemains(layout)) progress.line('Removed what an earlier sandbox left behind');
    const cni: Cni = process.env['STENTOR_SANDBOX_CNI'] === 'reference' ? 'reference' : 'agent';
    const cluster = await up({ layout, cni, progress, stack, signal });
    progress.line(`Up after ${seconds(performance.now() - started)}\n`);
    const result = await runChecks(cluster, { cni, progress, signal });
    summary = result.summary;
    code = result.failed === 0 ? ExitCode.Passed : ExitCode.Failed;
    if (!once) {
      const page = await webPage(cluster);
      if (page) stack.use(page);
      progress.line(`${summary}\n\n${usage(layout, cluster.kubeconfig, page?.url)}`);
      await whenInterrupted;
      code = ExitCode.Passed;
    }
  } catch (error) {
    if (!signal.aborted) say(messageOf(error));
    else if (once) say('Interrupted');
  } finally {
    await progress.step('Removed the sandbox', () => tearDown(layout, stack, code !== ExitCode.Passed && !signal.aborted));
    lock.release();
  }
  if (once && summary !== '') progress.line(summary);
  return code;
}

async function tearDown(layout: Layout, stack: AsyncDisposableStack, keepLogs: boolean): Promise<void> {
  await stack.disposeAsync();
  await removeRemains(layout, { keepLogs });
  if (keepLogs) progress.line(`The logs of the pods are in ${join(layout.stateDir, 'pods')}`);
}

/** Ctrl-C, `down` and a closed terminal all ask for an orderly end; a second Ctrl-C does not wait for it. */
function interruption(): { readonly signal: AbortSignal; readonly whenInterrupted: Promise<unknown> } {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(ExitCode.Failed);
    controller.abort();
    resolve();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  return { signal: controller.signal, whenInterrupted: promise };
}

const PATIENCE_MS = 20_000;

async function down(layout: Layout): Promise<ExitCode> {
  const holder = await lockHolder(layout);
  if (holder !== undefined) {
    process.kill(holder.pid, 'SIGTERM');
    const isGone = async () => (await lockHolder(layout)) === undefined;
    await until('the sandbox to end', PATIENCE_MS, isGone).catch(() => process.kill(holder.pid, 'SIGKILL'));
    await delay(50); // the killed process, if it was, has to be gone before its namespaces can be
  }
  const removed = await removeRemains(layout);
  progress.line(holder !== undefined || removed ? 'The sandbox is gone' : 'There was no sandbox');
  return ExitCode.Passed;
}

process.exitCode = await main();
process.exit();
