// SPDX-License-Identifier: Apache-2.0
// What a reconciler cannot do, once it lasts, is a Problem: of a pod where it concerns one pod, else of the target.

import type { Clock } from '../base/clock.ts';
import type { ReconcilerStatus } from '../base/ledger.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';

export type TroublesOptions = {
  readonly reconcilers: readonly { readonly status: ReconcilerStatus }[];
  readonly endpoints: Table<string, EndpointRow>;
  readonly clock: Clock;
};

const PATIENCE_MS = 2000; // most failures are over at the next try

/** To be called after commits: the Problems of now. */
export function troublesOf({ reconcilers, endpoints, clock }: TroublesOptions): () => readonly Problem[] {
  let since = new Map<string, number>();
  return () => {
    const now = clock.monotonic();
    const found = reconcilers.flatMap(({ status }) => problemsIn(status, endpoints));
    since = new Map(found.map(({ key }) => [key, since.get(key) ?? now]));
    return found.filter(({ key }) => now - (since.get(key) ?? now) >= PATIENCE_MS).map((one) => one.problem);
  };
}

type Found = { readonly key: string; readonly problem: Problem };

function problemsIn({ name, error, refused }: ReconcilerStatus, endpoints: Table<string, EndpointRow>): Found[] {
  const full = Array.from(refused).filter(([key, message]) => !endpoints.has(key) && FULL.test(message));
  const others = Array.from(refused).filter(([key, message]) => endpoints.has(key) || !FULL.test(message));
  const single = [...leftOut(name, full), ...others.map(([key, message]) => ofEntry(name, key, { message, endpoint: endpoints.get(key) }))];
  if (error === undefined) return single;
  return [
    ...single,
    {
      key: name,
      problem: problem({
        object: `Target ${name}`,
        reason: 'CannotProgram',
        message: error,
        advice: 'Correct what the message names; the agent tries again',
      }),
    },
  ];
}

/** What the kernel answers when a map has no room. */
const FULL = /\bE2BIG\b/;

/** One Problem however many they are. */
function leftOut(name: string, full: readonly (readonly [key: string, message: string])[]): Found[] {
  const [first, ...more] = full;
  if (first === undefined) return [];
  return [
    {
      key: `${name} is full`,
      problem: problem({
        object: `Map ${name}`,
        reason: 'EntriesLeftOut',
        message: `${first[0]}${more.length === 0 ? '' : ` and ${more.length} more`} found no room; what is in the map stays in effect`,
        advice: 'Remove Services, nodes or pods that are no longer needed; the agent tries again',
      }),
    },
  ];
}

function ofEntry(
  name: string,
  key: string,
  { message, endpoint }: { readonly message: string; readonly endpoint: EndpointRow | undefined },
): Found {
  const object = endpoint ? `Pod ${endpoint.namespace}/${endpoint.pod}` : `Target ${name} ${key}`;
  const advice = endpoint
    ? 'Delete the pod if it does not end by itself; the agent tries again until then'
    : 'Correct what the message names; the agent tries again';
  return { key: `${name} ${key}`, problem: problem({ object, reason: 'CannotProgram', message: `${name} ${key}: ${message}`, advice }) };
}
