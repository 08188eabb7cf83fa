// SPDX-License-Identifier: Apache-2.0
// Server-side apply. Simplified against a real server: only managers that apply own fields (an update or a patch owns
// nothing and conflicts with nobody); everything else is as there: ownership by field, conflicts, removal of what a
// manager no longer applies, keyed lists.
import { ApiError, badRequest, conflict, notFound, staleVersion } from './api-error.ts';
import { isRecord } from './json.ts';
import type { Json, KubeObject } from './json.ts';
import type { Resource } from './resources.ts';
import { keyOf } from './storage.ts';
import type { Storage } from './storage.ts';
import type { ObjectKey } from './store.ts';
import type { WriteOptions, Writes } from './store-writes.ts';
import { timestamp } from './time.ts';
import { applied, conflictsOf, fieldsOf, listTypesOf, pathPart, removed } from './field-sets.ts';
import type { Fields, ListTypes } from './field-sets.ts';

export type ApplyRequest = {
  readonly resource: Resource;
  readonly key: ObjectKey;
  readonly config: Json;
  readonly manager: string;
  readonly force: boolean;
  readonly options: WriteOptions;
};

type ManagedFields = {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
  readonly fieldsV1: Fields;
  readonly [field: string]: Json;
};

const managedBy = (object: Json): readonly ManagedFields[] => object.metadata.managedFields ?? [];

/** The parts of the configuration that fields are owned of: not the identity of the object. */
const ownable = ({ apiVersion: _apiVersion, kind: _kind, metadata, ...rest }: Json): Json => {
  const {
    name: _name,
    namespace: _namespace,
    resourceVersion: _version,
    uid: _uid,
    managedFields: _managed,
    creationTimestamp: _created,
    ...own
  } = metadata ?? {};
  return { ...rest, ...(Object.keys(own).length > 0 && { metadata: own }) };
};

const conflictError = (conflicts: readonly { manager: string; path: string }[]): ApiError => {
  const managers = [...new Set(conflicts.map(({ manager }) => `"${manager}"`))].join(', ');
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with "${manager}"`,
    field: path,
  }));
  const fields = conflicts.map(({ path }) => `- ${path}`).join('\n');
  return new ApiError(
    409,
    'Conflict',
    `Apply failed with ${conflicts.length} conflict${conflicts.length === 1 ? '' : 's'}: conflicts with ${managers}:\n${fields}`,
    { causes },
  );
};

const applyTo = (live: Json, request: ApplyRequest, types: ListTypes): Json => {
  checkIdentity(live, request);
  const { manager, options, resource } = request;
  const config = ownable(request.config);
  const fields = fieldsOf(config, types);
  const subresource = options.subresource ?? '';
  const isOwn = (entry: ManagedFields): boolean =>
    entry.manager === manager && entry.operation === 'Apply' && (entry.subresource ?? '') === subresource;
  const others = managedBy(live).filter((entry) => !isOwn(entry));
  const own = managedBy(live).find(isOwn);
  const conflicts = others.flatMap((entry) =>
    conflictsOf(config, live, entry.fieldsV1, types).map((path) => ({ manager: entry.manager, path })),
  );
  if (conflicts.length > 0 && !request.force) throw conflictError(conflicts);
  const kept = own ? removed(live, own.fieldsV1, { except: [fields, ...others.map((entry) => entry.fieldsV1)], types }) : live;
  const result = applied(kept, config, types);
  const version = options.version ?? resource.storageVersion;
  const entry = {
    manager,
    operation: 'Apply',
    apiVersion: resource.group === '' ? version : `${resource.group}/${version}`,
    time: timestamp(),
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource && { subresource }),
  };
  const unchanged = own && JSON.stringify(own.fieldsV1) === JSON.stringify(fields) ? own : entry;
  result.metadata.managedFields = [...others.map((other) => (request.force ? withoutTaken(other, conflicts) : other)), unchanged];
  return result;
};

/** What the configuration names of the object's identity has to be so still. */
const checkIdentity = (live: Json, { config, resource, key }: ApplyRequest): void => {
  const { uid, resourceVersion } = config.metadata ?? {};
  if (uid && uid !== live.metadata.uid)
    throw conflict(resource, key.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid ?? ''}`);
  if (resourceVersion && resourceVersion !== live.metadata.resourceVersion) throw staleVersion(resource, key.name);
};

/** A forced apply takes the fields: their former owners lose them. */
const withoutTaken = (entry: ManagedFields, conflicts: readonly { manager: string; path: string }[]): ManagedFields => {
  const lost = new Set(conflicts.filter(({ manager }) => manager === entry.manager).map(({ path }) => path));
  const strip = (fields: Fields, at: string): Fields =>
    Object.fromEntries(
      Object.entries(fields).flatMap(([name, inner]) => {
        const path = name === '.' ? at : `${at}${pathPart(name)}`;
        return lost.has(path) ? [] : [[name, strip(inner, path)]];
      }),
    );
  return lost.size === 0 ? entry : { ...entry, fieldsV1: strip(entry.fieldsV1, '') };
};

/** Creates the object or merges the configuration into it. ApiError 409 with one cause per contested field. */
export const apply = (
  { writes, storage }: { writes: Writes; storage: Storage },
  request: ApplyRequest,
): { readonly object: KubeObject; readonly created: boolean } => {
  const { resource, key, config, options } = request;
  if (!isRecord(config)) throw badRequest('the configuration to apply must be an object');
  if (config['metadata'].managedFields?.length) throw badRequest('metadata.managedFields must be nil');
  const types = listTypesOf(resource, options.version ?? resource.storageVersion);
  const exists =
    storage.get(resource.viewOf ?? resource.id, keyOf(resource.namespaced ? (key.namespace ?? 'default') : undefined, key.name)) !==
    undefined;
  if (exists) return { object: writes.modify(resource, key, (copy) => applyTo(copy, request, types), options), created: false };
  if (options.subresource) throw notFound(resource, key.name);
  const empty = {
    apiVersion: config['apiVersion'],
    kind: config['kind'],
    metadata: { name: key.name, ...(key.namespace !== undefined && { namespace: key.namespace }) },
  };
  return { object: writes.create(resource, applyTo(empty, request, types), options), created: true };
};
