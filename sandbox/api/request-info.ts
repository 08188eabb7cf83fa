// SPDX-License-Identifier: Apache-2.0
// What a request asks for, read from its method and path alone.
//
//   /api/v1/namespaces/NS/pods/NAME/log       group ''    version v1   plural pods   namespace NS   name NAME   subresource log
//   /apis/apps/v1/deployments                 group apps  version v1   plural deployments
//   /api/v1/namespaces/NS/status              plural namespaces, name NS, subresource status

export type RequestInfo = {
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** Empty for cluster-wide requests. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
};

const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

const verbOf = (method: string, name: string, watch: boolean): RequestInfo['verb'] | undefined => {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return name !== '' ? 'get' : watch ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      return undefined;
  }
};

const decoded = (part: string): string | undefined => {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
};

/** undefined when the path is no resource path (or not even well encoded) or the method is unknown. */
export const requestInfoOf = (method: string, url: URL): RequestInfo | undefined => {
  const parts = url.pathname.split('/').slice(1).map(decoded);
  if (parts.some((part) => part === undefined || part === '')) return undefined;
  const known = parts as string[]; // as: checked in the line above
  const core = known[0] === 'api';
  if (!core && known[0] !== 'apis') return undefined;
  const group = core ? '' : (known[1] ?? '');
  const version = known[core ? 1 : 2];
  let rest = known.slice(core ? 2 : 3);
  let namespace = '';
  const [first, second = '', third] = rest;
  if (first === 'namespaces' && third !== undefined && !NAMESPACE_SUBRESOURCES.has(third)) {
    namespace = second;
    rest = rest.slice(2);
  } else if (first === 'namespaces' && second !== '') namespace = second;
  const [plural, name = '', ...subresource] = rest;
  if (version === undefined || plural === undefined) return undefined;
  const watch = ['true', '1'].includes(url.searchParams.get('watch') ?? '');
  const verb = verbOf(method, name, watch);
  return verb && { verb, group, version, plural, namespace, name, subresource: subresource.join('/') };
};
