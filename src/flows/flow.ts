// SPDX-License-Identifier: Apache-2.0
// A flow: what one packet, or one request inside a connection, was seen to do at one place. Fields have the names of Hubble's
// `flow.Flow`, in camel case; a flow never changes once it is made.
//
// Absent means unknown or not applicable, and zero, '' and absent are one on the wire, but for what is marked (a wrapper there).
// Times are nanoseconds since the Unix epoch. A flow that comes from elsewhere through a field mask may lack anything.

import type { DropReason } from './drop-reasons.ts';
import type {
  AgentEventType,
  AuthType,
  DebugCapturePoint,
  FlowType,
  IpVersion,
  L7FlowType,
  LostEventSource,
  SocketTranslationPoint,
  TraceObservationPoint,
  TraceReason,
  TrafficDirection,
  TunnelProtocol,
  Verdict,
} from './flow-enums.ts';

/** Nanoseconds since the Unix epoch. */
export type Nanoseconds = bigint;

export type Flow = {
  readonly time: Nanoseconds;
  readonly uuid: string;
  readonly emitter?: Emitter | undefined;
  readonly verdict: Verdict;
  /** Twin of `dropReasonDesc` for old clients: both are set. */
  readonly dropReason?: number | undefined;
  readonly authType?: AuthType | undefined;
  /** Shown only where `ip` is absent. */
  readonly ethernet?: Ethernet | undefined;
  readonly ip?: IpHeader | undefined;
  readonly l4?: Layer4 | undefined;
  /** The outer header, where the packet was in an envelope. */
  readonly tunnel?: Tunnel | undefined;
  readonly source?: FlowEndpoint | undefined;
  readonly destination?: FlowEndpoint | undefined;
  readonly type: FlowType;
  /** 'cluster/node', also where the cluster is `default`. */
  readonly nodeName: string;
  /** 'key=value', sorted: of the node that saw it. */
  readonly nodeLabels?: readonly string[] | undefined;
  readonly sourceNames?: readonly string[] | undefined;
  readonly destinationNames?: readonly string[] | undefined;
  /** Iff `type` is L7. */
  readonly l7?: Layer7 | undefined;
  /** Twin of `isReply` for old clients, with false for unknown: both are set. */
  readonly reply?: boolean | undefined;
  /** False is another than absent: undefined is unknown. */
  readonly isReply?: boolean | undefined;
  readonly eventType?: EventType | undefined;
  readonly sourceService?: FlowService | undefined;
  readonly destinationService?: FlowService | undefined;
  readonly trafficDirection?: TrafficDirection | undefined;
  readonly policyMatchType?: number | undefined;
  readonly traceObservationPoint?: TraceObservationPoint | undefined;
  readonly traceReason?: TraceReason | undefined;
  /** Where in the data plane's source it was dropped. */
  readonly file?: FileInfo | undefined;
  readonly dropReasonDesc?: DropReason | undefined;
  readonly debugCapturePoint?: DebugCapturePoint | undefined;
  readonly interface?: NetworkInterface | undefined;
  readonly proxyPort?: number | undefined;
  readonly traceContext?: TraceContext | undefined;
  readonly sockXlatePoint?: SocketTranslationPoint | undefined;
  readonly socketCookie?: bigint | undefined;
  readonly cgroupId?: bigint | undefined;
  readonly ipTraceId?: IpTraceId | undefined;
  /** What stands in parentheses on the line of a client, word for word. */
  readonly summary: string;
  readonly extensions?: Any | undefined;
  readonly egressAllowedBy?: readonly FlowPolicy[] | undefined;
  readonly ingressAllowedBy?: readonly FlowPolicy[] | undefined;
  readonly egressDeniedBy?: readonly FlowPolicy[] | undefined;
  readonly ingressDeniedBy?: readonly FlowPolicy[] | undefined;
  readonly policyLog?: readonly string[] | undefined;
  readonly aggregate?: Aggregate | undefined;
};

export type FlowEndpoint = {
  /** Of an endpoint of this node. */
  readonly id?: number | undefined;
  readonly identity?: number | undefined;
  readonly clusterName?: string | undefined;
  readonly namespace?: string | undefined;
  /** 'k8s:app=x', 'reserved:world'; sorted. */
  readonly labels?: readonly string[] | undefined;
  readonly podName?: string | undefined;
  readonly workloads?: readonly Workload[] | undefined;
};

export type Workload = { readonly name?: string | undefined; readonly kind?: string | undefined };

export type IpHeader = {
  readonly source?: string | undefined;
  /** The source on the wire after masquerade; `source` is the one before then. */
  readonly sourceXlated?: string | undefined;
  readonly destination?: string | undefined;
  readonly ipVersion?: IpVersion | undefined;
  readonly encrypted?: boolean | undefined;
};

export type Ethernet = { readonly source?: string | undefined; readonly destination?: string | undefined };

export type Layer4 =
  | ({ readonly kind: 'TCP' } & Ports & { /** Bits of `TcpFlag`. */ readonly flags?: number | undefined })
  | ({ readonly kind: 'UDP' } & Ports)
  | ({ readonly kind: 'SCTP' } & Ports)
  | ({ readonly kind: 'ICMPv4' } & Icmp)
  | ({ readonly kind: 'ICMPv6' } & Icmp)
  | {
      readonly kind: 'VRRP';
      readonly type?: number | undefined;
      readonly vrid?: number | undefined;
      readonly priority?: number | undefined;
    }
  | { readonly kind: 'IGMP'; readonly type?: number | undefined; readonly groupAddress?: string | undefined };

