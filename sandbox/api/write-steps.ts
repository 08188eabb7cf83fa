// SPDX-License-Identifier: Apache-2.0
// The steps of a write that look at one object alone: its envelope, its content against shape or schema, and how an
// update joins what a client may change with what only the server may.
import { badRequest, conflict, invalid, staleVersion } from './api-error.ts';
import type { StatusCause } from './api-error.ts';
import { CRD, definitionCauses } from './crd.ts';
import { decode } from './decode.ts';
import { setDefaults } from './defaults.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import { forbiddenField, invalidField, metadataCauses, nameCauses } from './names.ts';
import { apiVersionOf } from './resources.ts';
import type { Resource } from './resources.ts';
import { shapeOf } from './shapes.ts';
import { checkStructure } from './structural-schema.ts';
import { causesOf } from './validate.ts';
import { eventOfView } from './versions.ts';

export type WriteOptions = {
  /** The version in the request's path; the storage version when absent. */
  readonly version?: string;
  readonly subresource?: 'status';
  readonly dryRun?: boolean;
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  readonly warn?: (text: string) => void;
};

const metadataTypes: readonly (readonly [string, (value: unknown) => boolean, string])[] = [
  ...['name', 'namespace', 'generateName', 'resourceVersion', 'uid'].map(
    (field) => [field, (value: unknown) => typeof value === 'string', 'a string'] as const,
  ),
  ...['finalizers', 'ownerReferences'].map((field) => [field, Array.isArray, 'an array'] as const),
];

/** The input as an object of the asked kind with an object for metadata and no nulls in it. ApiError 400. */
export const enveloped = (resource: Resource, input: Json, version: string): Json => {
  if (!isRecord(input)) throw badRequest('the body of the request must be a JSON object');
  const wanted = apiVersionOf(resource, version);
  const { apiVersion = wanted, kind = resource.kind, metadata = {} } = input;
  const refuse = (why: string): Error =>
    badRequest(`${resource.kind} in version "${version}" cannot be handled as a ${resource.kind}: ${why}`);
  if (apiVersion !== wanted || kind !== resource.kind)
    throw badRequest(
      `the API version in the data (${String(apiVersion)}, Kind=${String(kind)}) does not match the expected API version (${wanted}, Kind=${resource.kind})`,
    );
  if (!isRecord(metadata)) throw refuse('metadata: expected an object');
  const clean = Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null && value !== undefined));
  for (const [field, fits, what] of metadataTypes)
    if (clean[field] !== undefined && !fits(clean[field])) throw refuse(`metadata.${field}: expected ${what}`);
  const whole = { ...input, apiVersion, kind, metadata: clean };
  return resource.viewOf === undefined ? whole : eventOfView(whole);
};

const reportUnknown = (unknown: readonly string[], options: WriteOptions): void => {
  if (unknown.length === 0 || options.fieldValidation === 'Ignore') return;
  if (options.fieldValidation === 'Strict')
    throw badRequest(`strict decoding error: ${unknown.map((field) => `unknown field "${field}"`).join(', ')}`);
  for (const field of unknown) options.warn?.(`unknown field "${field}"`);
};

export type Admissible = { readonly object: Json; readonly causes: readonly StatusCause[] };

/** A private copy with types checked, unknown fields gone, defaults set and the storage version's apiVersion; and what a schema says. */
export const admissible = (resource: Resource, input: Json, options: WriteOptions): Admissible => {
  const version = options.version ?? resource.storageVersion;
  const custom = resource.custom?.get(version);
  const identity = { apiVersion: apiVersionOf(resource), kind: resource.kind };
  if (custom) {
    const object = structuredClone(input);
    const { unknown, causes } = checkStructure(object, custom.schema);
    reportUnknown(unknown, options);
    return { object: { ...object, ...identity }, causes };
  }
  const shape = shapeOf(resource);
  if (!shape) return { object: structuredClone(input), causes: [] };
  const { object, unknown, wrong } = decode(structuredClone(input), shape);
  if (wrong.length > 0)
    throw badRequest(`${resource.kind} in version "${version}" cannot be handled as a ${resource.kind}: ${wrong.join(', ')}`);
  reportUnknown(unknown, options);
  setDefaults(resource, object);
  return { object: { ...object, ...identity }, causes: [] };
};

/** ApiError 422 with everything that is wrong with the object. */
export const validate = (resource: Resource, object: Json, old: Json, schemaCauses: readonly StatusCause[]): void => {
  const { name } = object.metadata;
  const own = resource.id === CRD ? definitionCauses(object) : causesOf(resource, object, old);
  const causes = [...(old ? [] : nameCauses(resource, name)), ...metadataCauses(object.metadata), ...schemaCauses, ...own];
  if (causes.length > 0) throw invalid(resource, name, causes);
};

/** The metadata of an update: what clients may change, and what only the server may. */
const nextMetadata = (given: Json, old: Json): Json => {
  const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation, namespace, name, resourceVersion } = old;
  const { selfLink: _selfLink, generateName = old.generateName, managedFields = old.managedFields, ...rest } = given;
  const kept = { name, namespace, uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation, resourceVersion };
  return Object.fromEntries(Object.entries({ ...rest, generateName, managedFields, ...kept }).filter(([, value]) => value !== undefined));
};

/** The next object: of a status write only the status, of a main write all but the status where the kind has that door. A private copy. */
export const joined = (resource: Resource, object: Json, old: Json, options: WriteOptions): Json => {
  const metadata = nextMetadata(object.metadata, old.metadata);
  const statusWrite = options.subresource === 'status';
  const ownStatus = statusWrite || !resource.status;
  const next = statusWrite ? { ...old, metadata: resource.custom ? old.metadata : metadata } : { ...object, metadata };
  const { status: _status, ...rest } = next;
  const status = ownStatus ? object.status : old.status;
  return structuredClone({ ...rest, ...(status !== undefined && { status }) });
};

/** What an update must not contradict: the version and uid it names, a version for custom resources, finalizers of a dying object. */
export const checkUpdate = (resource: Resource, given: Json, old: Json): void => {
  const { name, resourceVersion, uid, finalizers = [] } = given.metadata;
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw staleVersion(resource, name);
  if (!resourceVersion && resource.custom)
    throw invalid(resource, name, [invalidField('metadata.resourceVersion', 0, 'must be specified for an update')]);
  checkUid(resource, name, uid, old.metadata.uid);
  const known: readonly string[] = old.metadata.finalizers ?? [];
  const added = finalizers.filter((one: string) => !known.includes(one));
  if (old.metadata.deletionTimestamp && added.length > 0)
    throw invalid(resource, name, [
      forbiddenField(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
      ),
    ]);
};

/** ApiError 409 when a uid is named and is not that of the stored object. */
export const checkUid = (resource: Resource, name: string, asked: string | undefined, uid: string): void => {
  if (asked && asked !== uid)
    throw conflict(resource, name, `Precondition failed: UID in precondition: ${asked}, UID in object meta: ${uid}`);
};
