// SPDX-License-Identifier: Apache-2.0
// Lists with selectors, resource versions and paging. A first page keeps its snapshot (an array of references to frozen
// objects), so that the pages of one list are of one moment; old snapshots are forgotten and their tokens answered 410.
import { badRequest, expired, tooLargeVersion } from './api-error.ts';
import type { KubeObject } from './json.ts';
import type { Predicate } from './selectors.ts';
import type { Storage } from './storage.ts';

const SNAPSHOTS = 64;

type Page = {
  readonly objects: readonly KubeObject[];
  /** ListMeta: resourceVersion, continue, remainingItemCount. */
  readonly meta: { readonly resourceVersion: string; readonly continue?: string; readonly remainingItemCount?: number };
};

type ListRequest = {
  readonly id: string;
  readonly selected: Predicate | undefined;
  readonly query: URLSearchParams;
};

export type Lister = { list(request: ListRequest): Page };

/** A revision out of a query; undefined when it is absent or 0 (any will do). ApiError 400. */
export const revisionOf = (text: string | null): number | undefined => {
  if (text === null || text === '' || text === '0') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  return Number(text);
};

const checkRevision = (storage: Storage, { id, query }: ListRequest): void => {
  const asked = revisionOf(query.get('resourceVersion'));
  const match = query.get('resourceVersionMatch');
  if (match && match !== 'Exact' && match !== 'NotOlderThan') throw badRequest(`resourceVersionMatch "${match}" is not supported`);
  if (match && !query.get('resourceVersion')) throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided');
  if (asked === undefined) return;
  if (asked > storage.revision()) throw tooLargeVersion(asked, storage.revision());
  if (match === 'Exact' && storage.changedAt(id) > asked) throw expired('The resourceVersion for the provided list is too old.');
};

export const createLister = (storage: Storage): Lister => {
  const snapshots = new Map<number, { readonly objects: readonly KubeObject[]; readonly revision: number }>();
  let counter = 0;

  const resumed = (token: string): { snapshot: number; start: number } => {
    const [snapshot, start] = Buffer.from(token, 'base64url').toString().split(':').map(Number);
    if (!Number.isSafeInteger(snapshot) || !Number.isSafeInteger(start) || snapshot === undefined || start === undefined || start < 0)
      throw badRequest('continue key is not valid');
    return { snapshot, start };
  };
  const keep = (objects: readonly KubeObject[], revision: number): number => {
    snapshots.set((counter += 1), { objects, revision });
    for (const old of snapshots.keys()) if (old <= counter - SNAPSHOTS) snapshots.delete(old);
    return counter;
  };

  const list = (request: ListRequest): Page => {
    const { id, selected, query } = request;
    const limit = Number(query.get('limit') ?? 0);
    if (!Number.isSafeInteger(limit) || limit < 0) throw badRequest(`Invalid value: "${query.get('limit')}": limit must be a whole number`);
    const token = query.get('continue');
    const resume = token ? resumed(token) : undefined;
    if (!resume) checkRevision(storage, request);
    const snapshot = resume && snapshots.get(resume.snapshot);
    if (resume && !snapshot) throw expired('The provided continue parameter is too old to display a consistent list result.');
    const all = storage.all(id);
    const objects = snapshot?.objects ?? (selected ? all.filter(selected) : all);
    const revision = snapshot?.revision ?? storage.revision();
    const start = resume?.start ?? 0;
    const resourceVersion = String(revision);
    if (limit === 0 || start + limit >= objects.length)
      return { objects: start === 0 ? objects : objects.slice(start), meta: { resourceVersion } };
    const next = `${resume?.snapshot ?? keep(objects, revision)}:${start + limit}`;
    const remaining = objects.length - start - limit;
    return {
      objects: objects.slice(start, start + limit),
      meta: { resourceVersion, continue: Buffer.from(next).toString('base64url'), ...(!selected && { remainingItemCount: remaining }) },
    };
  };
  return { list };
};
