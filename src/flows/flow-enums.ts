// SPDX-License-Identifier: Apache-2.0
// The closed sets that a flow speaks in, with the names and numbers that Hubble clients know. A number that came from elsewhere
// may be in none of them, so whoever prints one says the number then.

/** A closed set of names, each with its number on the wire. */
export type Enum = Readonly<Record<string, number>>;

const names = new WeakMap<Enum, ReadonlyMap<number, string>>();

/** The name of `value`, or the number itself where the set has none. */
export function enumName(of: Enum, value: number): string {
  let byNumber = names.get(of);
  if (!byNumber) names.set(of, (byNumber = new Map(Object.entries(of).map(([name, number]) => [number, name]))));
  return byNumber.get(value) ?? String(value);
}

export const Verdict = {
  VERDICT_UNKNOWN: 0,
  FORWARDED: 1,
  DROPPED: 2,
  ERROR: 3,
  AUDIT: 4,
  REDIRECTED: 5,
  TRACED: 6,
  TRANSLATED: 7,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export const FlowType = { UNKNOWN_TYPE: 0, L3_L4: 1, L7: 2, SOCK: 3 } as const;
export type FlowType = (typeof FlowType)[keyof typeof FlowType];

export const L7FlowType = { UNKNOWN_L7_TYPE: 0, REQUEST: 1, RESPONSE: 2, SAMPLE: 3 } as const;
export type L7FlowType = (typeof L7FlowType)[keyof typeof L7FlowType];

export const IpVersion = { IP_NOT_USED: 0, IPv4: 1, IPv6: 2 } as const;
export type IpVersion = (typeof IpVersion)[keyof typeof IpVersion];

export const TrafficDirection = { TRAFFIC_DIRECTION_UNKNOWN: 0, INGRESS: 1, EGRESS: 2 } as const;
export type TrafficDirection = (typeof TrafficDirection)[keyof typeof TrafficDirection];

export const AuthType = { DISABLED: 0, SPIRE: 1, TEST_ALWAYS_FAIL: 2 } as const;
export type AuthType = (typeof AuthType)[keyof typeof AuthType];

export const TunnelProtocol = { UNKNOWN: 0, VXLAN: 1, GENEVE: 2 } as const;
export type TunnelProtocol = (typeof TunnelProtocol)[keyof typeof TunnelProtocol];

/** Beware: an event's sub type has 0 for TO_ENDPOINT. */
export const TraceObservationPoint = {
  UNKNOWN_POINT: 0,
  TO_PROXY: 1,
  TO_HOST: 2,
  TO_STACK: 3,
  TO_OVERLAY: 4,
  FROM_ENDPOINT: 5,
  FROM_PROXY: 6,
  FROM_HOST: 7,
  FROM_STACK: 8,
  FROM_OVERLAY: 9,
  FROM_NETWORK: 10,
  TO_NETWORK: 11,
  FROM_CRYPTO: 12,
  TO_CRYPTO: 13,
  TO_ENDPOINT: 101,
} as const;
export type TraceObservationPoint = (typeof TraceObservationPoint)[keyof typeof TraceObservationPoint];

export const TraceReason = {
  TRACE_REASON_UNKNOWN: 0,
  NEW: 1,
  ESTABLISHED: 2,
  REPLY: 3,
  RELATED: 4,
  REOPENED: 5,
  SRV6_ENCAP: 6,
  SRV6_DECAP: 7,
  ENCRYPT_OVERLAY: 8,
} as const;
export type TraceReason = (typeof TraceReason)[keyof typeof TraceReason];

export const SocketTranslationPoint = {
  SOCK_XLATE_POINT_UNKNOWN: 0,
  SOCK_XLATE_POINT_PRE_DIRECTION_FWD: 1,
  SOCK_XLATE_POINT_POST_DIRECTION_FWD: 2,
  SOCK_XLATE_POINT_PRE_DIRECTION_REV: 3,
  SOCK_XLATE_POINT_POST_DIRECTION_REV: 4,
} as const;
export type SocketTranslationPoint = (typeof SocketTranslationPoint)[keyof typeof SocketTranslationPoint];

export const DebugCapturePoint = {
  DBG_CAPTURE_POINT_UNKNOWN: 0,
  DBG_CAPTURE_DELIVERY: 4,
  DBG_CAPTURE_FROM_LB: 5,
  DBG_CAPTURE_AFTER_V46: 6,
  DBG_CAPTURE_AFTER_V64: 7,
  DBG_CAPTURE_PROXY_PRE: 8,
  DBG_CAPTURE_PROXY_POST: 9,
  DBG_CAPTURE_SNAT_PRE: 10,
  DBG_CAPTURE_SNAT_POST: 11,
} as const;
export type DebugCapturePoint = (typeof DebugCapturePoint)[keyof typeof DebugCapturePoint];

export const LostEventSource = {
  UNKNOWN_LOST_EVENT_SOURCE: 0,
  PERF_EVENT_RING_BUFFER: 1,
  OBSERVER_EVENTS_QUEUE: 2,
  HUBBLE_RING_BUFFER: 3,
} as const;
export type LostEventSource = (typeof LostEventSource)[keyof typeof LostEventSource];

export const AgentEventType = {
  AGENT_EVENT_UNKNOWN: 0,
  AGENT_STARTED: 2,
  POLICY_UPDATED: 3,
  POLICY_DELETED: 4,
  ENDPOINT_REGENERATE_SUCCESS: 5,
  ENDPOINT_REGENERATE_FAILURE: 6,
  ENDPOINT_CREATED: 7,
  ENDPOINT_DELETED: 8,
  IPCACHE_UPSERTED: 9,
  IPCACHE_DELETED: 10,
  SERVICE_UPSERTED: 11,
  SERVICE_DELETED: 12,
} as const;
export type AgentEventType = (typeof AgentEventType)[keyof typeof AgentEventType];

/** `eventType.type`: the kinds of message that the data plane has, as Cilium's monitor numbers them. */
export const MessageType = {
  UNSPECIFIED: 0,
  DROP: 1,
  DEBUG: 2,
  CAPTURE: 3,
  TRACE: 4,
  POLICY_VERDICT: 5,
  TRACE_SOCK: 7,
  L7: 129,
  AGENT: 130,
} as const;
