// SPDX-License-Identifier: Apache-2.0
// The operator's tables: what is there, what of it nobody uses, and what is to be done about it.
//
//   CiliumIdentity ─▶ identity_marks ─┬─▶ unused_identities ─┬─▶ identity_work ──▶ CiliumIdentity
//   CiliumEndpoint ─▶ references ─────┤                      │
//   pods ───────────▶ pod_uids ───────┴─▶ orphaned_endpoints ┴─▶ endpoint_removals ──▶ CiliumEndpoint
//   passes ───────────────────────────────▲──────────────────▲
//
// Time stands still between passes. What was found unused is dated back to the pass before, so an age that counts is one of which
// an interval has been taken. Nothing is computed before everything has been heard once.

import { derive, from } from '../base/derive.ts';
import type { Derivation } from '../base/derive.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { garbageIn } from './garbage.ts';
import type { IdentityMarks, Reference, Version } from './garbage.ts';

/** What passes look at. */
export const Subject = { identities: 'identities', endpoints: 'endpoints' } as const;
export type Subject = (typeof Subject)[keyof typeof Subject];

/** When the latest one was, in milliseconds since the Unix epoch. */
export type Pass = { readonly now: number };

/** Since when nobody uses it: the time of the pass before it was found so. */
export type Since = { readonly since: number };

export type IdentityWork = Version & { readonly kind: 'spare' | 'mark' | 'retire' | 'remove' };
export type EndpointRemoval = Version & { readonly pod: string | undefined };

export type GarbageSources = {
  readonly marks: Table<string, IdentityMarks>;
  readonly references: Table<string, Reference>;
  readonly podUids: Table<string, string>;
  readonly passes: Table<Subject, Pass>;
};

export type GarbageTables = GarbageSources & {
  readonly unused: Table<string, Since>;
  readonly identityWork: Table<string, IdentityWork>;
  readonly orphans: Table<string, Since>;
  readonly endpointRemovals: Table<string, EndpointRemoval>;
  readonly derivations: readonly Derivation[];
};

/** Milliseconds. */
export type GarbageTimes = {
  /** After which an unused identity is retired, and after which a retired one is removed. */
  readonly identityGrace: number;
  /** After which the CiliumEndpoint of a pod that is gone is removed. */
  readonly endpointGrace: number;
  /** Between two passes over CiliumEndpoints. */
  readonly endpointInterval: number;
};

export function garbageTables(times: GarbageTimes): GarbageTables {
  const sources: GarbageSources = {
    marks: table<string, IdentityMarks>('identity_marks'),
    references: table<string, Reference>('references', {
      indexes: { identity: ({ identity }) => (identity === undefined ? [] : [identity]) },
    }),
    podUids: table<string, string>('pod_uids'),
    passes: table<Subject, Pass>('passes'),
  };
  const made = {
    unused: table<string, Since>('unused_identities'),
    identityWork: table<string, IdentityWork>('identity_work'),
    orphans: table<string, Since>('orphaned_endpoints'),
    endpointRemovals: table<string, EndpointRemoval>('endpoint_removals'),
  };
  return {
    ...sources,
    ...made,
    derivations: [...aboutIdentities({ ...sources, ...made }, times), ...aboutEndpoints({ ...sources, ...made }, times)],
  };
}

type Tables = Omit<GarbageTables, 'derivations'>;

function aboutIdentities({ marks, references, passes, unused, identityWork }: Tables, { identityGrace }: GarbageTimes): Derivation[] {
  const isUsed = (id: string) => references.by('identity', id)[Symbol.iterator]().next().done !== true;
  const atPass = from(passes, (subject) => (subject === Subject.identities ? Array.from(marks.entries(), ([id]) => id) : []));
  const workOn = (id: string): IdentityWork['kind'] | undefined => {
    const [found, now] = [marks.get(id), passes.get(Subject.identities)?.now];
    if (!found || now === undefined) return undefined;
    const { spare, mark, retire, remove } = garbageIn([found], new Set(isUsed(id) ? [id] : []), { now, graceMs: identityGrace });
    if (spare.length > 0) return 'spare';
    if (mark.length > 0) return now > (unused.get(id)?.since ?? now) ? 'mark' : undefined; // a new one has until the next pass to be used
    return retire.length > 0 ? 'retire' : remove.length > 0 ? 'remove' : undefined;
  };
  return [
    derive({
      name: 'unused_identities',
      whole: true,
      inputs: [
        from(marks),
        from(references, (_key, now, then) => [now, then].flatMap((row) => (row?.identity === undefined ? [] : [row.identity]))),
        from(passes, () => []),
      ],
      out: unused.writer('unused_identities'),
      compute: function* (id: string) {
        if (marks.has(id) && !isUsed(id)) yield [id, unused.get(id) ?? { since: passes.get(Subject.identities)?.now ?? Infinity }] as const;
      },
    }),
    derive({
      name: 'identity_work',
      whole: true,
      inputs: [from(marks), from(unused), atPass],
      out: identityWork.writer('identity_work'),
      compute: function* (id: string) {
        const [found, kind] = [marks.get(id), workOn(id)];
        if (found && kind !== undefined) yield [id, { kind, uid: found.uid, resourceVersion: found.resourceVersion }] as const;
      },
    }),
  ];
}

function aboutEndpoints(
  { references, podUids, passes, orphans, endpointRemovals }: Tables,
  { endpointGrace, endpointInterval }: GarbageTimes,
): Derivation[] {
  const isOrphan = (key: string) => {
    const [found, uid] = [references.get(key), podUids.get(key)];
    return found !== undefined && (uid === undefined || (found.pod !== undefined && found.pod !== uid));
  };
  const atPass = from(passes, (subject) => (subject === Subject.endpoints ? Array.from(orphans.entries(), ([key]) => key) : []));
  return [
    derive({
      name: 'orphaned_endpoints',
      whole: true,
      inputs: [from(references), from(podUids), from(passes, () => [])],
      out: orphans.writer('orphaned_endpoints'),
      compute: function* (key: string) {
        if (isOrphan(key)) yield [key, orphans.get(key) ?? { since: passes.get(Subject.endpoints)?.now ?? Infinity }] as const;
      },
    }),
    derive({
      name: 'endpoint_removals',
      whole: true,
      inputs: [from(orphans), from(references), atPass],
      out: endpointRemovals.writer('endpoint_removals'),
      compute: function* (key: string) {
        const [found, since, now] = [references.get(key), orphans.get(key)?.since, passes.get(Subject.endpoints)?.now];
        if (!found || since === undefined || now === undefined || now - since < endpointGrace + endpointInterval) return;
        yield [key, { pod: found.pod, uid: found.uid, resourceVersion: found.resourceVersion }] as const;
      },
    }),
  ];
}
