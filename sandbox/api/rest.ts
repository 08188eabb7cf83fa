// SPDX-License-Identifier: Apache-2.0
// The verbs on objects: get, list, watch, create, update, patch and (rest-delete.ts) delete; also on their status.
import { apply } from './apply.ts';
import { badRequest, methodNotAllowed, pathNotFound, unsupportedMediaType } from './api-error.ts';
import { keyOfCall, selectionFor, sendObject, storageId, storedObject, writeOptionsOf } from './call.ts';
import type { Call, RestContext } from './call.ts';
import { contentTypeOf, parsedBody, readBody, readObject, sendText } from './exchange.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import { revisionOf } from './list.ts';
import { jsonPatched, mergePatched } from './patch.ts';
import { representationOf } from './representation.ts';
import type { Resource } from './resources.ts';
import { serveDelete, serveDeleteCollection } from './rest-delete.ts';
import { shapeOf } from './shapes.ts';
import { strategicMerged } from './strategic-merge.ts';
import { streamWatch } from './watch.ts';

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
  if (!isRecord(metadata))
    throw badRequest(`${resource.kind} in version "${info.version}" cannot be handled as a ${resource.kind}: metadata: expected an object`);
  if (resource.namespaced && metadata['namespace'] && metadata['namespace'] !== info.namespace)
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  if (info.name !== '' && metadata['name'] && metadata['name'] !== info.name)
    throw badRequest(`the name of the object (${metadata['name']}) does not match the name on the URL (${info.name})`);
  return {
    ...body,
    metadata: { ...metadata, ...(resource.namespaced && { namespace: info.namespace }), ...(info.name !== '' && { name: info.name }) },
  };
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
    const result = apply(
      { writes, storage },
      { resource, key: keyOfCall(call), config: placed(call, body), manager, force: query.get('force') === 'true', options },
    );
    return sendObject(call, result.created ? 201 : 200, result.object);
  }
  if (!isRecord(body) && !Array.isArray(body)) throw badRequest('error decoding patch: an object or an array is wanted');
  sendObject(call, 200, writes.modify(resource, keyOfCall(call), patchOf(resource, type, body), options));
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
      return serveDelete(context, call);
    case 'deletecollection':
      return serveDeleteCollection(context, call);
  }
};
