// SPDX-License-Identifier: Apache-2.0
// Creating and updating, in the order a real server takes the steps:
//
//   envelope ─▶ decode or prune, defaults ─▶ metadata ─▶ admit ─▶ validate ─▶ generation ─▶ storage
//
// Objects in storage are of the storage version; `options.version` is that of the request.
import { isDeepStrictEqual } from 'node:util';
import { alreadyExists, ApiError, badRequest, forbidden, invalid, notFound } from './api-error.ts';
import { CRD, definitionStatus } from './crd.ts';
import { initialStatus, setDefaults } from './defaults.ts';
import { held, remove } from './deletion.ts';
import { isRecord } from './json.ts';
import type { Json, KubeObject } from './json.ts';
import { generatedName, requiredField } from './names.ts';
import { erase, existing, persist, storageKey, storedAs } from './persist.ts';
import type { WriteContext } from './persist.ts';
import type { Registry, Resource } from './resources.ts';
import { keyOf } from './storage.ts';
import type { DeleteOptions, ObjectKey } from './store.ts';
import { timestamp } from './time.ts';
import { inVersion } from './versions.ts';
import { admissible, checkUpdate, enveloped, joined, validate } from './write-steps.ts';
import type { Admissible, WriteOptions } from './write-steps.ts';

export type { WriteOptions } from './write-steps.ts';

export type Writes = {
  create(resource: Resource, input: Json, options?: WriteOptions): KubeObject;
  update(resource: Resource, input: Json, options?: WriteOptions): KubeObject;
  /** Reads, changes a private copy, writes: 409 only when the change itself sets a stale resourceVersion. */
  modify(resource: Resource, key: ObjectKey, change: (copy: Json) => Json, options?: WriteOptions): KubeObject;
  remove(resource: Resource, key: ObjectKey, options?: DeleteOptions): { readonly object: KubeObject; readonly gone: boolean };
};

const content = ({ metadata: _metadata, status: _status, ...rest }: Json): Json => rest;
const sameButVersion = (a: Json, b: Json): boolean =>
  isDeepStrictEqual({ ...a, metadata: { ...a.metadata, resourceVersion: '' } }, { ...b, metadata: { ...b.metadata, resourceVersion: '' } });

/** The input as an object of the stored resource, checked and with defaults. */
const prepared = (asked: Resource, resource: Resource, given: Json, options: WriteOptions): Admissible =>
  admissible(resource, given, resource === asked ? options : { ...options, version: resource.storageVersion });

/** Sets or clears the namespace. ApiError 404 when there is none, 403 when it is going. */
const placeInNamespace = ({ storage, registry }: WriteContext, resource: Resource, metadata: Json): void => {
  if (!resource.namespaced) return void delete metadata.namespace;
  metadata.namespace ??= 'default';
  const namespace = storage.get('namespaces', keyOf(undefined, metadata.namespace));
  if (!namespace) throw notFound(registry.byId('namespaces') ?? resource, metadata.namespace);
  if (namespace.metadata.deletionTimestamp)
    throw forbidden(
      resource,
      metadata.name ?? '',
      `unable to create new content in namespace ${metadata.namespace} because it is being terminated`,
    );
};

/** The metadata and status that every new object begins with, written into it. */
const begin = (resource: Resource, object: Json): void => {
  const { metadata } = object;
  for (const field of ['selfLink', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'resourceVersion', 'generation'])
    delete metadata[field];
  metadata.uid = crypto.randomUUID();
  metadata.creationTimestamp = timestamp();
  if (resource.generation) metadata.generation = 1;
  if (resource.status) object.status = initialStatus(resource, object.status);
  if (object.status === undefined) delete object.status;
  if (resource.id === 'namespaces') setDefaults(resource, object); // again: its label wants the generated name
};

const create = (context: WriteContext, asked: Resource, input: Json, options: WriteOptions): KubeObject => {
  const resource = storedAs(context, asked);
  const given = enveloped(asked, input, options.version ?? asked.storageVersion);
  const { object, causes } = prepared(asked, resource, given, options);
  const { metadata } = object;
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  if (!metadata.name && metadata.generateName) metadata.name = generatedName(metadata.generateName);
  if (!metadata.name) throw invalid(resource, '', [requiredField('metadata.name', 'name or generateName is required')]);
  placeInNamespace(context, resource, metadata);
  if (context.storage.get(resource.id, storageKey(resource, metadata))) throw alreadyExists(resource, metadata.name);
  begin(resource, object);
  const admitted = context.admit?.({ operation: 'CREATE', resource: resource.id, object, dryRun: options.dryRun === true }) ?? object;
  validate(resource, admitted, undefined, causes);
  if (resource.id === CRD) admitted.status = definitionStatus(admitted, undefined);
  return persist(context, resource, admitted, options.dryRun);
};

const update = (context: WriteContext, asked: Resource, input: Json, options: WriteOptions): KubeObject => {
  const resource = storedAs(context, asked);
  const given = enveloped(asked, input, options.version ?? asked.storageVersion);
  const key = { name: given.metadata.name ?? '', ...(given.metadata.namespace !== undefined && { namespace: given.metadata.namespace }) };
  const old = existing(context, resource, key);
  checkUpdate(resource, given, old);
  const { object, causes } = prepared(asked, resource, given, options);
  const next = joined(resource, object, old, options);
  const main = options.subresource === undefined;
  const admitted = main
    ? (context.admit?.({ operation: 'UPDATE', resource: resource.id, object: next, old, dryRun: options.dryRun === true }) ?? next)
    : next;
  validate(resource, admitted, old, causes);
  if (main && resource.id === CRD) admitted.status = definitionStatus(admitted, old);
  if (main && resource.generation && !isDeepStrictEqual(content(admitted), content(old)))
    admitted.metadata.generation = (old.metadata.generation ?? 0) + 1;
  if (sameButVersion(admitted, old)) return old;
  const stored = persist(context, resource, admitted, options.dryRun);
  if (options.dryRun || !admitted.metadata.deletionTimestamp || held(resource, admitted)) return stored;
  return erase(context, resource, key) ?? stored;
};

const modify = (
  context: WriteContext,
  resource: Resource,
  { key, change, options }: { key: ObjectKey; change: (copy: Json) => Json; options: WriteOptions },
): KubeObject => {
  const old = existing(context, storedAs(context, resource), key);
  const { name, namespace, resourceVersion } = old.metadata;
  const changed = change(structuredClone(inVersion(resource, options.version ?? resource.storageVersion, old)));
  if (!isRecord(changed) || !isRecord(changed['metadata'])) throw badRequest('the patch does not leave an object with metadata');
  const { metadata } = changed;
  if (metadata['name'] !== name || metadata['namespace'] !== namespace)
    throw badRequest(`the name of the object (${metadata['name']}) does not match the name on the URL (${name})`);
  metadata['resourceVersion'] ||= resourceVersion;
  return update(context, resource, changed, options);
};

export const createWrites = (context: WriteContext): Writes => ({
  create: (resource, input, options = {}) => create(context, resource, input, options),
  update: (resource, input, options = {}) => update(context, resource, input, options),
  modify: (resource, key, change, options = {}) => modify(context, resource, { key, change, options }),
  remove: (resource, key, options) => remove(context, resource, key, options),
});

/** Turns "the kind is not registered" into the 404 that clients know. */
export const known = (registry: Registry, id: string): Resource => {
  const resource = registry.byId(id);
  if (!resource)
    throw new ApiError(404, 'NotFound', `the server could not find the requested resource: no kind is registered as ${id}`, {});
  return resource;
};
