// SPDX-License-Identifier: Apache-2.0
// What nobody uses any more, as the operator sees it: identities that no CiliumEndpoint refers to, CiliumEndpoints whose pod is gone.
//
//   in use ──▶ unused ──a pass──▶ marked ──grace──▶ retired ──grace──▶ removed
//      ▲─────────────────────────── in use again ───┘
//
// The marks are annotations of the CiliumIdentity, so they outlive whoever made them. Agents begin to use no retired number, and
// by the time that it is free for other labels all of them have heard of it.

import type { CiliumEndpoint, CiliumIdentity, Metadata, Pod } from '../kube/types.ts';
import { RETIRED } from './facts.ts';

/** Annotation of a CiliumIdentity: since when no CiliumEndpoint has referred to it. */
export const UNUSED = 'stentor.dev/unused-since';

/** How long an agent may be behind the API, or may use a number of which it could not tell the API yet. */
export const GRACE_MS = 30 * 60_000;

/** An identity's name and marks. Times are milliseconds since the Unix epoch. */
export type Candidate = {
  readonly id: string;
  /** Undefined: no earlier pass found it unused. */
  readonly unusedSince: number | undefined;
  readonly retiredSince: number | undefined;
};

/** What an object was when it was looked at; a write is refused by the API when it is another by then. */
export type Version = { readonly uid: string; readonly resourceVersion: string };

export type IdentityMarks = Candidate & Version;

/** A CiliumEndpoint: whose it is, and the number that it refers to. */
export type Reference = Version & {
  readonly identity: string | undefined;
  /** Uid of the pod; undefined where the object does not say. */
  readonly pod: string | undefined;
};

/** What a pass does: `spare` takes marks away, `mark` says that it is unused, `retire` and `remove` follow. */
export type Garbage = {
  readonly spare: readonly string[];
  readonly mark: readonly string[];
  readonly retire: readonly string[];
  readonly remove: readonly string[];
};

/**
 * What to do about identities that no CiliumEndpoint refers to (`used`: those that one does): marked, retired after the grace,
 * removed after another that begins with the retirement, however late that was. A mark of the future is none.
 */
export function garbageIn(
  candidates: Iterable<Candidate>,
  used: ReadonlySet<string>,
  { now, graceMs }: { readonly now: number; readonly graceMs: number },
): Garbage {
  const out = { spare: [] as string[], mark: [] as string[], retire: [] as string[], remove: [] as string[] }; // elements to come
  for (const { id, unusedSince, retiredSince } of candidates) {
    if (used.has(id)) {
      if (unusedSince !== undefined || retiredSince !== undefined) out.spare.push(id);
    } else if (unusedSince === undefined || unusedSince > now + graceMs || (retiredSince ?? 0) > now + graceMs) out.mark.push(id);
    else if (retiredSince === undefined) {
      if (now - unusedSince >= graceMs) out.retire.push(id);
    } else if (now - retiredSince >= graceMs) out.remove.push(id);
  }
  return out;
}

export function* identityMarks({ metadata }: CiliumIdentity): Iterable<readonly [string, IdentityMarks]> {
  const { name, annotations = {} } = metadata;
  yield [
    name,
    { id: name, unusedSince: timeIn(annotations[UNUSED]), retiredSince: retirementIn(annotations[RETIRED]), ...versionOf(metadata) },
  ];
}

export function* references({ metadata, status }: CiliumEndpoint): Iterable<readonly [string, Reference]> {
  const { namespace = 'default', name, ownerReferences = [] } = metadata;
  const identity = status?.identity?.id;
  const pod = ownerReferences.find(({ kind }) => kind === 'Pod')?.uid;
  yield [`${namespace}/${name}`, { identity: identity === undefined ? undefined : `${identity}`, pod, ...versionOf(metadata) }];
}

/** The uid of a pod, by namespace and name. */
export function* podUids({ metadata: { namespace = 'default', name, uid = '' } }: Pod): Iterable<readonly [string, string]> {
  yield [`${namespace}/${name}`, uid];
}

function versionOf({ uid = '', resourceVersion = '' }: Metadata): Version {
  return { uid, resourceVersion };
}

function timeIn(text: string | undefined): number | undefined {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/** Agents see a retirement whatever its text is. One without a time is of the future, so that it begins anew. */
function retirementIn(text: string | undefined): number | undefined {
  return text === undefined ? undefined : (timeIn(text) ?? Infinity);
}
