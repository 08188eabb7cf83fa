// SPDX-License-Identifier: Apache-2.0
// `observer.Observer`, what agents and relay answer to clients of Hubble; with its messages.

import type { AgentEvent, DebugEvent, Flow, LostEvent, Nanoseconds } from '../flows/flow.ts';
import { bool, choice, count, double, manyNested, nested, oneOf, string, strings } from '../grpc/fields.ts';
import { message } from '../grpc/message.ts';
import type { Codec, EnumType } from '../grpc/message.ts';
import type { Method } from '../grpc/method.ts';
import { fieldMask, timestamp, uint32Value } from '../grpc/well-known.ts';
import { agentEvent, debugEvent, lostEvent } from './event-messages.ts';
import { flowFilter } from './filter-message.ts';
import type { FlowFilter } from './filter-message.ts';
import { flow } from './flow-messages.ts';

export const NodeState = { UNKNOWN_NODE_STATE: 0, NODE_CONNECTED: 1, NODE_UNAVAILABLE: 2, NODE_GONE: 3, NODE_ERROR: 4 } as const;
export type NodeState = (typeof NodeState)[keyof typeof NodeState];
const nodeState: EnumType = { name: 'relay.NodeState', values: NodeState };

export type NodeStatusEvent = {
  readonly stateChange?: NodeState | undefined;
  readonly nodeNames?: readonly string[] | undefined;
  readonly message?: string | undefined;
};
const nodeStatusEvent = message<NodeStatusEvent>('relay.NodeStatusEvent', {
  stateChange: choice(1, nodeState),
  nodeNames: strings(2),
  message: string(3),
});

export type GetFlowsRequest = {
  /** Undefined, 0: see `FlowQuery`. Beyond the safe integers: all. */
  readonly number?: number | undefined;
  readonly first?: boolean | undefined;
  readonly follow?: boolean | undefined;
  readonly since?: Nanoseconds | undefined;
  readonly until?: Nanoseconds | undefined;
  readonly whitelist?: readonly FlowFilter[] | undefined;
  readonly blacklist?: readonly FlowFilter[] | undefined;
  /** Paths of the fields that are wanted; all without it. */
  readonly fieldMask?: readonly string[] | undefined;
};
export const getFlowsRequest = message<GetFlowsRequest>('observer.GetFlowsRequest', {
  number: count(1),
  first: bool(9),
  follow: bool(3),
  since: timestamp(7),
  until: timestamp(8),
  whitelist: manyNested(6, flowFilter),
  blacklist: manyNested(5, flowFilter),
  fieldMask: fieldMask(10),
});

/** One of `flow`, `nodeStatus`, `lostEvents`. */
export type GetFlowsResponse = {
  readonly flow?: Flow | undefined;
  readonly nodeStatus?: NodeStatusEvent | undefined;
  readonly lostEvents?: LostEvent | undefined;
  readonly nodeName?: string | undefined;
  readonly time?: Nanoseconds | undefined;
};
/** With flows as `flow` writes them. */
export const getFlowsResponseWith = (of: Codec<Flow>): Codec<GetFlowsResponse> =>
  message<GetFlowsResponse>('observer.GetFlowsResponse', {
    flow: oneOf('response_types', nested(1, of)),
    nodeStatus: oneOf('response_types', nested(2, nodeStatusEvent)),
    lostEvents: oneOf('response_types', nested(3, lostEvent)),
    nodeName: string(1000),
    time: timestamp(1001),
  });
export const getFlowsResponse = getFlowsResponseWith(flow);

export type EventsRequest = {
  readonly number?: number | undefined;
  readonly follow?: boolean | undefined;
  readonly since?: Nanoseconds | undefined;
  readonly until?: Nanoseconds | undefined;
  readonly first?: boolean | undefined;
};
const eventsRequest = (name: string) =>
  message<EventsRequest>(name, { number: count(1), follow: bool(2), since: timestamp(7), until: timestamp(8), first: bool(9) });

type GetAgentEventsResponse = {
  readonly agentEvent?: AgentEvent | undefined;
  readonly nodeName?: string | undefined;
  readonly time?: Nanoseconds | undefined;
};
const getAgentEventsResponse = message<GetAgentEventsResponse>('observer.GetAgentEventsResponse', {
  agentEvent: nested(1, agentEvent),
  nodeName: string(1000),
  time: timestamp(1001),
});

