// SPDX-License-Identifier: Apache-2.0
// What one flow says of the service map. A packet is seen at several places on its way, so each count is kept by place, and a link
// has as many connections as the place that saw most: the pod that takes them sees all of a cluster's, the wire all that leave it.

import { FlowType, L7FlowType, MessageType, TraceObservationPoint, TraceReason, TrafficDirection, Verdict } from '../flows/flow-enums.ts';
import { TcpFlag } from '../flows/flow.ts';
import type { Flow, L7Record, Layer4 } from '../flows/flow.ts';
import { endOf } from './ends.ts';
import type { End } from './ends.ts';
import type { Layer7Name } from './graph.ts';

export type SightingKind = 'connection' | 'request' | 'error' | 'drop' | 'audit';

export type Sighting = {
  readonly from: End;
  readonly to: End;
  readonly protocol: string;
  readonly port: number;
  readonly layer7: Layer7Name | undefined;
  readonly kind: SightingKind;
  /** 0 to PLACES - 1. */
  readonly place: number;
  readonly latencyNs: number | undefined;
  readonly reason: number | undefined;
};

export const PLACES = 4;

/** Undefined: it says nothing that is counted. */
export function sightingOf(flow: Flow): Sighting | undefined {
  const kind = kindOf(flow);
  if (kind === undefined) return undefined;
  const { source, destination, sourceNames, destinationNames, l4, l7, isReply, dropReasonDesc, dropReason } = flow;
  const [a, b] = [endOf(source, sourceNames), endOf(destination, destinationNames)];
  const turned = isReply === true;
  const latency = l7?.latencyNs === undefined ? undefined : Number(l7.latencyNs);
  return {
    from: turned ? b : a,
    to: turned ? a : b,
    protocol: l4?.kind ?? 'IP',
    port: portOf(l4, turned),
    layer7: l7?.record && layer7Names[l7.record.kind],
    kind,
    place: placeOf(flow),
    latencyNs: kind === 'drop' || latency === 0 ? undefined : latency,
    reason: kind === 'drop' ? (dropReasonDesc ?? dropReason) : undefined,
  };
}

const layer7Names = { http: 'HTTP', dns: 'DNS', kafka: 'Kafka' } as const;

function portOf(l4: Layer4 | undefined, turned: boolean): number {
  if (l4 === undefined || !('sourcePort' in l4 || 'destinationPort' in l4)) return 0;
  return (turned ? l4.sourcePort : l4.destinationPort) ?? 0;
}

function kindOf({ verdict, type, l7, l4, isReply, traceReason, eventType }: Flow): SightingKind | undefined {
  if (type === FlowType.SOCK) return undefined; // the packets that follow are seen, too
  if (type === FlowType.L7) return verdict === Verdict.DROPPED ? 'drop' : requestKind(l7?.type, l7?.record, verdict);
  if (eventType?.type === MessageType.POLICY_VERDICT) return verdict === Verdict.AUDIT ? 'audit' : undefined; // the drop itself is seen, too
  if (verdict === Verdict.DROPPED) return 'drop';
  if (isReply === true || (verdict !== Verdict.FORWARDED && verdict !== Verdict.REDIRECTED)) return undefined;
  if (traceReason === undefined || traceReason === TraceReason.TRACE_REASON_UNKNOWN) return opens(l4) ? 'connection' : undefined;
  return traceReason === TraceReason.NEW ? 'connection' : undefined;
}

function opens(l4: Layer4 | undefined): boolean {
  if (l4?.kind !== 'TCP') return true;
  const { flags = 0 } = l4;
  return (flags & TcpFlag.SYN) !== 0 && (flags & TcpFlag.ACK) === 0;
}

/** An answer tells of the whole request. */
function requestKind(type: number | undefined, record: L7Record | undefined, verdict: Verdict): SightingKind | undefined {
  if (type !== L7FlowType.RESPONSE) return undefined;
  return verdict === Verdict.ERROR || isFailure(record) ? 'error' : 'request';
}

const NO_ERROR = 0;
const NO_SUCH_NAME = 3; // a resolver with a search list asks for many that are not there

function isFailure(record: L7Record | undefined): boolean {
  if (record?.kind === 'http') return (record.code ?? 0) >= 500;
  if (record?.kind === 'dns') return (record.rcode ?? NO_ERROR) !== NO_ERROR && record.rcode !== NO_SUCH_NAME;
  return record?.kind === 'kafka' && (record.errorCode ?? 0) !== 0;
}

function placeOf({ type, traceObservationPoint: point, trafficDirection }: Flow): number {
  if (type === FlowType.L7) return trafficDirection === TrafficDirection.EGRESS ? 1 : 0;
  const at = TraceObservationPoint;
  if (point === at.TO_ENDPOINT) return 0;
  if (point === at.TO_NETWORK || point === at.TO_OVERLAY || point === at.TO_CRYPTO) return 1;
  return point === at.TO_STACK || point === at.TO_HOST || point === at.TO_PROXY ? 2 : 3;
}
