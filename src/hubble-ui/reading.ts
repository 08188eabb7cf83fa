// SPDX-License-Identifier: Apache-2.0
// Reads the flows of a view from the source: the past to its end, the present for ever. What breaks is tried again, a little later
// each time, and the time between is read again, too.

import { messageOf } from '../base/errors.ts';
import type { Flow } from '../flows/flow.ts';
import type { StreamState } from '../page/api.ts';
import type { Filters } from '../page/flow-filter.ts';
import type { Range } from '../page/view.ts';
import type { FlowAnswer, FlowSource } from './source.ts';

export type ReadingOptions = {
  readonly source: FlowSource;
  readonly range: Range;
  readonly filters: Filters;
  readonly onFlow: (flow: Flow) => void;
  readonly now: () => number;
};

export type Reading = {
  /** When it began. */
  readonly started: number;
  /** Time of the oldest flow. */
  oldest(): number | undefined;
  state(): Omit<StreamState, 'skipped'>;
  end(): void;
};

/** Of a stretch of the past, and of what a live view begins with. */
const MOST_FLOWS = 500_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const RATE_MS = 5000;
const CAUGHT_UP_MS = 1000;
const QUIET_MS = 1500;

export function reading({ source, range, filters, onFlow, now }: ReadingOptions): Reading {
  const stop = new AbortController();
  const { signal } = stop;
  const started = now();
  const nodes = new Map<string, boolean>();
  const rate = rateOver(RATE_MS, now);
  let state: StreamState['state'] = 'reading';
  let message: string | undefined;
  let [flows, lost] = [0, 0];
  let newest = range.kind === 'live' ? nanos(started - range.windowMs) : nanos(range.since);
  let oldest: bigint | undefined;
  let partialUntil: number | undefined;
  let lastAnswer = started;

  function take(answer: FlowAnswer): void {
    lastAnswer = now();
    if (answer.kind === 'nodes') for (const name of answer.names) nodes.set(name, answer.connected);
    else if (answer.kind === 'lost') lost += Number(answer.lost.numEventsLost ?? 0n);
    else if (filters.matches(answer.flow)) {
      flows++;
      rate.count(Number(answer.flow.time / 1_000_000n));
      if (answer.flow.time > newest) newest = answer.flow.time;
      if (oldest === undefined || answer.flow.time < oldest) oldest = answer.flow.time;
      onFlow(answer.flow);
    }
  }

  /** Who follows is told nothing when the past is over: it is where what comes is new, or nothing comes. */
  function catchUp(): void {
    const isNew = newest >= nanos(started - CAUGHT_UP_MS);
    if (state === 'reading' && range.kind === 'live' && (isNew || now() - lastAnswer > QUIET_MS)) state = 'live';
  }

  async function readOnce(since: bigint): Promise<void> {
    const { whitelist, blacklist } = filters;
    const wanted = range.kind === 'live' ? { follow: true, since } : { since, until: nanos(range.until), number: MOST_FLOWS };
    for await (const answer of source.flows({ ...wanted, whitelist, blacklist }, signal)) {
      if (state === 'broken') [state, message] = ['reading', undefined];
      take(answer);
    }
  }

  async function run(): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const before = flows;
      try {
        await readOnce(before === 0 ? newest : newest + 1n);
        if (range.kind === 'past') {
          state = 'done';
          if (flows >= MOST_FLOWS) partialUntil = Number(newest / 1_000_000n);
          return;
        }
        message = 'the stream ended';
      } catch (error) {
        message = messageOf(error);
      }
      if (signal.aborted) return;
      state = 'broken';
      if (flows > before) pause = FIRST_PAUSE_MS;
      await waitFor(pause * (0.75 + Math.random() / 2), signal); // not all servers at one time
    }
  }
  void run();

  return {
    started,
    oldest: () => (oldest === undefined ? undefined : Number(oldest / 1_000_000n)),
    state: () => {
      catchUp();
      return {
        state,
        ...(message !== undefined && { message }),
        nodes: nodes.size,
        nodesMissing: [...nodes].filter(([, connected]) => !connected).map(([name]) => name),
        flows,
        lost,
        rate: rate.perSecond(),
        ...(partialUntil !== undefined && { partialUntil }),
      };
    },
    end: () => stop.abort(),
  };
}

export const nanos = (ms: number): bigint => BigInt(Math.round(ms)) * 1_000_000n;

/** Resolves after `ms`, or when `signal` ends. */
function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', done);
    resolve();
  };
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', done);
  return promise;
}

function rateOver(ms: number, now: () => number) {
  const seconds = new Map<number, number>();
  return {
    /** `time`: when it was. */
    count(time: number): void {
      const at = Math.floor(time / 1000);
      if (time < now() - ms) return;
      seconds.set(at, (seconds.get(at) ?? 0) + 1);
    },
    perSecond(): number {
      const oldest = Math.floor((now() - ms) / 1000);
      for (const at of seconds.keys()) if (at <= oldest) seconds.delete(at);
      return seconds.values().reduce((all, one) => all + one, 0) / (ms / 1000);
    },
  };
}