type GetDebugEventsResponse = {
  readonly debugEvent?: DebugEvent | undefined;
  readonly nodeName?: string | undefined;
  readonly time?: Nanoseconds | undefined;
};
const getDebugEventsResponse = message<GetDebugEventsResponse>('observer.GetDebugEventsResponse', {
  debugEvent: nested(1, debugEvent),
  nodeName: string(1000),
  time: timestamp(1001),
});

type Nothing = Readonly<Record<string, never>>;

export type ServerStatus = {
  readonly numFlows?: number | undefined;
  readonly maxFlows?: number | undefined;
  readonly seenFlows?: number | undefined;
  readonly uptimeNs?: number | undefined;
  /** Only a relay knows of nodes. */
  readonly numConnectedNodes?: number | undefined;
  readonly numUnavailableNodes?: number | undefined;
  readonly unavailableNodes?: readonly string[] | undefined;
  readonly version?: string | undefined;
  readonly flowsRate?: number | undefined;
  /** When the first certificate ends of those that agents and relays show each other. Hubble has no such field. */
  readonly certificateUntil?: Nanoseconds | undefined;
};
const serverStatus = message<ServerStatus>('observer.ServerStatusResponse', {
  numFlows: count(1),
  maxFlows: count(2),
  seenFlows: count(3),
  uptimeNs: count(4),
  numConnectedNodes: uint32Value(5),
  numUnavailableNodes: uint32Value(6),
  unavailableNodes: strings(7),
  version: string(8),
  flowsRate: double(9),
  certificateUntil: timestamp(150_000),
});

type NodeTls = { readonly enabled?: boolean | undefined; readonly serverName?: string | undefined };

export type HubbleNode = {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly address?: string | undefined;
  readonly state?: NodeState | undefined;
  readonly tls?: NodeTls | undefined;
  readonly uptimeNs?: number | undefined;
  readonly numFlows?: number | undefined;
  readonly maxFlows?: number | undefined;
  readonly seenFlows?: number | undefined;
};
const node = message<HubbleNode>('observer.Node', {
  name: string(1),
  version: string(2),
  address: string(3),
  state: choice(4, nodeState),
  tls: nested(5, message<NodeTls>('observer.TLS', { enabled: bool(1), serverName: string(2) })),
  uptimeNs: count(6),
  numFlows: count(7),
  maxFlows: count(8),
  seenFlows: count(9),
});
export type GetNodesResponse = { readonly nodes?: readonly HubbleNode[] | undefined };

export type HubbleNamespace = { readonly cluster?: string | undefined; readonly namespace?: string | undefined };
const namespace = message<HubbleNamespace>('observer.Namespace', { cluster: string(1), namespace: string(2) });
export type GetNamespacesResponse = { readonly namespaces?: readonly HubbleNamespace[] | undefined };

const method = <Req, Res>(name: string, streams: boolean, request: Codec<Req>, response: Codec<Res>): Method<Req, Res> => ({
  service: 'observer.Observer',
  name,
  request,
  response,
  streams,
});
const nothing = (name: string): Codec<Nothing> => message<Nothing>(`observer.${name}Request`, {});

/** `observer.Observer`. An agent has no GetNodes, a relay no GetAgentEvents and no GetDebugEvents. */
export const observer = {
  getFlows: method('GetFlows', true, getFlowsRequest, getFlowsResponse),
  getAgentEvents: method('GetAgentEvents', true, eventsRequest('observer.GetAgentEventsRequest'), getAgentEventsResponse),
  getDebugEvents: method('GetDebugEvents', true, eventsRequest('observer.GetDebugEventsRequest'), getDebugEventsResponse),
  getNodes: method(
    'GetNodes',
    false,
    nothing('GetNodes'),
    message<GetNodesResponse>('observer.GetNodesResponse', { nodes: manyNested(1, node) }),
  ),
  getNamespaces: method(
    'GetNamespaces',
    false,
    nothing('GetNamespaces'),
    message<GetNamespacesResponse>('observer.GetNamespacesResponse', { namespaces: manyNested(1, namespace) }),
  ),
  serverStatus: method('ServerStatus', false, nothing('ServerStatus'), serverStatus),
};
