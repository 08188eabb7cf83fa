// SPDX-License-Identifier: Apache-2.0
// `uninstall --node`: takes everything of ours from this node. What it finds it says, then removes, from what is in the way of packets to
// what nobody uses any more; so it may be repeated after a failure.

import type { ConfigAndWarnings } from '../agent/config.ts';
import { HISTORY } from '../agent/options.ts';
import { messageOf, StentorError } from '../base/errors.ts';
import type { Leftover } from '../agent/leftovers.ts';
import { list } from './columns.ts';
import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';

export const help = `Usage: NAME uninstall --node [--dry-run] [--force] [--values FILE] [--state DIRECTORY] [--history DIRECTORY] [-o json]

Removes from this node all that agents have made: programs and their pins, maps, the pods' interfaces, routes, the CNI plugin and its
configuration, endpoint files; gives back other plugins' configurations that were put aside, and kernel settings as they were found.
Pods of this node lose their network: drain it first. The agent must not run.

  --node      says that this node is meant
  --dry-run   only says what there is
  --force     also while an agent runs, or seems to
  --values    Helm values of the agent, for paths that are not the usual ones
  --state     where endpoints are kept (/var/run/cilium/state unless said otherwise)
  --history   where flows are kept (/var/lib/cilium/history unless said otherwise)

Exit code 1 when something could not be removed.

Examples:
  NAME uninstall --node --dry-run
  kubectl drain node1 --ignore-daemonsets && NAME uninstall --node
`;

const options = {
  node: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  force: { type: 'boolean' },
  values: { type: 'string' },
  state: { type: 'string', default: '/var/run/cilium/state' },
  history: { type: 'string', default: HISTORY },
  ...outputOption,
} as const;

export type Removal = { readonly kind: string; readonly what: string; readonly error: string | undefined };

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = argumentsOf(args, options);
  if (!values.node) throw new UsageError('Cannot uninstall without --node, which says that this node is meant');
  if (!values.force) await requireNoAgent(io.socket);
  const { leftoversOn } = await import('../agent/leftovers.ts');
  const config = await configFrom(values.values);
  const found = leftoversOn({ ...config, state: values.state, history: values.history });
  const removals: Removal[] = [];
  for (const leftover of found) {
    const { kind, what } = leftover;
    removals.push({ kind, what, error: values['dry-run'] ? undefined : await failureOf(leftover) });
  }
  print(io, values.output, removals, (rows) => removalText(rows, values['dry-run'] ?? false));
  return removals.some(({ error }) => error !== undefined) ? 1 : 0;
}

async function failureOf({ remove }: Leftover): Promise<string | undefined> {
  try {
    await remove();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function configFrom(path: string | undefined): Promise<ConfigAndWarnings['config']> {
  const { configOf, readConfig } = await import('../agent/config.ts');
  return path === undefined ? configOf('', 'the defaults').config : readConfig(path).config;
}

async function requireNoAgent(socket: string): Promise<void> {
  const { answersAt } = await import('../agent/unix-socket.ts');
  if (!(await answersAt(socket))) return;
  throw new StentorError(
    'AgentRuns',
    `Cannot uninstall while an agent runs: it answers at ${socket}, and would make everything again; delete its DaemonSet first, or keep it from this node`,
  );
}

export function removalText(removals: readonly Removal[], dry: boolean): string {
  if (removals.length === 0) return 'There is nothing of ours on this node\n';
  const state = ({ error }: Removal) => (error === undefined ? (dry ? 'would be removed' : 'removed') : `stays: ${error}`);
  return list(
    ['KIND', 'WHAT', 'STATE'],
    removals.map((removal) => [removal.kind, removal.what, state(removal)]),
  );
}
