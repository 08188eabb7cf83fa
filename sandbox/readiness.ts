// SPDX-License-Identifier: Apache-2.0
// Waiting for nodes and pods, and saying what they wait for when it takes too long.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StentorError } from '../src/base/errors.ts';
import type { Cluster } from './cluster.ts';
import { logDir, podDir } from './kubelet/pod-files.ts';
import { conditionIs, isReady, keyText, nodesIn, podsIn } from './objects.ts';
import type { Pod } from './objects.ts';
import { until, WaitTimeout } from './until.ts';

const READY_MS = 60_000;
/** Of warnings, and of lines of a log. */
const MOST_SHOWN = 5;

/** The time was over; the message names what is not ready, and the latest warnings and words of it. */
export class NotReady extends StentorError {
  constructor(lines: readonly string[]) {
    super('NOT_READY', lines.join('\n  '));
  }
}

export async function nodesReady(cluster: Cluster, signal: AbortSignal): Promise<void> {
  const unready = () => nodesIn(cluster.store).filter(({ status }) => !conditionIs(status?.conditions, 'Ready', 'True'));
  const waiting = () => unready().map(({ metadata }) => `node ${metadata.name}`);
  await explained(
    cluster,
    waiting,
    until('nodes to be ready', READY_MS, () => unready().length === 0, signal),
  );
}

/** Waits for all pods, and for as many as their owners want. */
export async function podsReady(cluster: Cluster, signal: AbortSignal): Promise<void> {
  const { store } = cluster;
  const isShort = (status: { readonly [field: string]: number } | undefined, field: string, wanted: number) => status?.[field] !== wanted;
  const waiting = () => [
    ...unreadyPods(cluster).map(({ metadata }) => `pod ${keyText(metadata)}`),
    ...store
      .list('deployments.apps')
      .filter(({ spec, status }) => isShort(status, 'readyReplicas', spec.replicas))
      .map(({ metadata }) => `deployment ${keyText(metadata)}`),
    ...store
      .list('daemonsets.apps')
      .filter(({ status }) => isShort(status, 'numberReady', nodesIn(store).length))
      .map(({ metadata }) => `daemon set ${keyText(metadata)}`),
  ];
  await explained(
    cluster,
    waiting,
    until('pods to be ready', READY_MS, () => waiting().length === 0, signal),
  );
}

/** On a pod that is there to be not ready. */
const STAYS_UNREADY = 'sandbox.stentor.dev/stays-unready';

const unreadyPods = ({ store }: Cluster): readonly Pod[] =>
  podsIn(store).filter((pod) => !isReady(pod) && pod.metadata.annotations?.[STAYS_UNREADY] === undefined);

async function explained(cluster: Cluster, waiting: () => readonly string[], wait: Promise<void>): Promise<void> {
  try {
    await wait;
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    const warnings = cluster.store.list('events').filter(({ type }) => type === 'Warning');
    const reasons = warnings
      .slice(-MOST_SHOWN)
      .map(({ involvedObject, message }) => `${involvedObject.kind} ${involvedObject.name}: ${message}`);
    const [pod] = unreadyPods(cluster);
    const words = pod === undefined ? [] : await lastWords(cluster, pod);
    throw new NotReady([`${error.message}; still waiting for ${waiting().slice(0, MOST_SHOWN).join(', ')}`, ...reasons, ...words]);
  }
}

/** The end of the newest log of a pod's first container. */
async function lastWords({ layout }: Cluster, pod: Pod): Promise<readonly string[]> {
  const container = pod.spec.containers[0]?.name ?? '';
  const dir = logDir(podDir(join(layout.stateDir, 'pods'), pod), container);
  const newest = (await readdir(dir).catch(() => [])).toSorted((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10))[0];
  if (newest === undefined) return [];
  const lines = (await readFile(join(dir, newest), 'utf8')).trimEnd().split('\n').slice(-MOST_SHOWN);
  return [`The log of ${pod.metadata.name} ends:`, ...lines.map((line) => `  ${line}`)];
}
