// SPDX-License-Identifier: Apache-2.0
// From an event of the data plane to a flow.
//
// A packet is shown as going from its true source to its true destination: the source as it arrived at the hook, before masquerade,
// the destination as it leaves, a backend rather than a service. The service that the client means is beside it.
//
//   client ──▶ 10.96.0.10:80  ─ DNAT, SNAT ─▶  backend        source: client   sourceXlated: node   destination: backend   + service
//   client ◀── 10.96.0.10:80  ◀──────────────  backend        source: backend + service             destination: client

import { familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { EventKind, Hook, TracePoint, TraceReason } from '../datapath/schema.gen.ts';
import type { Event, Flow as Tuple } from '../datapath/schema.gen.ts';
import { ConntrackFlag } from '../datapath/schema.gen.ts';
import type { Directory } from './directory.ts';
import type { Names } from './names.ts';
import type { DropReason } from './drop-reasons.ts';
import type { Flow, FlowService, IpHeader, Layer4, Nanoseconds } from './flow.ts';
import { FlowType, IpVersion, MessageType, TraceObservationPoint, TrafficDirection, Verdict } from './flow-enums.ts';
import { icmpSummary, tcpSummary } from './summary.ts';

export type FlowContext = {
  readonly directory: Directory;
  /** Nanoseconds since the epoch when CLOCK_MONOTONIC was zero. */
  readonly bootTime: Nanoseconds;
  /** 'cluster/node'. */
  readonly nodeName: string;
  readonly nodeLabels?: readonly string[];
  readonly names: Pick<Names, 'of'>;
  /** Another one with each call. */
  readonly uuid: () => string;
};

/** What all flows of a packet have, whatever is said of it. */
export type FlowEnds = Pick<
  Flow,
  | 'time'
  | 'uuid'
  | 'nodeName'
  | 'nodeLabels'
  | 'ip'
  | 'source'
  | 'destination'
  | 'sourceNames'
  | 'destinationNames'
  | 'sourceService'
  | 'destinationService'
>;

const TCP = 6;
const UDP = 17;
const SCTP = 132;

export function isReply({ conntrack }: Pick<Event, 'conntrack'>): boolean {
  return (conntrack & ConntrackFlag.reply) !== 0;
}

/** Of an event that is told of a packet: a drop, a trace. */
export function flowOf(event: Event, context: FlowContext): Flow {
  return event.kind === EventKind.drop ? dropFlow(event, context) : traceFlow(event, context);
}

function traceFlow(event: Event, context: FlowContext): Flow {
  const flow = flowBegun(event, context);
  const reply = event.reason === TraceReason.reply;
  flow.l4 = layer4(event);
  flow.reply = flow.isReply = reply;
  flow.eventType = traceTypes[event.point] ?? { type: MessageType.TRACE, subType: event.point };
  flow.traceObservationPoint = pointOf(event.point);
  flow.traceReason = event.reason as Flow['traceReason'] & number; // as: numbers are those of Hubble, see bpf/types.h
  flow.trafficDirection = directionOf(event.point !== TracePoint.toEndpoint, reply);
  flow.summary = summaryOf(event);
  return flow;
}

function dropFlow(event: Event, context: FlowContext): Flow {
  const flow = flowBegun(event, context);
  flow.verdict = Verdict.DROPPED;
  flow.dropReason = event.reason;
  flow.dropReasonDesc = event.reason as DropReason; // as: numbers are those of Hubble, see bpf/types.h
  flow.l4 = layer4(event);
  flow.eventType = { type: MessageType.DROP, subType: event.reason };
  flow.trafficDirection = dropDirection(event, context.directory);
  flow.file = { name: event.hook === Hook.podFrom || event.hook === Hook.podTo ? 'pod.bpf.c' : 'host.bpf.c', line: event.line };
  flow.summary = summaryOf(event);
  return flow;
}

/** A flow that is being made, and not yet anybody's. */
export type Making = { -readonly [K in keyof Flow]: Flow[K] };

/** A flow of a forwarded packet without what depends on the kind of event. All of them have the same fields in the same order, which
 * makes each reader of them quick. */
export function flowBegun(event: Event, context: FlowContext): Making {
  const { source } = event.flow;
  const translated = isTranslated(event);
  const destination = translated ? event.destination : event.flow.destination;
  const reply = isReply(event);
  const service = serviceOf(event, context.directory);
  const { directory, names } = context;
  return {
    time: context.bootTime + BigInt(event.time),
    uuid: context.uuid(),
    verdict: Verdict.FORWARDED,
    dropReason: undefined,
    ip: ipOf(source, destination, translated && !reply && event.source !== source ? event.source : undefined),
    l4: undefined,
    source: directory.endpointAt(source, event.sourceIdentity),
    destination: directory.endpointAt(destination, event.destinationIdentity),
    type: FlowType.L3_L4,
    nodeName: context.nodeName,
    nodeLabels: context.nodeLabels,
    sourceNames: names.of(destination, source),
    destinationNames: names.of(source, destination),
    l7: undefined,
    reply: false,
    isReply: undefined,
    eventType: undefined,
    sourceService: reply ? service : undefined,
    destinationService: reply ? undefined : service,
    trafficDirection: undefined,
    traceObservationPoint: undefined,
    traceReason: undefined,
    file: undefined,
    dropReasonDesc: undefined,
    interface: directory.interfaceOf(event.interfaceIndex),
    traceContext: undefined,
    summary: '',
  };
}

/** Whether anything is known of where the packet goes after translation: a drop knows nothing of it. */
const isTranslated = (event: Event): boolean => event.kind !== EventKind.drop;

/** The service that the client means. It is on the client's side of the translation: where requests arrive, where answers leave. */
function serviceOf(event: Event, directory: Directory): FlowService | undefined {
  const { flow, meant } = event;
  const byNumber = meant === 0 ? undefined : directory.serviceOf(meant);
  if (byNumber) return byNumber;
  if (isReply(event)) return directory.serviceAt(event.source, event.sourcePort, flow.protocol);
  return directory.serviceAt(flow.destination, flow.destinationPort, flow.protocol);
}

export function ipOf(source: Ip, destination: Ip, sourceXlated?: Ip): IpHeader {
  const ipVersion = familyOf(source) === 4 ? IpVersion.IPv4 : IpVersion.IPv6;
  return sourceXlated === undefined ? { source, destination, ipVersion } : { source, sourceXlated, destination, ipVersion };
}

/** Ports by which the ends are known to themselves. */
export function portsOf(event: Event): { readonly sourcePort: number; readonly destinationPort: number } {
  const { sourcePort, destinationPort } = event.flow;
  return { sourcePort, destinationPort: isTranslated(event) ? event.destinationPort : destinationPort };
}

function layer4(event: Event): Layer4 | undefined {
  switch (event.flow.protocol) {
    case TCP:
      return { kind: 'TCP', ...portsOf(event), flags: event.tcpFlags };
    case UDP:
      return { kind: 'UDP', ...portsOf(event) };
    case SCTP:
      return { kind: 'SCTP', ...portsOf(event) };
    default: {
      const version = icmpVersion(event.flow);
      return version && { kind: `ICMPv${version}`, type: event.icmpType, code: event.icmpCode };
    }
  }
}

function icmpVersion({ protocol }: Tuple): 4 | 6 | undefined {
  return protocol === 1 ? 4 : protocol === 58 ? 6 : undefined;
}

function summaryOf(event: Event): string {
  const { protocol } = event.flow;
  if (protocol === TCP) return tcpSummary(event.tcpFlags);
  if (protocol === UDP) return 'UDP';
  if (protocol === SCTP) return 'SCTP';
  const version = icmpVersion(event.flow);
  return version ? icmpSummary(version, event.icmpType, event.icmpCode) : `Unknown L4 protocol ${protocol}`;
}

const { EGRESS, INGRESS, TRAFFIC_DIRECTION_UNKNOWN } = TrafficDirection;

/** Of the connection, as the pod sees it that is nearest: an answer that leaves it belongs to what came in. */
function directionOf(outwards: boolean, reply: boolean): TrafficDirection {
  return outwards === reply ? INGRESS : EGRESS;
}

function dropDirection({ hook, flow }: Event, directory: Directory): TrafficDirection {
  if (hook === Hook.podFrom) return directory.podAt(flow.source) ? EGRESS : TRAFFIC_DIRECTION_UNKNOWN;
  return directory.podAt(flow.destination) ? INGRESS : TRAFFIC_DIRECTION_UNKNOWN;
}

const traceTypes: Readonly<Record<number, NonNullable<Flow['eventType']>>> = Object.fromEntries(
  Object.values(TracePoint).map((subType) => [subType, { type: MessageType.TRACE, subType }]),
);

/** The enum has another number for one of them than the event type. */
function pointOf(point: number): TraceObservationPoint {
  switch (point) {
    case TracePoint.toEndpoint:
      return TraceObservationPoint.TO_ENDPOINT;
    case TracePoint.toHost:
      return TraceObservationPoint.TO_HOST;
    case TracePoint.toStack:
      return TraceObservationPoint.TO_STACK;
    case TracePoint.toNetwork:
      return TraceObservationPoint.TO_NETWORK;
    default:
      return TraceObservationPoint.UNKNOWN_POINT;
  }
}
