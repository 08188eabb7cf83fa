// SPDX-License-Identifier: Apache-2.0
// `flow.Flow` and what it consists of, on the wire. Properties of the types in flows/flow.ts, numbers of Hubble's protocol.

import { TcpFlag } from '../flows/flow.ts';
import type * as f from '../flows/flow.ts';
import { bool, choice, int32, manyNested, named, nested, alternatives, string, strings, uint32, uint64 } from '../grpc/fields.ts';
import { message } from '../grpc/message.ts';
import { anyMessage, bits, boolValue, timestamp, union } from '../grpc/well-known.ts';
import * as e from './enum-types.ts';

type Of<T extends f.Layer4['kind']> = Omit<Extract<f.Layer4, { kind: T }>, 'kind'>;

export const workload = message<f.Workload>('flow.Workload', { name: string(1), kind: string(2) });
const service = message<f.FlowService>('flow.Service', { name: string(1), namespace: string(2) });
export const tcpFlags = bits('flow.TCPFlags', Object.keys(TcpFlag));
const eventType = message<f.EventType>('flow.CiliumEventType', { type: int32(1), subType: int32(2) });
export const networkInterface = message<f.NetworkInterface>('flow.NetworkInterface', { index: uint32(1), name: string(2) });
export const httpHeader = message<f.HttpHeader>('flow.HTTPHeader', { key: string(1), value: string(2) });

export const endpoint = message<f.FlowEndpoint>('flow.Endpoint', {
  id: named('ID', uint32(1)),
  identity: uint32(2),
  namespace: string(3),
  labels: strings(4),
  podName: string(5),
  workloads: manyNested(6, workload),
  clusterName: string(7),
});

const ipHeader = message<f.IpHeader>('flow.IP', {
  source: string(1),
  destination: string(2),
  ipVersion: named('ipVersion', choice(3, e.ipVersion)),
  encrypted: bool(4),
  sourceXlated: string(5),
});

const ethernet = message<f.Ethernet>('flow.Ethernet', { source: string(1), destination: string(2) });
const tcp = message<Of<'TCP'>>('flow.TCP', { sourcePort: uint32(1), destinationPort: uint32(2), flags: nested(3, tcpFlags) });
const udp = message<Of<'UDP'>>('flow.UDP', { sourcePort: uint32(1), destinationPort: uint32(2) });
const sctp = message<Of<'SCTP'>>('flow.SCTP', { sourcePort: uint32(1), destinationPort: uint32(2) });
const icmpv4 = message<Of<'ICMPv4'>>('flow.ICMPv4', { type: uint32(1), code: uint32(2) });
const icmpv6 = message<Of<'ICMPv6'>>('flow.ICMPv6', { type: uint32(1), code: uint32(2) });
const vrrp = message<Of<'VRRP'>>('flow.VRRP', { type: uint32(1), vrid: uint32(2), priority: uint32(3) });
const igmp = message<Of<'IGMP'>>('flow.IGMP', { type: uint32(1), groupAddress: string(2) });

const layer4 = union<f.Layer4>('flow.Layer4', 'protocol', {
  TCP: [1, tcp],
  UDP: [2, udp],
  ICMPv4: [3, icmpv4],
  ICMPv6: [4, icmpv6],
  SCTP: [5, sctp],
  VRRP: [6, vrrp],
  IGMP: [7, igmp],
});

const tunnel = message<f.Tunnel>('flow.Tunnel', {
  protocol: choice(1, e.tunnelProtocol),
  ip: named('IP', nested(2, ipHeader)),
  l4: nested(3, layer4),
  vni: uint32(4),
});

const dns = message<f.Dns>('flow.DNS', {
  query: string(1),
  ips: strings(2),
  ttl: uint32(3),
  cnames: strings(4),
  observationSource: string(5),
  rcode: uint32(6),
  qtypes: strings(7),
  rrtypes: strings(8),
});

const http = message<f.Http>('flow.HTTP', {
  code: uint32(1),
  method: string(2),
  url: string(3),
  protocol: string(4),
  headers: manyNested(5, httpHeader),
});

const kafka = message<f.Kafka>('flow.Kafka', {
  errorCode: int32(1),
  apiVersion: int32(2),
  apiKey: string(3),
  correlationId: int32(4),
  topic: string(5),
});

const layer7 = message<f.Layer7>('flow.Layer7', {
  type: choice(1, e.l7FlowType),
  latencyNs: uint64(2),
  record: alternatives<f.L7Record>({ dns: [100, dns], http: [101, http], kafka: [102, kafka] }),
});

const policy = message<f.FlowPolicy>('flow.Policy', {
  name: string(1),
  namespace: string(2),
  labels: strings(3),
  revision: uint64(4),
  kind: string(5),
});

const traceParent = message<{ readonly traceId?: string | undefined }>('flow.TraceParent', { traceId: string(1) });
const traceContext = message<f.TraceContext>('flow.TraceContext', { parent: nested(1, traceParent) });
const fileInfo = message<f.FileInfo>('flow.FileInfo', { name: string(1), line: uint32(2) });
const ipTraceId = message<f.IpTraceId>('flow.IPTraceID', { traceId: uint64(1), ipOptionType: uint32(2) });
const emitter = message<f.Emitter>('flow.Emitter', { name: string(1), version: string(2) });
const aggregate = message<f.Aggregate>('flow.Aggregate', {
  ingressFlowCount: uint32(1),
  egressFlowCount: uint32(2),
  unknownDirectionFlowCount: uint32(3),
});

export const flow = message<f.Flow>(
  'flow.Flow',
  {
    time: timestamp(1),
    uuid: string(34),
    emitter: nested(41, emitter),
    verdict: choice(2, e.verdict),
    dropReason: uint32(3),
    authType: choice(35, e.authType),
    ethernet: nested(4, ethernet),
    ip: named('IP', nested(5, ipHeader)),
    l4: nested(6, layer4),
    tunnel: nested(39, tunnel),
    source: nested(8, endpoint),
    destination: nested(9, endpoint),
    type: named('Type', choice(10, e.flowType)),
    nodeName: string(11),
    nodeLabels: strings(37),
    sourceNames: strings(13),
    destinationNames: strings(14),
    l7: nested(15, layer7),
    reply: bool(16),
    isReply: boolValue(26),
    eventType: nested(19, eventType),
    sourceService: nested(20, service),
    destinationService: nested(21, service),
    trafficDirection: choice(22, e.trafficDirection),
    policyMatchType: uint32(23),
    traceObservationPoint: choice(24, e.traceObservationPoint),
    traceReason: choice(36, e.traceReason),
    file: nested(38, fileInfo),
    dropReasonDesc: choice(25, e.dropReason),
    debugCapturePoint: choice(27, e.debugCapturePoint),
    interface: nested(28, networkInterface),
    proxyPort: uint32(29),
    traceContext: nested(30, traceContext),
    sockXlatePoint: choice(31, e.socketTranslationPoint),
    socketCookie: uint64(32),
    cgroupId: uint64(33),
    ipTraceId: nested(40, ipTraceId),
    summary: named('Summary', string(100_000)),
    extensions: nested(150_000, anyMessage),
    egressAllowedBy: manyNested(21_001, policy),
    ingressAllowedBy: manyNested(21_002, policy),
    egressDeniedBy: manyNested(21_004, policy),
    ingressDeniedBy: manyNested(21_005, policy),
    policyLog: strings(21_006),
    aggregate: nested(21_007, aggregate),
  },
  { time: 0n, uuid: '', verdict: 0, type: 0, nodeName: '', summary: '' },
);
