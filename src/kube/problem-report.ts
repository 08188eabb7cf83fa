// SPDX-License-Identifier: Apache-2.0
// What one program of the cluster has to say of its Problems, for those who ask another: a ConfigMap that it writes whenever they change.
//
//   operator ──writes──▶ ConfigMap stentor-operator-problems ──read when somebody asks──▶ `stentor problems` at any agent

import type { Problem } from '../base/problem.ts';
import type { KubeClient } from './client.ts';
import { isStatus } from './kube-error.ts';
import { pathOfObject, resources } from './resources.ts';
import type { KubeObject } from './types.ts';

export type Reported = Omit<Problem, 'kind'>;

const NAME = 'stentor-operator-problems';
const KEY = 'problems';
/** An object of the API has at most about 1 MB, and a Problem a few hundred bytes. */
const MOST = 1000;

type Report = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export async function writeReport(
  client: KubeClient,
  { namespace, problems }: { readonly namespace: string; readonly problems: readonly Problem[] },
  signal: AbortSignal,
): Promise<void> {
  const rows = problems.slice(0, MOST).map(({ object, reason, message, advice }): Reported => ({ object, reason, message, advice }));
  const { apiVersion, kind } = resources.configMaps;
  const body = { apiVersion, kind, metadata: { name: NAME, namespace }, data: { [KEY]: JSON.stringify(rows) } };
  const how = { type: 'apply', fieldManager: 'stentor-operator', force: true, signal } as const;
  await client.patch(pathOfObject(resources.configMaps, NAME, namespace), body, how);
}

/** Empty while nothing has ever been written. Throws KubeError, and what JSON.parse() throws. */
export async function readReport(client: KubeClient, namespace: string, signal: AbortSignal): Promise<readonly Reported[]> {
  try {
    const { data = {} } = await client.get<Report>(pathOfObject(resources.configMaps, NAME, namespace), signal);
    return JSON.parse(data[KEY] ?? '[]') as readonly Reported[]; // as writeReport() wrote it: both are one program
  } catch (error) {
    if (isStatus(error, 404)) return [];
    throw error;
  }
}
