// SPDX-License-Identifier: Apache-2.0
// GetFlows of a relay: the same question to every node, the answers in order of time, and what is to be said of the nodes. While a
// client follows, nodes that come are asked too, and one that was lost is asked for what is new.

import { messageOf } from '../base/errors.ts';
import type { Nanoseconds } from '../flows/flow.ts';
import { encode } from '../grpc/message.ts';
import { frames } from '../grpc/frames.ts';
import type { Call } from '../grpc/handler.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { responseCodec } from '../hubble/field-mask.ts';
import { getFlowsResponse, NodeState, observer } from '../hubble/observer.ts';
import type { GetFlowsRequest } from '../hubble/observer.ts';
import { queryOf } from '../hubble/queries.ts';
import { merge } from './merge.ts';
import type { Merge, Timed } from './merge.ts';
import { stateOf } from './pool.ts';
import type { Peer, Pool } from './pool.ts';
import { responseTime } from './response-time.ts';

/** How long a silent node holds up the others. Agents hand out what they saw within 0.1 s. */
const PATIENCE_MS = { following: 300, otherwise: 2000 };
/** Up to here the newest flows are those of the whole cluster; beyond it the newest of each node. */
const MOST_EXACT = 20_000;

const nowNs = (): Nanoseconds => BigInt(Date.now()) * 1_000_000n;

/** Throws RpcError at once where the request is bad: no node is asked then. */
export function flowsOfAll(pool: Pool, nodeName: string, request: GetFlowsRequest, { signal }: Call): AsyncIterable<Buffer> {
  queryOf(request);
  responseCodec(request.fieldMask ?? []);
  const follow = request.follow === true;
  const merged = merge(follow ? PATIENCE_MS.following : PATIENCE_MS.otherwise);
  const end = new AbortController();
  const over = AbortSignal.any([signal, end.signal]);
  const status = (stateChange: NodeState, nodeNames: readonly string[], message?: string) =>
    nodeNames.length > 0 &&
    merged.now(encode(getFlowsResponse, { nodeStatus: { stateChange, nodeNames, message }, nodeName, time: nowNs() }));
  const asking = askAll({ pool, merged, request, status, signal: over });
  return (async function* () {
    try {
      const batches = merged.out(over);
      const limited = follow || request.number === undefined ? batches : limit(batches, request, request.number);
      for await (const batch of limited) if (batch.length > 0) yield frames(batch);
      if (signal.aborted) throw new RpcError(Status.CANCELLED, 'the client has gone');
    } finally {
      end.abort();
      await asking;
    }
  })();
}

type Asking = {
  readonly pool: Pool;
  readonly merged: Merge;
  readonly request: GetFlowsRequest;
  readonly status: (state: NodeState, names: readonly string[], message?: string) => void;
  readonly signal: AbortSignal;
};

async function askAll({ pool, merged, request, status, signal }: Asking): Promise<void> {
  const peers = pool.peers();
  const named = (state: NodeState) => peers.filter((peer) => stateOf(peer) === state).map(({ name }) => name);
  status(NodeState.NODE_CONNECTED, named(NodeState.NODE_CONNECTED));
  status(NodeState.NODE_UNAVAILABLE, named(NodeState.NODE_UNAVAILABLE));
  const asked = new Map<string, Peer>();
  const last = new Map<string, Nanoseconds>();
  const calls = new Set<Promise<void>>();
  const ask = (peer: Peer, what: GetFlowsRequest) => {
    asked.set(peer.name, peer);
    const call = askOne(peer, what, { merged, signal, seen: (time) => void last.set(peer.name, time) })
      .catch((error: unknown) => {
        if (signal.aborted || peer.gone.aborted) return;
        if (error instanceof RpcError && error.status === Status.UNAVAILABLE) peer.doubt(error.message);
        status(NodeState.NODE_ERROR, [peer.name], messageOf(error));
      })
      .finally(() => {
        if (asked.get(peer.name) === peer) asked.delete(peer.name);
        calls.delete(call);
      });
    calls.add(call);
  };
  for (const peer of peers) if (peer.trouble === undefined) ask(peer, request);
  if (request.follow !== true) {
    await Promise.all(calls);
    return merged.close();
  }
  const began = nowNs();
  await following(pool, signal, (peer) => {
    if (asked.has(peer.name)) return;
    status(NodeState.NODE_CONNECTED, [peer.name]);
    ask(peer, { ...request, number: undefined, since: (last.get(peer.name) ?? began) + 1n });
  });
  await Promise.all(calls);
}

const LOOK_MS = 2000;

/** Hands over every peer that can be asked, now and then. */
async function following(pool: Pool, signal: AbortSignal, each: (peer: Peer) => void): Promise<void> {
  while (!signal.aborted) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => done(), LOOK_MS);
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done, { once: true });
    });
    if (!signal.aborted) for (const peer of pool.peers()) if (peer.trouble === undefined && peer.status !== undefined) each(peer);
  }
}

type Into = { readonly merged: Merge; readonly signal: AbortSignal; readonly seen: (time: Nanoseconds) => void };

async function askOne(peer: Peer, request: GetFlowsRequest, { merged, signal, seen }: Into): Promise<void> {
  const lane = merged.lane();
  try {
    for await (const messages of peer.client.raw(observer.getFlows, request, { signal: AbortSignal.any([signal, peer.gone]) })) {
      const arrived = performance.now();
      const timed = messages.map((message): Timed => ({ time: responseTime(message), message, arrived }));
      const newest = timed.at(-1);
      if (newest) seen(newest.time);
      await lane.push(timed);
    }
  } finally {
    lane.end();
  }
}

/** Each node gave as many as were asked for: of all of them the oldest, or the newest. What is no flow does not count. */
async function* limit(
  batches: AsyncIterable<readonly Buffer[]>,
  { first, since }: GetFlowsRequest,
  number: number,
): AsyncIterable<readonly Buffer[]> {
  if (first === true || since !== undefined) yield* oldest(batches, number);
  else if (number > MOST_EXACT) yield* batches;
  else yield* newest(batches, number);
}

const isFlow = (message: Buffer): boolean => message[0] === 0x0a; // field 1, with a length

async function* oldest(batches: AsyncIterable<readonly Buffer[]>, number: number): AsyncIterable<readonly Buffer[]> {
  let left = number;
  for await (const batch of batches) {
    const wanted = batch.filter((message) => !isFlow(message) || left-- > 0);
    if (wanted.length > 0) yield wanted;
    if (left <= 0) return;
  }
}

async function* newest(batches: AsyncIterable<readonly Buffer[]>, number: number): AsyncIterable<readonly Buffer[]> {
  let kept: Buffer[] = [];
  for await (const batch of batches) {
    const others = batch.filter((message) => !isFlow(message));
    if (others.length > 0) yield others;
    kept.push(...batch.filter((message) => isFlow(message)));
    if (kept.length > 2 * number + 1000) kept = kept.slice(-number);
  }
  yield kept.slice(-number);
}
