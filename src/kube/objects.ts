// SPDX-License-Identifier: Apache-2.0
// Targets in the Kubernetes API: whole objects that are ours, each owned by an object that it tells of.
//
// Another agent may write under the same name: a StatefulSet's pod ends here and begins there. So an object whose owner is not
// the one that we mean is only replaced if its owner is gone, and only removed as the one that we looked at.

import type { AsyncTarget } from '../base/reconcile-async.ts';
import type { KubeClient, KubeList, Selection } from './client.ts';
import { isStatus } from './kube-error.ts';
import { pathOf, pathOfObject } from './resources.ts';
import type { Resource } from './resources.ts';
import { eachOf } from './status.ts';
import type { KubeObject } from './types.ts';

export type ObjectTargetOptions<V extends KubeObject> = {
  readonly client: KubeClient;
  readonly resource: Resource;
  /** The kind of the owners, which have the same namespace. */
  readonly owner: Resource;
  /** Those that may be ours. */
  readonly selection: Selection;
  /** What we wrote of an object: the shape of a row. */
  readonly ours: (found: V) => V;
};

const PAGE = 500;

/** Keys are namespace and name, or the name of what has no namespace. */
export function objectTarget<V extends KubeObject>({ client, resource, owner, selection, ours }: ObjectTargetOptions<V>): AsyncTarget<string, V> {
  const { apiVersion, kind } = resource;
  const pathTo = ({ metadata: { name, namespace } }: V) => pathOfObject(resource, name, namespace);
  const found = async (wanted: V): Promise<V | undefined> => unlessGone(client.get<V>(pathTo(wanted)));
  const replace = async (wanted: V): Promise<void> => {
    const present = await found(wanted);
    if (present === undefined) throw new Error(`Cannot write ${kind} ${wanted.metadata.name}: it was there and is gone`);
    if (ownerOf(present) !== ownerOf(wanted) && !(await isCurrent(wanted))) return;
    const metadata = { ...wanted.metadata, resourceVersion: present.metadata.resourceVersion };
    await client.patch(pathTo(wanted), { ...wanted, metadata }, { type: 'merge' });
  };
  const isCurrent = async ({ metadata: { namespace, ownerReferences: [reference] = [] } }: V): Promise<boolean> => {
    if (reference === undefined) return true;
    const present = await unlessGone(client.get<KubeObject>(pathOfObject(owner, reference.name, namespace)));
    return present?.metadata.uid === reference.uid;
  };
  return {
    name: resource.plural,
    async list() {
      const rows: (readonly [string, V])[] = [];
      for (let next: string | undefined = ''; next !== undefined; ) {
        const page: KubeList<V> = await client.list<V>(pathOf(resource), { ...selection, limit: PAGE, ...(next !== '' && { continue: next }) });
        for (const item of page.items) rows.push([keyOf(item), ours(item)]);
        next = page.metadata.continue === '' ? undefined : page.metadata.continue;
      }
      return rows;
    },
    put: (entries) =>
      eachOf(entries, async (_key, wanted) => {
        try {
          await client.create(pathOf(resource, wanted.metadata.namespace), { apiVersion, kind, ...wanted });
        } catch (error) {
          if (!isStatus(error, 409)) throw error;
          await replace(wanted);
        }
      }),
    remove: (entries) =>
      eachOf(entries, async (_key, gone) => {
        const present = await found(gone);
        if (present === undefined || ownerOf(present) !== ownerOf(gone)) return;
        const { uid, resourceVersion } = present.metadata;
        await unlessGone(client.delete(pathTo(gone), { preconditions: { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) } }));
      }),
  };
}

function keyOf({ metadata: { name, namespace } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function ownerOf({ metadata }: KubeObject): string | undefined {
  return metadata.ownerReferences?.[0]?.uid;
}

async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isStatus(error, 404)) return undefined;
    throw error;
  }
}
