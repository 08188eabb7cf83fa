// SPDX-License-Identifier: Apache-2.0
// What an agent answers to clients of Hubble. Each of them reads the ring at its own pace: one that is too slow misses flows and is
// told how many; the agent goes on. Between two batches everything else has its turn.

import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { pastOf } from '../flows/agent-events.ts';
import type { AgentEvents, TimedAgentEvent } from '../flows/agent-events.ts';
import type { Entry, FlowRing } from '../flows/flow-ring.ts';
import type { Nanoseconds } from '../flows/flow.ts';
import { raw, streaming, unary } from '../grpc/handler.ts';
import type { Call, Handler } from '../grpc/handler.ts';
import { framed } from '../grpc/message.ts';
import { responseCodec } from '../hubble/field-mask.ts';
import { namespaceBook } from '../hubble/namespaces.ts';
import type { NamespaceBook } from '../hubble/namespaces.ts';
import { observer } from '../hubble/observer.ts';
import { wantedOf } from '../history/filters.ts';
import type { FlowHistory } from './history.ts';
import type { GetFlowsRequest, GetFlowsResponse } from '../hubble/observer.ts';
import { flowsRate, queryOf } from '../hubble/queries.ts';

export type ObserverOptions = {
  readonly ring: FlowRing;
  readonly events: AgentEvents;
  /** 'cluster/node'. */
  readonly nodeName: string;
  readonly version: string;
  readonly clock: Clock;
  /** What the ring does not have any more. */
  readonly past?: Pick<FlowHistory, 'through'> | undefined;
  /** When the certificate ends that is shown to others, in milliseconds since the epoch; undefined: there is none. */
  readonly certificate?: () => number | undefined;
};

/** Entries of the ring that are looked at in one turn of the event loop. */
const BATCH = 256;

const untilOf = (milliseconds: number | undefined) => (milliseconds === undefined ? undefined : nanoseconds(milliseconds));
const nanoseconds = (milliseconds: number): Nanoseconds => BigInt(Math.round(milliseconds * 1000)) * 1000n;

export function observerHandlers(options: ObserverOptions, signal: AbortSignal): readonly Handler[] {
  const { ring, events, nodeName, version, clock } = options;
  const started = clock.monotonic();
  const namespaces = namespaceBook(nodeName.slice(0, nodeName.indexOf('/')));
  watchNamespaces(ring, namespaces, signal);
  const response = (entry: Entry): GetFlowsResponse =>
    entry.kind === 'flow'
      ? { flow: entry.flow, nodeName: entry.flow.nodeName, time: entry.flow.time }
      : { lostEvents: entry.lost, nodeName, time: entry.lost.last ?? nanoseconds(clock.now()) };
  return [
    raw(observer.getFlows, (request, call) => flowsFor(options, request, call, response)),
    streaming(observer.getAgentEvents, async function* (request, call) {
      const told = ({ time, event }: TimedAgentEvent) => ({ agentEvent: event, nodeName, time });
      let { events: some, next } = events.from(0);
      yield pastOf(some, request).map(told);
      while (request.follow === true && !call.signal.aborted) {
        ({ events: some, next } = events.from(next));
        if (some.length === 0) await changed(events, call.signal);
        else yield some.map(told);
      }
    }),
    // the data plane has no debug messages: whoever follows waits for none
    streaming(observer.getDebugEvents, async function* ({ follow }, call) {
      yield [];
      if (follow === true) await new Promise((resolve) => call.signal.addEventListener('abort', resolve, { once: true }));
    }),
    unary(observer.serverStatus, () => ({
      numFlows: ring.length,
      maxFlows: ring.capacity,
      seenFlows: ring.seen,
      uptimeNs: Math.round((clock.monotonic() - started) * 1e6),
      version,
      flowsRate: flowsRate(ring, nanoseconds(clock.now())),
      certificateUntil: untilOf(options.certificate?.()),
    })),
    unary(observer.getNamespaces, () => ({ namespaces: namespaces.list(nanoseconds(clock.now())) })),
  ];
}

/** Throws RpcError at once where the request is bad. */
function flowsFor(
  { ring, past }: ObserverOptions,
  request: GetFlowsRequest,
  { signal }: Call,
  response: (entry: Entry) => GetFlowsResponse,
): AsyncIterable<Buffer> {
  const codec = responseCodec(request.fieldMask ?? []);
  const query = queryOf(request);
  return (async function* () {
    const through = past?.through(ring, { ...query, wanted: wantedOf(request) }, signal);
    for await (const entries of through?.past ?? [])
      for (let at = 0; at < entries.length && !signal.aborted; at += BATCH) {
        yield framed(codec, entries.slice(at, at + BATCH).map(response));
        await setImmediate();
      }
    const reader = ring.read(through?.present() ?? query);
    while (!signal.aborted) {
      const entries = reader.take(BATCH);
      if (entries.length > 0) yield framed(codec, entries.map(response));
      if (reader.ended) return;
      if (reader.pending) await setImmediate();
      else await changed(ring, signal);
    }
  })();
}

/** Comes back after the next change, or when nobody waits any more. */
export function changed(of: { listen(listener: () => void): () => void }, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const stop = of.listen(done);
    signal.addEventListener('abort', done, { once: true });
  });
}

const LOOK_MS = 1000;

/** Looks at flows once a second rather than at each when it comes; of a flood it sees what is left then, which is enough for names. */
function watchNamespaces(ring: FlowRing, book: NamespaceBook, signal: AbortSignal): void {
  let at = ring.oldest;
  const timer = setInterval(() => {
    for (at = Math.max(at, ring.oldest); at < ring.next; at++) {
      const entry = ring.at(at);
      if (entry?.kind === 'flow') book.see(entry.flow);
    }
  }, LOOK_MS);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
