// SPDX-License-Identifier: Apache-2.0
// One of several that may do something, by a Lease: https://kubernetes.io/docs/concepts/architecture/leases/, as client-go's
// leader election keeps it, so that both can take over from each other.
//
//   renewed at t ──▶ writes end at t + renewMs ──▶ others may begin at t + durationMs, as they saw it
//
// Times are those of clocks that never step back, each process its own: how far wall clocks differ does not matter. A holder that
// has slept (a stopped process) finds by holds(), before each write, that its time is over.

import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { KubeClient } from './client.ts';
import { isStatus } from './kube-error.ts';
import { pathOf, pathOfObject, resources } from './resources.ts';
import type { Lease } from './types.ts';

export type LeaseOptions = {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Which of those that want it. */
  readonly identity: string;
  readonly clock: Clock;
  /** After how long without a renewal others may take it. */
  readonly durationMs: number;
  /** After how long without a renewal the holder stops; less than `durationMs`. */
  readonly renewMs: number;
  /** Between tries. */
  readonly retryMs: number;
};

/** The time in which we hold it. */
export type Term = { readonly signal: AbortSignal; holds(): boolean };

export type LeaseStatus = {
  readonly leads: boolean;
  /** Who has it, as we saw it last; undefined: nobody, or not known. */
  readonly holder: string | undefined;
  /** Why the last try failed. */
  readonly error: string | undefined;
};

export type LeaseHolder = {
  readonly status: LeaseStatus;
  /** Calls `lead` whenever we have it, and waits for its end when we lose it. Gives it back when `signal` aborts. Rejects as `lead` does. */
  run(lead: (term: Term) => Promise<void>, signal: AbortSignal): Promise<void>;
};

const GIVE_BACK_MS = 1000;

/** A Lease as it was seen, and when it became so. */
type Seen = { readonly version: string; readonly at: number };

export function leaseHolder(options: LeaseOptions): LeaseHolder {
  const { clock, retryMs, renewMs } = options;
  const state: State = { leads: false, holder: undefined, error: undefined, seen: undefined };
  const ask = (signal: AbortSignal) => answerTo(options, state, signal);
  const term = async (begun: number, lead: (term: Term) => Promise<void>, signal: AbortSignal) => {
    let renewed = begun;
    const over = new AbortController();
    const left = () => renewed + renewMs - clock.monotonic();
    const work = lead({ signal: over.signal, holds: () => !over.signal.aborted && left() > 0 });
    const ended = AbortSignal.any([signal, over.signal]);
    const failed = work.catch(() => over.abort()); // rethrown below
    state.leads = true;
    while (!ended.aborted && left() > 0) {
      await pause(Math.min(retryMs, left()), undefined, { signal: ended }).catch(() => {});
      if (ended.aborted || left() <= 0) break;
      const answer = await ask(AbortSignal.any([ended, AbortSignal.timeout(Math.ceil(left()))]));
      if (answer?.granted === true) renewed = answer.at;
      else if (answer && state.holder !== options.identity) break;
    }
    state.leads = false;
    over.abort();
    await failed;
    await work;
    if (signal.aborted && left() > 0) await giveBack(options);
  };
  return {
    get status() {
      const { leads, holder, error } = state;
      return { leads, holder, error };
    },
    async run(lead, signal) {
      while (!signal.aborted) {
        const answer = await ask(AbortSignal.any([signal, AbortSignal.timeout(renewMs)]));
        if (answer?.granted === true) await term(answer.at, lead, signal);
        await pause(retryMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}

type State = { leads: boolean; holder: string | undefined; error: string | undefined; seen: Seen | undefined };

/** Whether it is ours, and when we asked; undefined when there was no answer. */
async function answerTo(
  options: LeaseOptions,
  state: State,
  signal: AbortSignal,
): Promise<{ readonly granted: boolean; readonly at: number } | undefined> {
  const at = options.clock.monotonic();
  try {
    const granted = await taken(options, state, signal);
    state.error = undefined;
    return { granted, at };
  } catch (error) {
    const faster = isStatus(error, 409); // somebody else was: an answer, and no error
    if (faster) state.error = undefined;
    else if (!signal.aborted) state.error = messageOf(error);
    return faster ? { granted: false, at } : undefined;
  }
}

/** Takes or renews it if that is allowed. Rejects with KubeError, 409 when somebody else was faster. */
async function taken(options: LeaseOptions, state: State, signal: AbortSignal): Promise<boolean> {
  const { client, namespace, name, identity, clock } = options;
  const found = await client.get<Lease>(pathOfObject(resources.leases, name, namespace), signal).catch((error: unknown) => {
    if (isStatus(error, 404)) return undefined;
    throw error;
  });
  if (!found) {
    await client.create(pathOf(resources.leases, namespace), leaseOf(options, undefined, identity), signal);
    state.holder = identity;
    return true;
  }
  const { holderIdentity: holder = '', leaseDurationSeconds: seconds = 0 } = found.spec ?? {};
  const version = `${found.metadata.uid} ${found.metadata.resourceVersion}`;
  if (state.seen?.version !== version) state.seen = { version, at: clock.monotonic() };
  state.holder = holder === '' ? undefined : holder;
  if (holder !== '' && holder !== identity && clock.monotonic() < state.seen.at + seconds * 1000) return false;
  await client.put(pathOfObject(resources.leases, name, namespace), leaseOf(options, found, identity), signal);
  state.holder = identity;
  return true;
}

/** Others need not wait then. That it is not theirs yet when this fails is all that happens. */
async function giveBack(options: LeaseOptions): Promise<void> {
  const { client, namespace, name, identity } = options;
  const path = pathOfObject(resources.leases, name, namespace);
  const signal = AbortSignal.timeout(GIVE_BACK_MS);
  try {
    const found = await client.get<Lease>(path, signal);
    if (found.spec?.holderIdentity === identity) await client.put(path, leaseOf({ ...options, durationMs: 1000 }, found, ''), signal);
  } catch {
    return;
  }
}

/** The Lease with us as its holder, or with nobody. Refused by the API when it is not what was `found` any more. */
function leaseOf({ namespace, name, durationMs }: LeaseOptions, found: Lease | undefined, holder: string): Lease {
  const { apiVersion, kind } = resources.leases;
  const time = `${new Date().toISOString().slice(0, -1)}000Z`; // MicroTime; for people to read
  const { acquireTime, leaseTransitions = 0, holderIdentity: before = '' } = found?.spec ?? {};
  const same = before === holder;
  return {
    apiVersion,
    kind,
    metadata: { ...(found?.metadata ?? { namespace, name }) },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
      acquireTime: same && acquireTime !== undefined ? acquireTime : time,
      renewTime: time,
      leaseTransitions: found === undefined || same || holder === '' ? leaseTransitions : leaseTransitions + 1,
    },
  };
}
