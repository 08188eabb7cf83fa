// SPDX-License-Identifier: Apache-2.0
// What a relay answers: `observer.Observer` of the whole cluster, of which it has nothing itself. What one node did itself
// (agent and debug events) is asked of that node.

import { raw, unary } from '../grpc/handler.ts';
import type { Call, Handler } from '../grpc/handler.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { unionOf } from '../hubble/namespaces.ts';
import { getHistogram, histogramOfAll } from '../hubble/history.ts';
import { NodeState, observer } from '../hubble/observer.ts';
import type { HubbleNode, ServerStatus } from '../hubble/observer.ts';
import { flowsOfAll } from './flows.ts';
import { stateOf } from './pool.ts';
import type { Peer, Pool } from './pool.ts';

const DEADLINE_MS = 5000;
/** Headers of a GiB of flows are read from a slow disk. */
const PAST_MS = 20_000;
const MOST_NAMES = 10;

export type RelayFacts = {
  readonly pool: Pool;
  readonly nodeName: string;
  readonly version: string;
  /** When its own certificate ends, in milliseconds since the epoch; undefined: it has none. */
  readonly certificate?: () => number | undefined;
};

export const relayHandlers = ({ pool, nodeName, version, certificate }: RelayFacts): readonly Handler[] => [
  raw(observer.getFlows, (request, call) => flowsOfAll(pool, nodeName, request, call)),
  unary(observer.getNodes, async (_, { signal }) => ({ nodes: await Promise.all(pool.peers().map((peer) => nodeOf(peer, signal))) })),
  unary(observer.getNamespaces, async (_, call) => {
    const lists = await ofEach(pool, call, async ({ client }, signal) => {
      const { namespaces = [] } = await client.call(observer.getNamespaces, {}, { deadlineMs: DEADLINE_MS, signal });
      return namespaces;
    });
    return { namespaces: unionOf(lists) };
  }),
  unary(observer.serverStatus, async (_, call) => {
    const peers = pool.peers();
    const fresh = await ofEach(pool, call, async (peer, signal) => ({ peer, status: await statusOf(peer, signal) }));
    const missing = peers.filter((peer) => !fresh.some((one) => one.peer.name === peer.name)).map(({ name }) => name);
    const statuses = fresh.map(({ status }) => status);
    return { ...sumOf(statuses), ...countOf(peers.length, missing), version, certificateUntil: firstEnd(statuses, certificate?.()) };
  }),
  unary(getHistogram, async (request, call) => {
    const all = await ofEach(pool, call, ({ client }, signal) => client.call(getHistogram, request, { deadlineMs: PAST_MS, signal }));
    const missing = pool.peers().length - all.length;
    if (missing > 0) throw new RpcError(Status.UNAVAILABLE, `${missing} of ${pool.peers().length} nodes have no history, or do not answer`);
    return histogramOfAll(all);
  }),
];

const statusOf = ({ client }: Peer, signal: AbortSignal): Promise<ServerStatus> =>
  client.call(observer.serverStatus, {}, { deadlineMs: DEADLINE_MS, signal });

/** What peers answer; those that do not are left out, and those that are known not to are not asked. */
async function ofEach<T>(pool: Pool, { signal }: Call, ask: (peer: Peer, signal: AbortSignal) => Promise<T>): Promise<readonly T[]> {
  const asked = pool.peers().filter(({ trouble }) => trouble === undefined);
  const answers = await Promise.allSettled(asked.map((peer) => ask(peer, signal)));
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}

async function nodeOf(peer: Peer, signal: AbortSignal): Promise<HubbleNode> {
  const { name, address, serverName } = peer;
  const node = { name, address, tls: { enabled: serverName !== undefined, serverName } };
  if (peer.trouble !== undefined) return { ...node, state: stateOf(peer) };
  try {
    const { version, uptimeNs, numFlows, maxFlows, seenFlows } = await statusOf(peer, signal);
    return { ...node, state: NodeState.NODE_CONNECTED, version, uptimeNs, numFlows, maxFlows, seenFlows };
  } catch {
    return { ...node, state: NodeState.NODE_ERROR };
  }
}

function sumOf(all: readonly ServerStatus[]): ServerStatus {
  const sum = (of: (status: ServerStatus) => number | undefined) => all.reduce((total, status) => total + (of(status) ?? 0), 0);
  return {
    numFlows: sum(({ numFlows }) => numFlows),
    maxFlows: sum(({ maxFlows }) => maxFlows),
    seenFlows: sum(({ seenFlows }) => seenFlows),
    uptimeNs: Math.max(0, ...all.map(({ uptimeNs = 0 }) => uptimeNs)),
    flowsRate: sum(({ flowsRate }) => flowsRate),
  };
}

/** The earliest of those that there are. */
function firstEnd(all: readonly ServerStatus[], own: number | undefined): ServerStatus['certificateUntil'] {
  const ends = all.flatMap(({ certificateUntil }) => certificateUntil ?? []);
  if (own !== undefined) ends.push(BigInt(own) * 1_000_000n);
  return ends.length === 0 ? undefined : ends.reduce((least, one) => (one < least ? one : least));
}

const countOf = (peers: number, missing: readonly string[]): ServerStatus => ({
  numConnectedNodes: peers - missing.length,
  numUnavailableNodes: missing.length,
  unavailableNodes: missing.slice(0, MOST_NAMES),
});
