// SPDX-License-Identifier: Apache-2.0
// DELETE over HTTP, for one object and for collections.
import { badRequest, invalid } from './api-error.ts';
import { isDryRun, keyOfCall, selectionFor, sendObject, storageId } from './call.ts';
import type { Call, RestContext } from './call.ts';
import { readObject, sendJson, sendText } from './exchange.ts';
import { isRecord } from './json.ts';
import type { Json } from './json.ts';
import { unsupportedField } from './names.ts';
import { representationOf } from './representation.ts';
import type { DeleteOptions } from './store.ts';

const PROPAGATION = ['Background', 'Foreground', 'Orphan'] as const;

const deleteOptionsOf = ({ query, resource }: Call, body: Json): DeleteOptions => {
  const grace = body?.gracePeriodSeconds ?? (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  const orphan = body?.orphanDependents ?? (query.has('orphanDependents') ? query.get('orphanDependents') === 'true' : undefined);
  const asked = body?.propagationPolicy ?? query.get('propagationPolicy') ?? (orphan === true ? 'Orphan' : undefined);
  const propagationPolicy = PROPAGATION.find((one) => one === asked);
  if (asked && !propagationPolicy)
    throw invalid({ ...resource, kind: 'DeleteOptions' }, '', [unsupportedField('propagationPolicy', asked, PROPAGATION)]);
  if (grace !== undefined && !(Number.isInteger(grace) && grace >= 0))
    throw badRequest(`Invalid value: ${grace}: gracePeriodSeconds must be a whole number, at least 0`);
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(propagationPolicy && { propagationPolicy }),
    ...(isRecord(body?.preconditions) && { preconditions: body.preconditions }),
    dryRun: isDryRun(query, body),
  };
};

/** DELETE on an object: itself as marked, or Success when it is gone. */
export const serveDelete = async ({ writes }: RestContext, call: Call): Promise<void> => {
  const { resource, response, info } = call;
  const body = await readObject(call.request);
  const { object, gone } = writes.remove(resource, keyOfCall(call), deleteOptionsOf(call, body));
  if (!gone || resource.id === 'pods') return sendObject(call, 200, object);
  const details = { name: info.name, ...(resource.group && { group: resource.group }), kind: resource.plural, uid: object.metadata.uid };
  sendJson(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
};

/** DELETE on a collection: the list of what was deleted. */
export const serveDeleteCollection = async ({ writes, storage }: RestContext, call: Call): Promise<void> => {
  const { resource, response, request, info } = call;
  const options = deleteOptionsOf(call, await readObject(request));
  const selected = selectionFor(call);
  const objects = storage.all(storageId(resource)).filter((object) => !selected || selected(object));
  for (const { metadata } of objects)
    writes.remove(resource, { name: metadata.name, ...(metadata.namespace !== undefined && { namespace: metadata.namespace }) }, options);
  const representation = representationOf(resource, info.version, request.headers.accept);
  sendText(
    response,
    200,
    representation.many(objects, JSON.stringify({ resourceVersion: String(storage.revision()) })),
    representation.contentType,
  );
};
