// SPDX-License-Identifier: Apache-2.0
// Who may see what, as the cluster says: whoever may list the pods of a namespace sees its flows, whoever may list all pods sees
// everything. Who they are says a token of the cluster, or a header that a proxy in front sets.
//
// Nothing is kept but answers of the API, for a minute: a right that is taken away ends within that.

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { messageOf } from '../base/errors.ts';
import type { KubeClient } from '../kube/client.ts';
import { KubeError } from '../kube/kube-error.ts';
import { pathOf, resources } from '../kube/resources.ts';
import type { KubeObject } from '../kube/types.ts';
import type { Admission, Guard } from './guard.ts';

type Person = { readonly user: string; readonly groups: readonly string[] };
type Api = Pick<KubeClient, 'create' | 'list'>;

export type HeaderNames = { readonly user: string; readonly groups: string };

const TOKEN_REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews';
const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const KEPT_MS = 60_000;
const MOST_KEPT = 2000;
/** The page puts the token into this cookie, because a stream of events cannot have a header. */
const COOKIE = 'hubble-token';

type TokenReview = {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly user?: { readonly username?: string; readonly groups?: readonly string[] };
  };
};
type AccessReview = { readonly status?: { readonly allowed?: boolean } };

/** `now`: milliseconds. */
export function tokenGuard(api: Api, now: () => number = Date.now): Guard {
  const people = memory<Person | undefined>(now);
  const rights = rightsOf(api, now);
  return {
    login: 'token',
    admit: (request) =>
      answered(async () => {
        const token = tokenOf(request);
        if (token === undefined) return refused(401, 'A token of the cluster is wanted, as `kubectl create token NAME` makes one');
        const key = createHash('sha256').update(token).digest('base64');
        const person = await people.of(key, () => personOf(api, token));
        return person ? rights(person) : refused(401, 'This token is not one of the cluster, or it has ended');
      }),
  };
}

/** `isTrusted` says whether a peer is the proxy that sets the headers: what others say there is not believed. */
export function headerGuard(api: Api, names: HeaderNames, isTrusted: (address: string) => boolean, now: () => number = Date.now): Guard {
  const rights = rightsOf(api, now);
  return {
    login: 'none',
    admit: (request) =>
      answered(async () => {
        if (!isTrusted(request.socket.remoteAddress ?? '')) return refused(403, 'Only a proxy that this server knows may ask it');
        const user = headerOf(request, names.user);
        if (user === undefined) return refused(401, `The proxy did not say who asks: the header ${names.user} is missing`);
        const groups =
          headerOf(request, names.groups)
            ?.split(',')
            .map((group) => group.trim()) ?? [];
        return rights({ user, groups: groups.filter((group) => group !== '') });
      }),
  };
}

const refused = (status: 401 | 403 | 503, why: string): Admission => ({ kind: 'refused', status, why });

/** The API did not answer: nobody is let in meanwhile. */
async function answered(admission: () => Promise<Admission>): Promise<Admission> {
  try {
    return await admission();
  } catch (error) {
    if (error instanceof KubeError) return refused(503, `Cannot ask the Kubernetes API who may see what: ${messageOf(error)}`);
    throw error;
  }
}

const headerOf = ({ headers }: IncomingMessage, name: string): string | undefined => {
  const said = headers[name.toLowerCase()];
  return (Array.isArray(said) ? said[0] : said) || undefined;
};

function tokenOf(request: IncomingMessage): string | undefined {
  const [, bearer] = /^Bearer (\S+)$/i.exec(headerOf(request, 'authorization') ?? '') ?? [];
  if (bearer !== undefined) return bearer;
  const cookie = headerOf(request, 'cookie')
    ?.split('; ')
    .find((one) => one.startsWith(`${COOKIE}=`));
  return cookie === undefined ? undefined : decoded(cookie.slice(COOKIE.length + 1));
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined;
  } catch {
    return undefined; // not what the page wrote
  }
}

/** Undefined: the API does not know the token. Throws KubeError. */
async function personOf(api: Api, token: string): Promise<Person | undefined> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const { status } = await api.create<TokenReview>(TOKEN_REVIEWS, body);
  if (status?.authenticated !== true || !status.user?.username) return undefined;
  return { user: status.user.username, groups: status.user.groups ?? [] };
}

function rightsOf(api: Api, now: () => number): (person: Person) => Promise<Admission> {
  const kept = memory<readonly string[] | undefined>(now);
  return async (person) => {
    const allowed = await kept.of(JSON.stringify(person), () => allowedFor(api, person));
    if (allowed?.length === 0) return refused(403, `${person.user} may not list the pods of any namespace`);
    return { kind: 'admitted', visitor: { user: person.user, allowed } };
  };
}

/** Undefined: all namespaces. Throws KubeError. */
async function allowedFor(api: Api, person: Person): Promise<readonly string[] | undefined> {
  if (await mayList(api, person, undefined)) return undefined;
  const { items } = await api.list<KubeObject>(pathOf(resources.namespaces));
  const names = items.flatMap(({ metadata }) => metadata.name ?? []);
  const allowed = await Promise.all(names.map((name) => mayList(api, person, name)));
  return names.filter((_, i) => allowed[i] === true);
}

async function mayList(api: Api, { user, groups }: Person, namespace: string | undefined): Promise<boolean> {
  const resourceAttributes = { verb: 'list', group: '', resource: 'pods', ...(namespace !== undefined && { namespace }) };
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user, groups, resourceAttributes } };
  const { status } = await api.create<AccessReview>(ACCESS_REVIEWS, body);
  return status?.allowed === true;
}

/** Answers that are asked for once a minute; one that failed is not kept. */
function memory<T>(now: () => number) {
  const kept = new Map<string, { readonly value: Promise<T>; readonly until: number }>();
  return {
    of(key: string, ask: () => Promise<T>): Promise<T> {
      const known = kept.get(key);
      if (known && known.until > now()) return known.value;
      const value = ask();
      kept.delete(key);
      kept.set(key, { value, until: now() + KEPT_MS });
      value.catch(() => kept.delete(key));
      const [oldest] = kept.keys();
      if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
      return value;
    },
  };
}
