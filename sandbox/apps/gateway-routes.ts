// SPDX-License-Identifier: Apache-2.0
// Which Service a request at a listener goes to, by the HTTPRoutes of the cluster. Pure. Of what a route may say hostnames, path matches
// and the first backend of a rule are read.

export type ParentRef = { readonly name: string; readonly namespace?: string; readonly sectionName?: string };
type PathMatch = { readonly path?: { readonly type?: 'Exact' | 'PathPrefix'; readonly value?: string } };
type BackendRef = { readonly name: string; readonly namespace?: string; readonly port?: number };
type Rule = { readonly matches?: readonly PathMatch[]; readonly backendRefs?: readonly BackendRef[] };

export type HttpRoute = {
  readonly metadata: { readonly uid: string; readonly name: string; readonly namespace: string };
  readonly spec: { readonly hostnames?: readonly string[]; readonly parentRefs?: readonly ParentRef[]; readonly rules?: readonly Rule[] };
};

/** A Gateway and one of its listeners. */
export type Listener = { readonly namespace: string; readonly gateway: string; readonly section: string };

export type Backend = { readonly service: string; readonly namespace: string; readonly port: number };

/** Undefined: no route takes the request. Of the paths that fit the longest counts, and an exact one before a prefix. */
export function backendFor(routes: readonly HttpRoute[], at: Listener, host: string, path: string): Backend | undefined {
  let best: { readonly score: number; readonly backend: Backend } | undefined;
  for (const { metadata, spec } of routes) {
    if (!(spec.parentRefs ?? []).some((parent) => isParent(parent, metadata.namespace, at))) continue;
    if (spec.hostnames !== undefined && !spec.hostnames.some((name) => isHost(name, host.toLowerCase()))) continue;
    for (const { matches = [{}], backendRefs: [ref] = [] } of spec.rules ?? []) {
      const score = Math.max(...matches.map((match) => pathScore(match, path)));
      if (ref === undefined || score < 0 || score <= (best?.score ?? -1)) continue;
      best = { score, backend: { service: ref.name, namespace: ref.namespace ?? metadata.namespace, port: ref.port ?? 80 } };
    }
  }
  return best?.backend;
}

const isParent = ({ name, namespace, sectionName }: ParentRef, home: string, at: Listener): boolean =>
  name === at.gateway && (namespace ?? home) === at.namespace && (sectionName ?? at.section) === at.section;

const isHost = (wanted: string, host: string): boolean =>
  wanted.startsWith('*.') ? host.endsWith(wanted.slice(1)) && host.length > wanted.length - 1 : wanted === host;

/** Below zero: it does not fit. */
function pathScore({ path: { type = 'PathPrefix', value = '/' } = {} }: PathMatch, path: string): number {
  if (type === 'Exact') return path === value ? 2 * value.length + 1 : -1;
  const prefix = value.replace(/\/$/, '');
  return path === prefix || path.startsWith(`${prefix}/`) ? 2 * prefix.length : -1;
}
