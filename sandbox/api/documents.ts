// SPDX-License-Identifier: Apache-2.0
// The paths that are no objects: health, version, discovery and OpenAPI.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { methodNotAllowed, pathNotFound } from './api-error.ts';
import { aggregated, apiGroupList, apiGroupOf, apiResourceList, coreVersions } from './discovery.ts';
import { sendJson, sendText } from './exchange.ts';
import { OPENAPI_V2_PROTOBUF, openapiDocument, openapiIndex, openapiV2, openapiV2Protobuf } from './openapi.ts';
import { acceptsAggregated } from './representation.ts';
import type { Registry } from './resources.ts';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Which Kubernetes this behaves like. */
const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0-sandbox',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
};

const ROOTS = ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'];

const jsonDocument = (registry: Registry, path: readonly string[]): unknown => {
  const [root, first = '', second = '', third = ''] = path;
  if (root === '') return { paths: ROOTS };
  if (root === 'version') return VERSION;
  if (root === 'api') return path.length === 1 ? coreVersions() : apiResourceList(registry, '', first);
  if (root === 'apis')
    return path.length === 1
      ? apiGroupList(registry)
      : path.length === 2
        ? apiGroupOf(registry, first)
        : apiResourceList(registry, first, second);
  if (first === 'v2') return openapiV2;
  if (path.length === 2) return openapiIndex(registry);
  return second === 'api' ? openapiDocument(registry, '', third) : openapiDocument(registry, third, path[4] ?? '');
};

const isDocument = (path: readonly string[]): boolean => {
  const [root, first] = path;
  if (root === '' || root === 'version') return path.length === 1;
  if (root === 'openapi' && first === 'v2') return path.length === 2;
  if (root === 'openapi') return first === 'v3' && (path.length === 2 || path.length === 4 || path.length === 5);
  return (root === 'api' && path.length <= 2) || (root === 'apis' && path.length <= 3);
};

/** Answers if the path is one of these: true. */
export const serveDocument = (registry: Registry, request: IncomingMessage, response: ServerResponse): boolean => {
  const path = (request.url ?? '/').split('?')[0]?.replace(/\/$/, '').split('/').slice(1) ?? [''];
  const [root = ''] = path;
  if (path.length === 0) path.push('');
  const health = root === 'healthz' || root === 'livez' || root === 'readyz';
  if (!health && !isDocument(path)) return false;
  if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
  if (health) sendText(response, 200, 'ok', 'text/plain; charset=utf-8');
  else if ((root === 'api' || root === 'apis') && path.length === 1 && acceptsAggregated(request.headers.accept))
    sendText(response, 200, JSON.stringify(aggregated(registry, root === 'api')), AGGREGATED);
  else if (root === 'openapi' && path[1] === 'v2' && /proto-openapi/.test(request.headers.accept ?? ''))
    sendText(response, 200, openapiV2Protobuf, OPENAPI_V2_PROTOBUF);
  else {
    const document = jsonDocument(registry, path);
    if (document === undefined) throw pathNotFound();
    sendJson(response, 200, document);
  }
  return true;
};
