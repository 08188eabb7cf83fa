// SPDX-License-Identifier: Apache-2.0
// `flow.FlowFilter`: which flows are wanted. All fields that are set have to match, of each any one value. filter.ts makes a
// predicate of it.

import type { EventType, HttpHeader, NetworkInterface, Workload } from '../flows/flow.ts';
import type { IpVersion, TrafficDirection, Verdict } from '../flows/flow-enums.ts';
import type { DropReason } from '../flows/drop-reasons.ts';
import { bool, bools, choices, int32, manyNested, nested, strings, uint32s, uint64s } from '../grpc/fields.ts';
import { message } from '../grpc/message.ts';
import { dropReason, ipVersion, trafficDirection, verdict } from './enum-types.ts';
import { httpHeader, networkInterface, tcpFlags, workload } from './flow-messages.ts';

export type EventTypeFilter = EventType & { readonly matchSubType?: boolean | undefined };
type List<T = string> = readonly T[] | undefined;

export type FlowFilter = {
  readonly uuid?: List;
  readonly sourceIp?: List;
  readonly sourceIpXlated?: List;
  readonly sourcePod?: List;
  readonly sourceFqdn?: List;
  readonly sourceLabel?: List;
  readonly sourceService?: List;
  readonly sourceWorkload?: List<Workload>;
  readonly sourceClusterName?: List;
  readonly destinationIp?: List;
  readonly destinationPod?: List;
  readonly destinationFqdn?: List;
  readonly destinationLabel?: List;
  readonly destinationService?: List;
  readonly destinationWorkload?: List<Workload>;
  readonly destinationClusterName?: List;
  readonly trafficDirection?: List<TrafficDirection>;
  readonly verdict?: List<Verdict>;
  readonly dropReasonDesc?: List<DropReason>;
  readonly interface?: List<NetworkInterface>;
  readonly eventType?: List<EventTypeFilter>;
  readonly httpStatusCode?: List;
  readonly protocol?: List;
  readonly sourcePort?: List;
  readonly destinationPort?: List;
  readonly reply?: List<boolean>;
  readonly dnsQuery?: List;
  readonly sourceIdentity?: List<number>;
  readonly destinationIdentity?: List<number>;
  readonly httpMethod?: List;
  readonly httpPath?: List;
  readonly httpUrl?: List;
  readonly httpHeader?: List<HttpHeader>;
  /** Bits of `TcpFlag`. */
  readonly tcpFlags?: List<number>;
  readonly nodeName?: List;
  readonly nodeLabels?: List;
  readonly ipVersion?: List<IpVersion>;
  readonly traceId?: List;
  readonly ipTraceId?: List<bigint>;
  readonly encrypted?: List<boolean>;
  readonly experimental?: { readonly celExpression?: List } | undefined;
};

const eventTypeFilter = message<EventTypeFilter>('flow.EventTypeFilter', { type: int32(1), matchSubType: bool(2), subType: int32(3) });
const experimental = message<{ readonly celExpression?: List }>('flow.FlowFilter.Experimental', { celExpression: strings(1) });

export const flowFilter = message<FlowFilter>('flow.FlowFilter', {
  uuid: strings(29),
  sourceIp: strings(1),
  sourceIpXlated: strings(34),
  sourcePod: strings(2),
  sourceFqdn: strings(7),
  sourceLabel: strings(10),
  sourceService: strings(16),
  sourceWorkload: manyNested(26, workload),
  sourceClusterName: strings(37),
  destinationIp: strings(3),
  destinationPod: strings(4),
  destinationFqdn: strings(8),
  destinationLabel: strings(11),
  destinationService: strings(17),
  destinationWorkload: manyNested(27, workload),
  destinationClusterName: strings(38),
  trafficDirection: choices(30, trafficDirection),
  verdict: choices(5, verdict),
  dropReasonDesc: choices(33, dropReason),
  interface: manyNested(35, networkInterface),
  eventType: manyNested(6, eventTypeFilter),
  httpStatusCode: strings(9),
  protocol: strings(12),
  sourcePort: strings(13),
  destinationPort: strings(14),
  reply: bools(15),
  dnsQuery: strings(18),
  sourceIdentity: uint32s(19),
  destinationIdentity: uint32s(20),
  httpMethod: strings(21),
  httpPath: strings(22),
  httpUrl: strings(31),
  httpHeader: manyNested(32, httpHeader),
  tcpFlags: manyNested(23, tcpFlags),
  nodeName: strings(24),
  nodeLabels: strings(36),
  ipVersion: choices(25, ipVersion),
  traceId: strings(28),
  ipTraceId: uint64s(39),
  encrypted: bools(40),
  experimental: nested(999, experimental),
});
