// SPDX-License-Identifier: Apache-2.0
// `doctor --values FILE [MANIFEST...]`: what there is to say of a file of values, with the manifests beside it and the cluster that a
// kubeconfig leads to.

import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { messageOf, StentorError } from '../base/errors.ts';
import { kubeClient } from '../kube/client.ts';
import type { KubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { isStatus } from '../kube/kube-error.ts';
import { pathOf, resources } from '../kube/resources.ts';
import type { Resource } from '../kube/resources.ts';
import type { CiliumL2AnnouncementPolicy, CiliumLoadBalancerIPPool, CiliumNode, KubeObject, Node } from '../kube/types.ts';
import { unknownSurroundings } from './cluster-advice.ts';
import type { Surroundings } from './cluster-advice.ts';
import { valuesAdvice } from './values-advice.ts';
import type { Advice } from './values-advice.ts';

export type ValuesQuestion = {
  readonly file: string;
  readonly manifests: readonly string[];
  readonly kubeconfig: string | undefined;
};

const PATIENCE_MS = 5000;

/** Throws StentorError for a file that cannot be read. */
export async function valuesFindings({ file, manifests, kubeconfig }: ValuesQuestion): Promise<readonly Advice[]> {
  const text = textOf(file);
  const beside = manifests.length > 0 ? inManifests(manifests) : undefined;
  const { around, trouble } = await inCluster(kubeconfig);
  return [...valuesAdvice(text, file, together(around, beside)), ...trouble];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StentorError('UnreadableFile', `Cannot read ${path}`, { cause: error });
  }
}

type Beside = { readonly pools: readonly CiliumLoadBalancerIPPool[]; readonly policies: readonly CiliumL2AnnouncementPolicy[] };

function inManifests(paths: readonly string[]): Beside {
  const objects = paths.flatMap((path) =>
    parseAllDocuments(textOf(path)).flatMap((document) => {
      const [error] = document.errors;
      if (error) throw new StentorError('UnreadableFile', `Cannot read ${path}: ${error.message.split('\n')[0]}`);
      const object: unknown = document.toJS();
      return isObject(object) ? [object] : [];
    }),
  );
  const of = <T extends KubeObject>(kind: string) => objects.filter((object) => object.kind === kind) as T[]; // as: the rows read every field with care
  return { pools: of(resources.lbPools.kind), policies: of(resources.l2Policies.kind) };
}

function isObject(value: unknown): value is KubeObject {
  return typeof value === 'object' && value !== null && 'kind' in value && 'metadata' in value;
}

/** What a cluster has, if one was named; `trouble` says why it could not be asked. */
async function inCluster(
  kubeconfig: string | undefined,
): Promise<{ readonly around: Surroundings | undefined; readonly trouble: readonly Advice[] }> {
  if (kubeconfig === undefined) return { around: undefined, trouble: [] };
  try {
    const client = kubeClient({ access: await kubeAccess({ kubeconfig }), deadlineMs: PATIENCE_MS });
    try {
      const nodes = await itemsOf<Node>(client, resources.nodes);
      const pools = await itemsOf<CiliumLoadBalancerIPPool>(client, resources.lbPools);
      const policies = await itemsOf<CiliumL2AnnouncementPolicy>(client, resources.l2Policies);
      const ciliumNodes = await itemsOf<CiliumNode>(client, resources.ciliumNodes);
      return { around: { nodes, pools, policies, ciliumNodes }, trouble: [] };
    } finally {
      client.close();
    }
  } catch (error) {
    const message = `cannot be asked: ${messageOf(error).replaceAll(/\s*\n\s*/g, '; ')}`;
    const advice = 'What is said here is of the files alone';
    return { around: undefined, trouble: [{ level: 'warning', about: 'the cluster', message, advice }] };
  }
}

/** None where the kind is not known yet. Throws KubeError. */
async function itemsOf<T>(client: KubeClient, resource: Resource): Promise<readonly T[]> {
  try {
    return (await client.list<T>(pathOf(resource))).items;
  } catch (error) {
    if (isStatus(error, 404)) return [];
    throw error;
  }
}

/** Manifests are what will be in the cluster, too. */
function together(around: Surroundings | undefined, beside: Beside | undefined): Surroundings {
  if (!beside) return around ?? unknownSurroundings;
  const named = <T extends KubeObject>(all: readonly T[]) => [...new Map(all.map((one) => [one.metadata.name, one])).values()];
  return {
    ...(around ?? unknownSurroundings),
    pools: named([...(around?.pools ?? []), ...beside.pools]),
    policies: named([...(around?.policies ?? []), ...beside.policies]),
  };
}

const marks = { mistake: '✘', warning: '!', note: '·' } as const;

/** A paragraph for each, and a line that counts them. */
export function adviceText(all: readonly Advice[], file: string): string {
  const shown = all.map(
    ({ level, about, message, advice }) => `${marks[level]} ${about} ${message}${advice === undefined ? '' : `\n    ${advice}`}\n`,
  );
  const count = (level: Advice['level']) => all.filter((one) => one.level === level).length;
  const [mistakes, warnings] = [count('mistake'), count('warning')];
  const plural = (number: number, one: string) => `${number} ${one}${number === 1 ? '' : 's'}`;
  const summary =
    mistakes + warnings === 0 ? `${file} can be installed` : `${file}: ${plural(mistakes, 'mistake')}, ${plural(warnings, 'warning')}`;
  return `${shown.join('')}${shown.length > 0 ? '\n' : ''}${summary}\n`;
}
