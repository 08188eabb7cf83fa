// SPDX-License-Identifier: Apache-2.0
// The words for the parts of a flow that every text output shares: who, which kind of event, which verdict, in short what.

import { dropReasonTexts } from '../../flows/drop-reasons.ts';
import type { Flow, FlowEndpoint, FlowPolicy, FlowService, Layer4 } from '../../flows/flow.ts';
import {
  AuthType,
  DebugCapturePoint,
  enumName,
  L7FlowType,
  MessageType,
  SocketTranslationPoint,
  TrafficDirection,
  Verdict,
} from '../../flows/flow-enums.ts';
import { harmless } from './colors.ts';
import type { Colors } from './colors.ts';
import { socketPoints, tracePoints } from './event-types.ts';

export type Wording = {
  /** Pods, services and names rather than addresses. */
  readonly translate: boolean;
  readonly policyNames: boolean;
  readonly colors: Colors;
};

/** The text of one end, and of its identity. */
export type End = { readonly host: string; readonly identity: string };

const byNumber = (numbers: Readonly<Record<string, number>>): ReadonlyMap<number, string> =>
  new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
const tracePointNames = byNumber(tracePoints);
const socketPointNames = byNumber(socketPoints);

export function sourceOf(flow: Flow, wording: Wording): End {
  return end(flow, wording, {
    endpoint: flow.source,
    service: flow.sourceService,
    names: flow.sourceNames,
    address: flow.ip ? flow.ip.source : flow.ethernet?.source,
    port: portsOf(flow.l4)?.sourcePort,
  });
}

export function destinationOf(flow: Flow, wording: Wording): End {
  return end(flow, wording, {
    endpoint: flow.destination,
    service: flow.destinationService,
    names: flow.destinationNames,
    address: flow.ip ? flow.ip.destination : flow.ethernet?.destination,
    port: portsOf(flow.l4)?.destinationPort,
  });
}

type Ends = {
  readonly endpoint: FlowEndpoint | undefined;
  readonly service: FlowService | undefined;
  readonly names: readonly string[] | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;
};

function portsOf(l4: Layer4 | undefined) {
  return l4 && 'destinationPort' in l4 ? l4 : undefined;
}

function end({ ip }: Flow, { translate, colors }: Wording, ends: Ends): End {
  const host = harmless((ip && translate ? nameOf(ends) : undefined) ?? ends.address ?? '');
  const port = ip && ends.port ? colors.port(String(ends.port)) : '';
  const text = port === '' ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { host: colors.host(text), identity: colors.identity(identityText(ends.endpoint?.identity ?? 0)) };
}

function nameOf({ endpoint, service, names = [] }: Ends): string | undefined {
  const inside = (namespace: string | undefined, name: string) => (namespace ? `${namespace}/${name}` : name);
  if (endpoint?.podName) return inside(service?.namespace || endpoint.namespace, endpoint.podName);
  if (service?.name) return inside(service.namespace, service.name);
  return names.length > 0 ? names.join(',') : undefined;
}

const reservedNames = [
  'unknown',
  'host',
  'world',
  'unmanaged',
  'health',
  'init',
  'remote-node',
  'kube-apiserver',
  'ingress',
  'world-ipv4',
  'world-ipv6',
  'overlay-to-encrypt',
];

function identityText(identity: number): string {
  return `(${reservedNames[identity] ?? `ID:${identity}`})`;
}

const matchNames = ['none', 'L3-Only', 'L3-L4', 'L4-Only', 'all', 'L3-Proto', 'Proto-Only'];

export function typeText(flow: Flow): string {
  const { type = 0, subType = 0 } = flow.eventType ?? {};
  switch (type) {
    case MessageType.L7:
      return layer7Text(flow);
    case MessageType.TRACE:
      return tracePointNames.get(subType) ?? String(subType);
    case MessageType.DROP:
      return dropReasonTexts[subType] ?? `${subType}, 0`;
    case MessageType.POLICY_VERDICT:
      return `policy-verdict:${matchNames[flow.policyMatchType ?? 0] ?? 'unknown'} ${enumName(TrafficDirection, flow.trafficDirection ?? 0)}`;
    case MessageType.CAPTURE:
      return enumName(DebugCapturePoint, flow.debugCapturePoint ?? 0);
    case MessageType.TRACE_SOCK:
      return socketPointNames.get(flow.sockXlatePoint ?? 0) ?? enumName(SocketTranslationPoint, flow.sockXlatePoint ?? 0);
  }
  return 'UNKNOWN';
}

function layer7Text({ l7 }: Flow): string {
  const kind = enumName(L7FlowType, l7?.type ?? 0).toLowerCase();
  const record = l7?.record;
  if (record?.kind === 'dns') return `dns-${kind} ${harmless(record.observationSource ?? '')}`.trimEnd();
  return `${record?.kind ?? 'l7'}-${kind}`;
}

const decisions: Readonly<Record<number, string>> = {
  [Verdict.FORWARDED]: 'ALLOWED',
  [Verdict.REDIRECTED]: 'ALLOWED',
  [Verdict.DROPPED]: 'DENIED',
  [Verdict.ERROR]: 'DENIED',
  [Verdict.AUDIT]: 'AUDITED',
};

export function verdictText(flow: Flow, { policyNames, colors }: Wording): string {
  const { verdict } = flow;
  const decided = flow.eventType?.type === MessageType.POLICY_VERDICT ? decisions[verdict] : undefined;
  const text = verdictColor(verdict, colors)(decided ?? enumName(Verdict, verdict));
  const by = policyNames ? policiesOf(flow).map(({ name = '', kind = '' }) => harmless(`${name} (${kind})`)) : [];
  return by.length === 0 ? text : `${text} BY ${by.join(', ')}`;
}

function verdictColor(verdict: number, { good, bad, notable }: Colors): (text: string) => string {
  if (verdict === Verdict.FORWARDED || verdict === Verdict.REDIRECTED) return good;
  if (verdict === Verdict.DROPPED || verdict === Verdict.ERROR) return bad;
  return verdict === Verdict.VERDICT_UNKNOWN ? (text) => text : notable;
}

/** Those that decided: of the flow's direction, or of both where it is not known. */
function policiesOf(flow: Flow): readonly FlowPolicy[] {
  const denied = flow.verdict === Verdict.DROPPED || flow.verdict === Verdict.ERROR;
  const [ingress, egress] = denied ? [flow.ingressDeniedBy, flow.egressDeniedBy] : [flow.ingressAllowedBy, flow.egressAllowedBy];
  if (flow.trafficDirection === TrafficDirection.INGRESS) return ingress ?? [];
  if (flow.trafficDirection === TrafficDirection.EGRESS) return egress ?? [];
  return [...(ingress ?? []), ...(egress ?? [])];
}

export function summaryText({ ipTraceId, summary, authType = AuthType.DISABLED }: Flow, { colors }: Wording): string {
  const trace = ipTraceId?.traceId ? `IP Trace ID: ${ipTraceId.traceId}; ` : '';
  const color = authType === AuthType.TEST_ALWAYS_FAIL ? colors.bad : colors.good;
  const auth = authType === AuthType.DISABLED ? '' : `; Auth: ${color(enumName(AuthType, authType))}`;
  return `${trace}${harmless(summary)}${auth}`;
}
