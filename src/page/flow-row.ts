// SPDX-License-Identifier: Apache-2.0
// A flow as a line of the page's table: what columns show, and what leads to the rest.

import { dropReasonTexts } from '../flows/drop-reasons.ts';
import {
  enumName,
  L7FlowType,
  MessageType,
  SocketTranslationPoint,
  TraceObservationPoint,
  TrafficDirection,
  Verdict,
} from '../flows/flow-enums.ts';
import type { Flow, FlowEndpoint, FlowPolicy, FlowService, Layer4, Layer7 } from '../flows/flow.ts';
import { endOf } from './ends.ts';

export type RowEnd = {
  /** Of the node on the map. */
  readonly id: string;
  readonly namespace?: string | undefined;
  readonly pod?: string | undefined;
  /** 'shop/cart': the service that was asked for. */
  readonly service?: string | undefined;
  readonly names?: readonly string[] | undefined;
  readonly ip?: string | undefined;
  readonly port?: number | undefined;
  readonly identity?: number | undefined;
};

export type FlowRow = {
  /** Uuid, or what is as good where there is none. */
  readonly id: string;
  /** Nanoseconds since the epoch, in decimal. */
  readonly time: string;
  readonly node: string;
  readonly verdict: string;
  /** Why it was dropped, in words. */
  readonly reason?: string | undefined;
  readonly source: RowEnd;
  readonly destination: RowEnd;
  /** True: from the one that was asked. */
  readonly reply?: boolean | undefined;
  readonly direction?: 'ingress' | 'egress' | undefined;
  readonly protocol: string;
  readonly layer7?: string | undefined;
  /** Where it was seen: 'to-endpoint', 'drop', 'http response'. */
  readonly event: string;
  readonly summary: string;
  /** Milliseconds. */
  readonly latency?: number | undefined;
  readonly status?: number | undefined;
  /** Policies that decided. */
  readonly policies?: readonly string[] | undefined;
};

export function rowOf(flow: Flow): FlowRow {
  const { time, uuid, nodeName, verdict, l4, l7, isReply, trafficDirection, summary } = flow;
  const reason = verdict === Verdict.DROPPED ? dropText(flow.dropReasonDesc ?? flow.dropReason ?? 0) : undefined;
  const policies = policiesOf(flow);
  const record = l7?.record;
  return {
    id: uuid || `${time}/${nodeName}`,
    time: String(time),
    node: nodeName,
    verdict: enumName(Verdict, verdict).toLowerCase(),
    ...(reason !== undefined && { reason }),
    source: rowEnd(flow, 'source'),
    destination: rowEnd(flow, 'destination'),
    ...(isReply !== undefined && { reply: isReply }),
    ...(trafficDirection && { direction: trafficDirection === TrafficDirection.INGRESS ? 'ingress' : 'egress' }),
    protocol: l4?.kind ?? (flow.ip ? 'IP' : 'Ethernet'),
    ...(record && { layer7: record.kind.toUpperCase() }),
    event: eventText(flow),
    summary,
    ...latencyOf(l7),
    ...(record?.kind === 'http' && record.code && { status: record.code }),
    ...(policies.length > 0 && { policies }),
  };
}

const dropText = (reason: number): string => dropReasonTexts[reason] ?? `reason ${reason}`;

function latencyOf(l7: Layer7 | undefined): { readonly latency?: number } {
  return l7?.latencyNs ? { latency: Number(l7.latencyNs) / 1e6 } : {};
}

type Side = {
  readonly endpoint: FlowEndpoint | undefined;
  readonly service: FlowService | undefined;
  readonly names: readonly string[] | undefined;
  readonly ip: string | undefined;
};

function rowEnd(flow: Flow, which: 'source' | 'destination'): RowEnd {
  const { endpoint, service, names, ip }: Side =
    which === 'source'
      ? { endpoint: flow.source, service: flow.sourceService, names: flow.sourceNames, ip: flow.ip?.source }
      : { endpoint: flow.destination, service: flow.destinationService, names: flow.destinationNames, ip: flow.ip?.destination };
  const port = portOf(flow.l4, which);
  return {
    id: endOf(endpoint, names).id,
    ...(endpoint?.namespace && { namespace: endpoint.namespace }),
    ...(endpoint?.podName && { pod: endpoint.podName }),
    ...(service?.name && { service: `${service.namespace ?? ''}/${service.name}` }),
    ...(names && names.length > 0 && { names }),
    ...(ip && { ip }),
    ...(port && { port }),
    ...(endpoint?.identity && { identity: endpoint.identity }),
  };
}

function portOf(l4: Layer4 | undefined, which: 'source' | 'destination'): number | undefined {
  if (l4?.kind !== 'TCP' && l4?.kind !== 'UDP' && l4?.kind !== 'SCTP') return undefined;
  return which === 'source' ? l4.sourcePort : l4.destinationPort;
}

/** The names of a closed set as the command line spells them. */
const word = (name: string) => name.toLowerCase().replaceAll('_', '-');

function eventText({ eventType, l7, traceObservationPoint = 0, sockXlatePoint = 0 }: Flow): string {
  switch (eventType?.type ?? MessageType.UNSPECIFIED) {
    case MessageType.L7:
      return `${l7?.record?.kind ?? 'l7'} ${word(enumName(L7FlowType, l7?.type ?? 0))}`;
    case MessageType.TRACE:
      return word(enumName(TraceObservationPoint, traceObservationPoint));
    case MessageType.DROP:
      return 'drop';
    case MessageType.POLICY_VERDICT:
      return 'policy verdict';
    case MessageType.TRACE_SOCK:
      return word(enumName(SocketTranslationPoint, sockXlatePoint).replace('SOCK_XLATE_POINT_', '').replace('DIRECTION_', ''));
  }
  return 'event';
}

function policiesOf({ egressAllowedBy, ingressAllowedBy, egressDeniedBy, ingressDeniedBy }: Flow): readonly string[] {
  const text = ({ namespace, name }: FlowPolicy) => (namespace ? `${namespace}/${name ?? ''}` : (name ?? ''));
  return [egressDeniedBy, ingressDeniedBy, egressAllowedBy, ingressAllowedBy].flatMap((some) => (some ?? []).map(text));
}
