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
export function objectTarget<V extends KubeObject>(options: ObjectTargetOptions<V>): AsyncTarget<string, V> {
  return {
    name: options.resource.plural,
    list: () => listed(options),
    put: (entries) => eachOf(entries, (_key, wanted) => write(options, wanted)),
    remove: (entries) => eachOf(entries, (_key, gone) => remove(options, gone)),
  };
}

async function listed<V extends KubeObject>({
  client,
  resource,
  selection,
  ours,
}: ObjectTargetOptions<V>): Promise<Iterable<readonly [string, V]>> {
  const rows: (readonly [string, V])[] = [];
  for (let next: string | undefined = ''; next !== undefined;) {
    const page: KubeList<V> = await client.list<V>(pathOf(resource), { ...selection, limit: PAGE, ...(next !== '' && { continue: next }) });
    for (const item of page.items) rows.push([keyOf(item), ours(item)]);
    next = page.metadata.continue === '' ? undefined : page.metadata.continue;
  }
  return rows;
}

/** One call, unless it is there already. */
async function write<V extends KubeObject>(options: ObjectTargetOptions<V>, wanted: V): Promise<void> {
  const { client, resource } = options;
  const { apiVersion, kind } = resource;
  try {
    await client.create(pathOf(resource, wanted.metadata.namespace), { apiVersion, kind, ...wanted });
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
    const present = await found(options, wanted);
    if (present === undefined) throw error; // it has gone since: the next try makes it
    if (ownerOf(present) !== ownerOf(wanted) && !(await isCurrent(options, wanted))) return;
    const metadata = { ...wanted.metadata, resourceVersion: present.metadata.resourceVersion };
    await client.patch(pathTo(resource, wanted), { ...wanted, metadata }, { type: 'merge' });
  }
}

async function remove<V extends KubeObject>(options: ObjectTargetOptions<V>, gone: V): Promise<void> {
  const present = await found(options, gone);
  if (present === undefined || ownerOf(present) !== ownerOf(gone)) return;
  const { uid, resourceVersion } = present.metadata;
  const preconditions = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
  await unlessGone(options.client.delete(pathTo(options.resource, gone), { preconditions }));
}

/** Whether the owner that `wanted` names is the one that the API has under this name. */
async function isCurrent<V extends KubeObject>({ client, owner }: ObjectTargetOptions<V>, wanted: V): Promise<boolean> {
  const { namespace, ownerReferences: [reference] = [] } = wanted.metadata;
  if (reference === undefined) return true;
  const present = await unlessGone(client.get<KubeObject>(pathOfObject(owner, reference.name, namespace)));
  return present?.metadata.uid === reference.uid;
}

function found<V extends KubeObject>({ client, resource }: ObjectTargetOptions<V>, wanted: V): Promise<V | undefined> {
  return unlessGone(client.get<V>(pathTo(resource, wanted)));
}

function pathTo(resource: Resource, { metadata: { name, namespace } }: KubeObject): string {
  return pathOfObject(resource, name, namespace);
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
