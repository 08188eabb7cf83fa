// SPDX-License-Identifier: Apache-2.0
// A request whose resource is known, and what its handlers share: options out of the query, the object it means, the answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { badRequest, invalid, notFound } from './api-error.ts';
import { sendText, warn } from './exchange.ts';
import type { Faults } from './faults.ts';
import type { Json, KubeObject } from './json.ts';
import type { Lister } from './list.ts';
import { unsupportedField } from './names.ts';
import { representationOf } from './representation.ts';
import type { RequestInfo } from './request-info.ts';
import type { Registry, Resource } from './resources.ts';
import { selectionOf } from './selectors.ts';
import type { Predicate } from './selectors.ts';
import { keyOf } from './storage.ts';
import type { Storage } from './storage.ts';
import type { ObjectKey } from './store.ts';
import type { WriteOptions, Writes } from './store-writes.ts';

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

export const keyOfCall = ({ info, resource }: Call): ObjectKey => ({
  name: info.name,
  ...(resource.namespaced && { namespace: info.namespace }),
});

export const storedObject = ({ storage }: RestContext, call: Call): KubeObject => {
  const object = storage.get(storageId(call.resource), keyOf(call.resource.namespaced ? call.info.namespace : undefined, call.info.name));
  if (!object) throw notFound(call.resource, call.info.name);
  return object;
};

export const isDryRun = (query: URLSearchParams, body: Json): boolean => {
  const values = [...query.getAll('dryRun'), ...(Array.isArray(body?.dryRun) ? body.dryRun : [])];
  if (values.some((value) => value !== 'All')) throw badRequest(`Invalid value: "${values.join(',')}": dryRun must be All`);
  return values.length > 0;
};

export const writeOptionsOf = ({ query, response, info }: Call): WriteOptions => {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore')
    throw invalid({ group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }, '', [
      unsupportedField('fieldValidation', fieldValidation, ['Ignore', 'Strict', 'Warn']),
    ]);
  return {
    version: info.version,
    ...(info.subresource === 'status' && { subresource: 'status' as const }),
    dryRun: isDryRun(query, undefined),
    fieldValidation,
    warn: (text) => warn(response, text),
  };
};

export const sendObject = (call: Call, code: number, object: KubeObject): void => {
  const { response, request, resource, info, query } = call;
  const representation = representationOf(resource, info.version, request.headers.accept, query.get('includeObject') ?? undefined);
  sendText(response, code, representation.one(object), representation.contentType);
};

export const selectionFor = ({ info, query, resource }: Call): Predicate | undefined =>
  selectionOf(
    {
      ...(resource.namespaced && info.namespace !== '' && { namespace: info.namespace }),
      labelSelector: query.get('labelSelector') ?? '',
      fieldSelector: query.get('fieldSelector') ?? '',
    },
    resource.id,
  );
