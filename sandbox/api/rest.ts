// SPDX-License-Identifier: Apache-2.0
// The verbs on objects: get, list, watch, create, update, patch, delete, deletecollection, and the status subresource.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { apply } from './apply.ts';
import { badRequest, invalid, methodNotAllowed, notFound, pathNotFound, unsupportedMediaType } from './api-error.ts';
import { contentTypeOf, parsedBody, readBody, readObject, sendJson, sendText, warn } from './exchange.ts';
import type { Faults } from './faults.ts';
import { isRecord, type Json, type KubeObject } from './json.ts';
import { revisionOf, type Lister } from './list.ts';
import { unsupportedField } from './names.ts';
import { jsonPatched, mergePatched } from './patch.ts';
import { representationOf } from './representation.ts';
import type { RequestInfo } from './request-info.ts';
import type { Registry, Resource } from './resources.ts';
import { selectionOf, type Predicate } from './selectors.ts';
import { shapeOf } from './shapes.ts';
import { keyOf, type Storage } from './storage.ts';
import type { DeleteOptions, ObjectKey } from './store.ts';
import type { WriteOptions, Writes } from './store-writes.ts';
import { strategicMerged } from './strategic-merge.ts';
import { streamWatch } from './watch.ts';

export type RestContext = {
  readonly storage: Storage;
  readonly registry: Registry;
  readonly writes: Writes;
  readonly lister: Lister;
  readonly faults: Faults | undefined;
};

/** A request whose resource is known. */
export type Call = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  readonly resource: Resource;
  readonly user: string;
};

/** Where the objects of a resource are stored. */
export const storageId = (resource: Resource): string => resource.viewOf ?? resource.id;

export const keyOfCall = ({ info, resource }: Call): ObjectKey => ({ name: info.name, ...(resource.namespaced && { namespace: info.namespace }) });

export const storedObject = ({ storage }: RestContext, call: Call): KubeObject => {
  const object = storage.get(storageId(call.resource), keyOf(call.resource.namespaced ? call.info.namespace : undefined, call.info.name));
  if (!object) throw notFound(call.resource, call.info.name);
  return object;
};

const isDryRun = (query: URLSearchParams, body: Json): boolean => {
  const values = [...query.getAll('dryRun'), ...(Array.isArray(body?.dryRun) ? body.dryRun : [])];
  if (values.some((value) => value !== 'All')) throw badRequest(`Invalid value: "${values.join(',')}": dryRun must be All`);
  return values.length > 0;
};

export const writeOptionsOf = ({ query, response, info }: Call): WriteOptions => {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore')
    throw invalid({ group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }, '', [unsupportedField('fieldValidation', fieldValidation, ['Ignore', 'Strict', 'Warn'])]);
  return {
    version: info.version,
    ...(info.subresource === 'status' && { subresource: 'status' as const }),
    dryRun: isDryRun(query, undefined),
    fieldValidation,
    warn: (text) => warn(response, text),
  };
};

const sendObject = (call: Call, code: number, object: KubeObject): void => {
  const { response, request, resource, info, query } = call;
  const representation = representationOf(resource, info.version, request.headers.accept, query.get('includeObject') ?? undefined);
  sendText(response, code, representation.one(object), representation.contentType);
};

const selectionFor = ({ info, query, resource }: Call): Predicate | undefined =>
  selectionOf(
    {
      ...(resource.namespaced && info.namespace !== '' && { namespace: info.namespace }),
      labelSelector: query.get('labelSelector') ?? '',
      fieldSelector: query.get('fieldSelector') ?? '',
    },
    resource.id,
  );

const list = (context: RestContext, call: Call): void => {
  const { request, response, resource, info, query } = call;
  const page = context.lister.list({ id: storageId(resource), selected: selectionFor(call), query });
  const representation = representationOf(resource, info.version, request.headers.accept, query.get('includeObject') ?? undefined);
  sendText(response, 200, representation.many(page.objects, JSON.stringify(page.meta)), representation.contentType);
};

