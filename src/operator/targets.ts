// SPDX-License-Identifier: Apache-2.0
// What the operator does to CiliumIdentities and CiliumEndpoints, as Targets. A row is a deed: it is there until the watch says that
// it has been done. Each is for the object as it was looked at, so one that has changed since is left alone, and looked at again.

import type { AsyncTarget } from '../base/reconcile-async.ts';
import { RETIRED } from '../identities/facts.ts';
import { UNUSED } from '../identities/garbage.ts';
import type { EndpointRemoval, IdentityWork } from '../identities/garbage-tables.ts';
import type { KubeClient } from '../kube/client.ts';
import { isStatus, KubeError } from '../kube/kube-error.ts';
import type { Term } from '../kube/lease.ts';
import { pathOfObject, resources } from '../kube/resources.ts';
import { eachOf } from '../kube/status.ts';
import type { KubeObject } from '../kube/types.ts';

/** What has been done since the process started. */
export type Deeds = { identitiesDeleted: number; endpointsDeleted: number; endpointsFailed: number };

export type DeedOptions = {
  readonly client: KubeClient;
  readonly term: Term;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly deeds: Deeds;
};

export function identityTarget({ client, term, now, deeds }: DeedOptions): AsyncTarget<string, IdentityWork> {
  const work = async (id: string, { kind, uid, resourceVersion }: IdentityWork) => {
    const path = pathOfObject(resources.ciliumIdentities, id);
    const { signal } = term;
    if (kind === 'remove') {
      await client.delete(path, { preconditions: { uid, resourceVersion }, signal });
      deeds.identitiesDeleted++;
      return;
    }
    const time = new Date(now()).toISOString();
    const annotations = {
      spare: { [UNUSED]: null, [RETIRED]: null }, // null: JSON merge patch's word for removal
      mark: { [UNUSED]: time, [RETIRED]: null }, // null: likewise
      retire: { [RETIRED]: time },
    }[kind];
    await client.patch(path, { metadata: { uid, resourceVersion, annotations } }, { type: 'merge', signal });
  };
  return deedTarget(resources.ciliumIdentities.plural, term, work);
}

export function endpointTarget({ client, term, deeds }: DeedOptions): AsyncTarget<string, EndpointRemoval> {
  const remove = async (key: string, { pod, uid, resourceVersion }: EndpointRemoval) => {
    const [namespace = '', name = ''] = key.split('/');
    const { signal } = term;
    const present = await client.get<KubeObject>(pathOfObject(resources.pods, name, namespace), signal).catch((error: unknown) => {
      if (isStatus(error, 404)) return undefined;
      throw error;
    });
    if (present && (pod === undefined || present.metadata.uid === pod)) return; // our watch of pods is behind
    if (!term.holds()) throw notOurs(key);
    await client.delete(pathOfObject(resources.ciliumEndpoints, name, namespace), { preconditions: { uid, resourceVersion }, signal });
    deeds.endpointsDeleted++;
  };
  const counted = async (key: string, removal: EndpointRemoval) => {
    try {
      await remove(key, removal);
    } catch (error) {
      if (!isStatus(error, 404) && !isStatus(error, 409)) deeds.endpointsFailed++;
      throw error;
    }
  };
  return deedTarget(resources.ciliumEndpoints.plural, term, counted);
}

/** What is written for an object as it was looked at: of one that is gone or another by now the watch tells. */
export function deedTarget<V>(name: string, term: Term, act: (key: string, row: V) => Promise<void>): AsyncTarget<string, V> {
  const once = async (key: string, row: V) => {
    if (!term.holds()) throw notOurs(key);
    try {
      await act(key, row);
    } catch (error) {
      if (!isStatus(error, 404) && !isStatus(error, 409)) throw error; // it is another by now, and the watch tells
    }
  };
  return { name, list: () => Promise.resolve([]), put: (entries) => eachOf(entries, once), remove: () => Promise.resolve() };
}

function notOurs(path: string): KubeError {
  return new KubeError({ verb: 'write', path, server: 'the API', reason: 'NoLease', detail: 'the Lease was not renewed in time' });
}
