// SPDX-License-Identifier: Apache-2.0
// Pods made from a template, and how they are counted.
import { createHash } from 'node:crypto';
import type { Json } from '../api/json.ts';
import type { KubeObject, Store } from '../api/store.ts';
import { controllerOf, isReady, keyText, ownedBy, podsIn } from '../objects.ts';
import type { Pod, PodTemplate, Workload } from '../objects.ts';

/** Of names that Kubernetes makes up: no vowels, and nothing that looks like another. */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** Ten characters that change when the template does. */
export const templateHash = (template: PodTemplate): string =>
  Array.from(createHash('sha256').update(JSON.stringify(template)).digest().subarray(0, 10), (byte) => LETTERS[byte % LETTERS.length]).join(
    '',
  );

/** A pod that has not been created yet; the API gives it the rest of its name. */
export function podFrom(owner: Workload, more: { readonly labels?: Json; readonly spec?: Json } = {}): Json {
  const { metadata = {}, spec } = owner.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace,
      labels: { ...metadata.labels, ...more.labels },
      annotations: { ...metadata.annotations },
      ownerReferences: [ownedBy(owner)],
    },
    spec: { ...spec, ...more.spec },
  };
}

export const podsOf = (store: Store, owner: KubeObject): readonly Pod[] =>
  podsIn(store, { namespace: owner.metadata.namespace ?? '' }).filter((pod) => controllerOf(pod)?.uid === owner.metadata.uid);

export const readyCount = (pods: readonly Pod[]): number => pods.filter(isReady).length;

/** The key of the object that controls this one, if it is of the given kind. */
export function ownerKeys(kind: string): (object: KubeObject) => readonly string[] {
  return (object) => {
    const owner = controllerOf(object);
    if (owner?.kind !== kind) return [];
    return [keyText({ ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }), name: owner.name })];
  };
}

/** `25%` of a total or a plain number. */
export function countOf(value: number | string, total: number, round: (count: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseInt(value, 10) * total) / 100);
}
