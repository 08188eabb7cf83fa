// SPDX-License-Identifier: Apache-2.0
// The subresources that are not a view of the object itself: scale, binding, eviction, token, finalize; and the reviews,
// which are answered and forgotten.
import { randomBytes } from 'node:crypto';
import { badRequest, methodNotAllowed } from './api-error.ts';
import { contentTypeOf, parsedBody, readBody, readObject, sendJson } from './exchange.ts';
import { isRecord } from './json.ts';
import type { Json, KubeObject } from './json.ts';
import { jsonPath } from './json-path.ts';
import { keyOfCall, storedObject, writeOptionsOf } from './call.ts';
import { patchOf } from './rest.ts';
import type { Call, RestContext } from './call.ts';
import type { ScalePaths } from './resources.ts';
import { selectorText } from './selectors.ts';
import { timestamp } from './time.ts';

const TOKEN_LIFETIME = 3600; // seconds

const success = (code = 201): Json => ({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code });

const scaleOf = (object: KubeObject, paths: ScalePaths): Json => {
  const selector = paths.selector && jsonPath(paths.selector)(object)[0];
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: jsonPath(paths.spec)(object)[0] ?? 0 },
    status: {
      replicas: jsonPath(paths.status)(object)[0] ?? 0,
      ...(selector && { selector: typeof selector === 'string' ? selector : selectorText(selector) }),
    },
  };
};

const withValue = (object: Json, path: string, value: Json): Json => {
  const names = path.split('.').filter((name) => name !== '');
  const last = names.pop() ?? '';
  let at = object;
  for (const name of names) at = at[name] ??= {};
  at[last] = value;
  return object;
};

const scale = async ({ writes, ...context }: RestContext, call: Call): Promise<void> => {
  const { resource, request, response, info } = call;
  const paths = resource.custom?.get(info.version)?.scale ?? resource.scale;
  if (!paths) throw methodNotAllowed();
  const current = storedObject({ writes, ...context }, call);
  if (info.verb === 'get') return sendJson(response, 200, scaleOf(current, paths));
  if (info.verb !== 'update' && info.verb !== 'patch') throw methodNotAllowed();
  const patched =
    info.verb === 'patch'
      ? patchOf({ ...resource, custom: new Map() }, contentTypeOf(request), parsedBody(await readBody(request), contentTypeOf(request)))
      : undefined;
  const wanted = patched ? patched(scaleOf(current, paths)) : await readObject(request);
  const replicas = wanted?.spec?.replicas ?? 0;
  if (!Number.isInteger(replicas) || replicas < 0)
    throw badRequest(`Scale is invalid: spec.replicas: Invalid value: ${JSON.stringify(replicas)}: must be a whole number, at least 0`);
  const change = (copy: Json): Json => {
    if (wanted.metadata?.resourceVersion && info.verb === 'update') copy.metadata.resourceVersion = wanted.metadata.resourceVersion;
    return withValue(copy, paths.spec, replicas);
  };
  sendJson(response, 200, scaleOf(writes.modify(resource, keyOfCall(call), change, writeOptionsOf(call)), paths));
};

const bind = async ({ writes }: RestContext, call: Call): Promise<void> => {
  const body = await readObject(call.request);
  const node = body?.target?.name;
  if (typeof node !== 'string' || node === '') throw badRequest('target.name: Required value: the name of a node is wanted');
  writes.modify(call.resource, keyOfCall(call), (copy) => ({ ...copy, spec: { ...copy.spec, nodeName: node } }));
  sendJson(call.response, 201, success());
};

const evict = async ({ writes }: RestContext, call: Call): Promise<void> => {
  const body = await readObject(call.request);
  const grace = body?.deleteOptions?.gracePeriodSeconds;
  writes.remove(call.resource, keyOfCall(call), Number.isInteger(grace) ? { gracePeriodSeconds: grace } : {});
  sendJson(call.response, 201, success());
};

const finalize = async ({ writes }: RestContext, call: Call): Promise<void> => {
  const body = await readObject(call.request);
  const finalizers = Array.isArray(body?.spec?.finalizers) ? body.spec.finalizers : [];
  sendJson(
    call.response,
    200,
    writes.modify(call.resource, { name: call.info.name }, (copy) => ({ ...copy, spec: { ...copy.spec, finalizers } })),
  );
};

const token = async (context: RestContext, call: Call, addToken: (token: string, user: string) => void): Promise<void> => {
  const { metadata } = storedObject(context, call);
  const body = (await readObject(call.request)) ?? {};
  const seconds = Number(body.spec?.expirationSeconds ?? TOKEN_LIFETIME);
  const text = randomBytes(24).toString('base64url');
  addToken(text, `system:serviceaccount:${metadata.namespace}:${metadata.name}`);
  const status = { token: text, expirationTimestamp: timestamp(Date.now() + seconds * 1000) };
  sendJson(call.response, 201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: metadata.name, namespace: metadata.namespace },
    spec: body.spec ?? {},
    status,
  });
};

/** The subresource's handler; undefined when this is none of them. `addToken` makes a new bearer token valid. */
export const subresourceHandler = (
  call: Call,
  addToken: (token: string, user: string) => void,
): ((context: RestContext) => Promise<void>) | undefined => {
  const { resource, info } = call;
  switch (`${resource.id}/${info.subresource}:${info.verb}`) {
    case 'pods/binding:create':
      return (context) => bind(context, call);
    case 'pods/eviction:create':
      return (context) => evict(context, call);
    case 'namespaces/finalize:update':
      return (context) => finalize(context, call);
    case 'serviceaccounts/token:create':
      return (context) => token(context, call, addToken);
  }
  const scalable = resource.custom?.get(info.version)?.scale ?? resource.scale;
  return info.subresource === 'scale' && scalable ? (context) => scale(context, call) : undefined;
};

/** Answers a review: nobody is refused anything here. */
export const serveReview = async ({ request, response, resource, info, user }: Call): Promise<void> => {
  if (info.verb !== 'create') throw methodNotAllowed();
  const body = await readObject(request);
  if (!isRecord(body)) throw badRequest('the body of the request must be a JSON object');
  const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
  const status = {
    SelfSubjectAccessReview: { allowed: true, reason: 'the sandbox evaluates no RBAC' },
    SelfSubjectRulesReview: {
      resourceRules: [everything],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    },
    SelfSubjectReview: { userInfo: { username: user, groups: ['system:authenticated'] } },
  }[resource.kind];
  sendJson(response, 201, {
    kind: resource.kind,
    apiVersion: `${resource.group}/${info.version}`,
    metadata: { creationTimestamp: null }, // as the Kubernetes API writes it
    ...(body['spec'] && { spec: body['spec'] }),
    status,
  }); // null: as the real server writes it
};