const watch = ({ storage, faults }: RestContext, call: Call): void => {
  const { request, response, resource, info, query } = call;
  const id = storageId(resource);
  const selected = selectionFor(call);
  const bookmarks = query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1';
  const streaming = query.get('sendInitialEvents') === 'true';
  if (query.has('sendInitialEvents') && query.get('resourceVersionMatch') !== 'NotOlderThan')
    throw badRequest('resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  const asked = revisionOf(query.get('resourceVersion'));
  const fromNow = asked === undefined || streaming;
  const all = fromNow && query.get('sendInitialEvents') !== 'false' ? storage.all(id) : [];
  const timeout = Number(query.get('timeoutSeconds'));
  const representation = representationOf(resource, info.version, request.headers.accept, query.get('includeObject') ?? undefined);
  const cursor = storage.cursor(id, fromNow ? storage.revision() : asked);
  const watchRequest = {
    cursor,
    initial: selected ? all.filter(selected) : all,
    markInitialEnd: streaming && bookmarks,
    selected,
    bookmarks,
    timeout: Number.isFinite(timeout) && timeout > 0 ? timeout : undefined,
    representation,
  };
  streamWatch(response, watchRequest, storage, faults);
};

/** A body's namespace and name must be those of the path. */
const placed = ({ info, resource }: Call, body: Json): Json => {
  if (!isRecord(body)) throw badRequest('the body of the request must be a JSON object');
  const { metadata = {} } = body;
  if (!isRecord(metadata)) throw badRequest(`${resource.kind} in version "${info.version}" cannot be handled as a ${resource.kind}: metadata: expected an object`);
  if (resource.namespaced && metadata['namespace'] && metadata['namespace'] !== info.namespace)
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  if (info.name !== '' && metadata['name'] && metadata['name'] !== info.name)
    throw badRequest(`the name of the object (${metadata['name']}) does not match the name on the URL (${info.name})`);
  return { ...body, metadata: { ...metadata, ...(resource.namespaced && { namespace: info.namespace }), ...(info.name !== '' && { name: info.name }) } };
};

const create = async ({ writes }: RestContext, call: Call): Promise<void> => {
  if (call.resource.namespaced && call.info.namespace === '') throw methodNotAllowed();
  const body = await readObject(call.request);
  sendObject(call, 201, writes.create(call.resource, placed(call, body), writeOptionsOf(call)));
};

const update = async ({ writes }: RestContext, call: Call): Promise<void> => {
  const body = await readObject(call.request);
  sendObject(call, 200, writes.update(call.resource, placed(call, body), writeOptionsOf(call)));
};

/** The change that a patch body of this content type makes. ApiError 400, 415. */
export const patchOf = (resource: Resource, type: string, patch: Json): ((copy: Json) => Json) => {
  switch (type) {
    case 'application/json-patch+json':
      return (copy) => jsonPatched(copy, patch);
    case 'application/merge-patch+json':
      return (copy) => mergePatched(copy, patch);
    case 'application/strategic-merge-patch+json': {
      const shape = shapeOf(resource);
      if (shape) return (copy) => strategicMerged(copy, patch, shape);
      break;
    }
  }
  const accepted = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'];
  throw unsupportedMediaType(resource.custom ? accepted : [...accepted, 'application/strategic-merge-patch+json']);
};

const patch = async ({ writes, storage }: RestContext, call: Call): Promise<void> => {
  const { request, resource, query } = call;
  const type = contentTypeOf(request);
  const body = parsedBody(await readBody(request), type);
  const options = writeOptionsOf(call);
  if (type === 'application/apply-patch+yaml') {
    const manager = query.get('fieldManager');
    if (!manager) throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
    const result = apply({ writes, storage }, { resource, key: keyOfCall(call), config: placed(call, body), manager, force: query.get('force') === 'true', options });
    return sendObject(call, result.created ? 201 : 200, result.object);
  }
  if (!isRecord(body) && !Array.isArray(body)) throw badRequest('error decoding patch: an object or an array is wanted');
  sendObject(call, 200, writes.modify(resource, keyOfCall(call), patchOf(resource, type, body), options));
};

const PROPAGATION = ['Background', 'Foreground', 'Orphan'] as const;

const deleteOptionsOf = ({ query, resource }: Call, body: Json): DeleteOptions => {
  const grace = body?.gracePeriodSeconds ?? (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  const orphan = body?.orphanDependents ?? (query.has('orphanDependents') ? query.get('orphanDependents') === 'true' : undefined);
  const asked = body?.propagationPolicy ?? query.get('propagationPolicy') ?? (orphan === true ? 'Orphan' : undefined);
  const propagationPolicy = PROPAGATION.find((one) => one === asked);
  if (asked && !propagationPolicy) throw invalid({ ...resource, kind: 'DeleteOptions' }, '', [unsupportedField('propagationPolicy', asked, PROPAGATION)]);
  if (grace !== undefined && !(Number.isInteger(grace) && grace >= 0)) throw badRequest(`Invalid value: ${grace}: gracePeriodSeconds must be a whole number, at least 0`);
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(propagationPolicy && { propagationPolicy }),
    ...(isRecord(body?.preconditions) && { preconditions: body.preconditions }),
    dryRun: isDryRun(query, body),
  };
};

const remove = async ({ writes }: RestContext, call: Call): Promise<void> => {
  const { resource, response, info } = call;
  const body = await readObject(call.request);
  const { object, gone } = writes.remove(resource, keyOfCall(call), deleteOptionsOf(call, body));
  if (!gone || resource.id === 'pods') return sendObject(call, 200, object);
  const details = { name: info.name, ...(resource.group && { group: resource.group }), kind: resource.plural, uid: object.metadata.uid };
  sendJson(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
};

const removeAll = async ({ writes, storage }: RestContext, call: Call): Promise<void> => {
  const { resource, response, request, info } = call;
  const options = deleteOptionsOf(call, await readObject(request));
  const selected = selectionFor(call);
  const objects = storage.all(storageId(resource)).filter((object) => !selected || selected(object));
  for (const { metadata } of objects) writes.remove(resource, { name: metadata.name, ...(metadata.namespace !== undefined && { namespace: metadata.namespace }) }, options);
  const representation = representationOf(resource, info.version, request.headers.accept);
  sendText(response, 200, representation.many(objects, JSON.stringify({ resourceVersion: String(storage.revision()) })), representation.contentType);
};

/** Answers a request for objects or their status; errors are thrown as ApiError. */
export const serveObjects = async (context: RestContext, call: Call): Promise<void> => {
  const { info, resource } = call;
  const status = info.subresource === 'status' && (resource.custom?.get(info.version)?.status ?? resource.status);
  if (info.subresource !== '' && !status) throw pathNotFound();
  switch (info.verb) {
    case 'get':
      return sendObject(call, 200, storedObject(context, call));
    case 'list':
      return list(context, call);
    case 'watch':
      return watch(context, call);
    case 'create':
      if (info.name !== '') throw methodNotAllowed();
      return create(context, call);
    case 'update':
      return update(context, call);
    case 'patch':
      return patch(context, call);
    case 'delete':
      if (status) throw methodNotAllowed();
      return remove(context, call);
    case 'deletecollection':
      return removeAll(context, call);
  }
};