type Icmp = { readonly type?: number | undefined; readonly code?: number | undefined };
type Ports = { readonly sourcePort?: number | undefined; readonly destinationPort?: number | undefined };

/** Bits of a TCP header; bit n is field n + 1 of Hubble's `TCPFlags`. */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128, NS: 256 } as const;

export type Tunnel = {
  readonly protocol?: TunnelProtocol | undefined;
  readonly ip?: IpHeader | undefined;
  readonly l4?: Layer4 | undefined;
  readonly vni?: number | undefined;
};

export type Layer7 = {
  readonly type?: L7FlowType | undefined;
  readonly latencyNs?: bigint | undefined;
  readonly record?: L7Record | undefined;
};

export type L7Record = ({ readonly kind: 'dns' } & Dns) | ({ readonly kind: 'http' } & Http) | ({ readonly kind: 'kafka' } & Kafka);

export type Dns = {
  readonly query?: string | undefined;
  readonly ips?: readonly string[] | undefined;
  readonly ttl?: number | undefined;
  readonly cnames?: readonly string[] | undefined;
  readonly observationSource?: string | undefined;
  readonly rcode?: number | undefined;
  readonly qtypes?: readonly string[] | undefined;
  readonly rrtypes?: readonly string[] | undefined;
};

export type HttpHeader = { readonly key?: string | undefined; readonly value?: string | undefined };

export type Http = {
  readonly code?: number | undefined;
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly protocol?: string | undefined;
  readonly headers?: readonly HttpHeader[] | undefined;
};

export type Kafka = {
  readonly errorCode?: number | undefined;
  readonly apiVersion?: number | undefined;
  readonly apiKey?: string | undefined;
  readonly correlationId?: number | undefined;
  readonly topic?: string | undefined;
};

/** `type` is one of `MessageType`; what `subType` says depends on it. */
export type EventType = { readonly type?: number | undefined; readonly subType?: number | undefined };

export type TraceContext = { readonly parent?: { readonly traceId?: string | undefined } | undefined };
export type FlowService = { readonly name?: string | undefined; readonly namespace?: string | undefined };
export type FileInfo = { readonly name?: string | undefined; readonly line?: number | undefined };
export type NetworkInterface = { readonly index?: number | undefined; readonly name?: string | undefined };
export type IpTraceId = { readonly traceId?: bigint | undefined; readonly ipOptionType?: number | undefined };
export type Emitter = { readonly name?: string | undefined; readonly version?: string | undefined };
export type Any = { readonly typeUrl?: string | undefined; readonly value?: Uint8Array | undefined };

export type FlowPolicy = {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly revision?: bigint | undefined;
  readonly kind?: string | undefined;
};

export type Aggregate = {
  readonly ingressFlowCount?: number | undefined;
  readonly egressFlowCount?: number | undefined;
  readonly unknownDirectionFlowCount?: number | undefined;
};

/** Flows that there were, and that nobody will see. */
export type LostEvent = {
  readonly source?: LostEventSource | undefined;
  readonly numEventsLost?: bigint | undefined;
  /** A wrapper: CPU 0 is another than none. */
  readonly cpu?: number | undefined;
  readonly first?: Nanoseconds | undefined;
  readonly last?: Nanoseconds | undefined;
};

/** What the agent itself did. */
export type AgentEvent = { readonly type?: AgentEventType | undefined; readonly notification?: AgentNotification | undefined };

type EndpointNotification = {
  readonly id?: bigint | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly error?: string | undefined;
};

export type AgentNotification =
  | { readonly kind: 'unknown'; readonly type?: string | undefined; readonly notification?: string | undefined }
  | { readonly kind: 'agentStart'; readonly time?: Nanoseconds | undefined }
  | {
      readonly kind: 'policyUpdate';
      readonly labels?: readonly string[] | undefined;
      readonly revision?: bigint | undefined;
      readonly ruleCount?: bigint | undefined;
    }
  | ({ readonly kind: 'endpointRegenerate' } & EndpointNotification)
  | ({
      readonly kind: 'endpointUpdate';
      readonly podName?: string | undefined;
      readonly namespace?: string | undefined;
    } & EndpointNotification)
  | {
      readonly kind: 'ipcacheUpdate';
      readonly cidr?: string | undefined;
      readonly identity?: number | undefined;
      readonly oldIdentity?: number | undefined;
      readonly hostIp?: string | undefined;
      readonly oldHostIp?: string | undefined;
      readonly encryptKey?: number | undefined;
      readonly namespace?: string | undefined;
      readonly podName?: string | undefined;
    };

/** A message of the data plane to whoever mends it. */
export type DebugEvent = {
  readonly type?: number | undefined;
  readonly source?: FlowEndpoint | undefined;
  readonly hash?: number | undefined;
  readonly arg1?: number | undefined;
  readonly arg2?: number | undefined;
  readonly arg3?: number | undefined;
  readonly message?: string | undefined;
  readonly cpu?: number | undefined;
};
