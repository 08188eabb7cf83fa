// SPDX-License-Identifier: Apache-2.0
// Deleting: an object that nothing holds is removed at once; else it is marked, and goes when the last holder lets go.
//
//   holders: finalizers · the contents of a namespace · the seconds in which a kubelet stops a pod
import { isDeepStrictEqual } from 'node:util';
import { staleVersion } from './api-error.ts';
import type { Json, KubeObject } from './json.ts';
import { erase, existing, persist, storedAs } from './persist.ts';
import type { WriteContext } from './persist.ts';
import type { Resource } from './resources.ts';
import type { DeleteOptions, ObjectKey } from './store.ts';
import { timestamp } from './time.ts';
import { checkUid } from './write-steps.ts';

/** True while something holds an object that is to be deleted. */
export const held = (resource: Resource, object: Json): boolean =>
  (object.metadata.finalizers ?? []).length > 0 ||
  (resource.id === 'namespaces' && (object.spec?.finalizers ?? []).length > 0) ||
  (resource.id === 'pods' && object.metadata.deletionGracePeriodSeconds > 0);

/** Seconds until the kubelet must have stopped the pod; 0 when nobody has to. */
const graceOf = (resource: Resource, old: KubeObject, asked: number | undefined): number => {
  if (resource.id !== 'pods' || !old['spec'].nodeName || ['Succeeded', 'Failed'].includes(old['status']?.phase)) return 0;
  return Math.max(0, asked ?? old['spec'].terminationGracePeriodSeconds ?? 30);
};

const HOLDERS = { Foreground: 'foregroundDeletion', Orphan: 'orphan', Background: undefined } as const;

/** The object marked for deletion. A second request can shorten a grace, never lengthen it. */
const marked = (resource: Resource, old: KubeObject, { gracePeriodSeconds, propagationPolicy = 'Background' }: DeleteOptions): Json => {
  const asked = graceOf(resource, old, gracePeriodSeconds);
  const pending = old.metadata.deletionGracePeriodSeconds;
  const sooner = old.metadata.deletionTimestamp === undefined || asked < (pending ?? 0);
  const grace = sooner ? asked : (pending ?? 0);
  const holder = HOLDERS[propagationPolicy];
  const finalizers = [...new Set([...(old.metadata.finalizers ?? []), ...(holder ? [holder] : [])])];
  const metadata = {
    ...old.metadata,
    deletionTimestamp: sooner ? timestamp(Date.now() + grace * 1000) : old.metadata.deletionTimestamp,
    deletionGracePeriodSeconds: grace,
    ...(finalizers.length > 0 && { finalizers }),
    ...(sooner && resource.generation && old.metadata.generation && { generation: old.metadata.generation + 1 }),
  };
  const status = resource.id === 'namespaces' ? { status: { ...old['status'], phase: 'Terminating' } } : {};
  return { ...old, metadata, ...status };
};

/** Deletes as far as possible now: the object's last state, and whether it is gone. ApiError 404, 409. */
export const remove = (
  context: WriteContext,
  asked: Resource,
  key: ObjectKey,
  options: DeleteOptions = {},
): { readonly object: KubeObject; readonly gone: boolean } => {
  const resource = storedAs(context, asked);
  const old = existing(context, resource, key);
  const { uid, resourceVersion } = options.preconditions ?? {};
  checkUid(resource, key.name, uid, old.metadata.uid);
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw staleVersion(resource, key.name);
  const next = marked(resource, old, options);
  const gone = !held(resource, next);
  if (options.dryRun) return { object: old, gone };
  if (gone) return { object: erase(context, resource, key) ?? old, gone };
  return { object: isDeepStrictEqual(next, old) ? old : persist(context, resource, next), gone };
};
