// SPDX-License-Identifier: Apache-2.0
// Flows as Hubble's servers tell them: the relay's, for the whole cluster.

import type { GrpcClient } from '../grpc/client.ts';

import { enumName, LostEventSource } from '../flows/flow-enums.ts';
import { RpcError } from '../grpc/status.ts';
import { getHistogram } from '../hubble/history.ts';
import { NodeState, observer } from '../hubble/observer.ts';
import type { GetFlowsResponse, HubbleNode } from '../hubble/observer.ts';
import type { NodeHealth } from '../page/api.ts';
import type { Bucket } from '../page/graph.ts';
import { certificateBook } from './certificates.ts';
import type { Losses } from './health.ts';
import { nanos } from './reading.ts';
import type { FlowAnswer, FlowSource, Past } from './source.ts';

export type GrpcSource = FlowSource & { readonly losses: () => Losses };

const DEADLINE_MS = 10_000;
const PAST_MS = 25_000;

/** `address`: for people. */
export function grpcSource(client: GrpcClient, address: string): GrpcSource {
  const losses = new Map<string, Losses[number]>();
  const options = (signal: AbortSignal) => ({ signal, deadlineMs: DEADLINE_MS });

  function noted(answer: FlowAnswer): FlowAnswer {
    if (answer.kind !== 'lost') return answer;
    const { node, lost } = answer;
    const source = enumName(LostEventSource, lost.source ?? 0)
      .toLowerCase()
      .replaceAll('_', ' ');
    const before = losses.get(`${node} ${source}`)?.lost ?? 0;
    losses.set(`${node} ${source}`, { node, source, lost: before + Number(lost.numEventsLost ?? 0n), last: Date.now() });
    return answer;
  }

  return {
    address,
    certificates: certificateBook(),
    losses: () => [...losses.values()],
    async *flows(request, signal) {
      for await (const batch of client.stream(observer.getFlows, request, { signal }))
        for (const response of batch) {
          const answer = answerOf(response);
          if (answer) yield noted(answer);
        }
    },
    histogram: (past, buckets, signal) => histogramFrom(client, past, buckets, signal),
    async namespaces(signal) {
      const { namespaces = [] } = await client.call(observer.getNamespaces, {}, options(signal));
      return [...new Set(namespaces.flatMap(({ namespace }) => namespace || []))];
    },
    async status(signal) {
      const { version, flowsRate } = await client.call(observer.serverStatus, {}, options(signal));
      return { version, flowsRate };
    },
    async nodes(signal) {
      const { nodes = [] } = await client.call(observer.getNodes, {}, options(signal));
      return nodes.map(nodeOf);
    },
  };
}

/** Undefined: the server is Hubble's, or a node has no history. */
async function histogramFrom(
  client: GrpcClient,
  { since, until }: Past,
  parts: number,
  signal: AbortSignal,
): Promise<readonly Bucket[] | undefined> {
  try {
    const request = { since: nanos(since), until: nanos(until), buckets: parts };
    const { buckets = [] } = await client.call(getHistogram, request, { signal, deadlineMs: PAST_MS });
    return buckets.map(({ since: start = 0n, forwarded = 0, dropped = 0 }) => ({
      start: Number(start / 1_000_000n),
      forwarded,
      dropped,
      errors: 0,
    }));
  } catch (error) {
    if (error instanceof RpcError) return undefined;
    throw error;
  }
}

function answerOf({ flow, lostEvents, nodeStatus, nodeName = '' }: GetFlowsResponse): FlowAnswer | undefined {
  if (flow) return { kind: 'flow', flow };
  if (lostEvents) return { kind: 'lost', node: nodeName, lost: lostEvents };
  if (!nodeStatus) return undefined;
  const { stateChange, nodeNames = [], message } = nodeStatus;
  return { kind: 'nodes', connected: stateChange === NodeState.NODE_CONNECTED, names: nodeNames, ...(message && { message }) };
}

const states: Readonly<Record<number, NodeHealth['state']>> = {
  [NodeState.NODE_CONNECTED]: 'connected',
  [NodeState.NODE_UNAVAILABLE]: 'unavailable',
  [NodeState.NODE_GONE]: 'gone',
  [NodeState.NODE_ERROR]: 'error',
};

function nodeOf({
  name = '',
  version,
  address,
  state = 0,
  tls,
  uptimeNs,
  numFlows = 0,
  maxFlows = 0,
  seenFlows = 0,
}: HubbleNode): NodeHealth {
  return {
    name,
    state: states[state] ?? 'unknown',
    ...(version && { version }),
    ...(address && { address }),
    ...(uptimeNs !== undefined && { uptimeMs: uptimeNs / 1e6 }),
    flows: numFlows,
    capacity: maxFlows,
    seen: seenFlows,
    tls: tls?.enabled === true,
  };
}
