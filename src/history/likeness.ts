// SPDX-License-Identifier: Apache-2.0
// Whether two flows have a part in common. Field by field, because this is asked of every flow, a few times; the tables of `parts.ts`
// and the test that changes one field after the other see to it that none is forgotten.

import { sameRow } from '../base/same.ts';
import type { Flow, IpHeader, Layer4 } from '../flows/flow.ts';
import type { End } from './parts.ts';

/** Equal shapes have equal hashes; different ones nearly always others. */
export function shapeHash({ verdict, type, eventType, l4, isReply, trafficDirection, summary, dropReason }: Flow): number {
  let hash = verdict * 16 + type * 4 + (isReply === undefined ? 0 : isReply ? 1 : 2);
  hash = Math.imul(hash, 31) + (eventType?.type ?? 0) * 256 + (eventType?.subType ?? 0);
  hash = Math.imul(hash, 31) + (l4?.kind === 'TCP' ? (l4.flags ?? 0) : (l4?.kind.length ?? 0));
  return Math.imul(hash, 31) + (trafficDirection ?? 0) * 4096 + summary.length + (dropReason ?? 0);
}

export const placeHash = ({ cgroupId, interface: device, proxyPort }: Flow): number =>
  (cgroupId === undefined ? 0 : Number(cgroupId & 0xffffn)) * 65_536 + (device?.index ?? 0) + (proxyPort ?? 0);

export function samePlace(a: Flow, b: Flow): boolean {
  return (
    a.nodeName === b.nodeName &&
    a.cgroupId === b.cgroupId &&
    a.proxyPort === b.proxyPort &&
    sameInterface(a.interface, b.interface) &&
    same(a.nodeLabels, b.nodeLabels) &&
    same(a.emitter, b.emitter)
  );
}

/** Whether two flows have the same shape; `plain` ones have a summary in it. No is also said of fields that differ in nothing but being absent. */
export function sameShape(a: Flow, b: Flow, plain: boolean): boolean {
  return (
    a.verdict === b.verdict &&
    a.type === b.type &&
    sameLayer4(a.l4, b.l4) &&
    sameIp(a.ip, b.ip) &&
    sameEvent(a.eventType, b.eventType) &&
    (!plain || a.summary === b.summary) &&
    sameNumbers(a, b) &&
    sameRest(a, b)
  );
}

function sameNumbers(a: Flow, b: Flow): boolean {
  return (
    a.isReply === b.isReply &&
    a.reply === b.reply &&
    a.dropReason === b.dropReason &&
    a.dropReasonDesc === b.dropReasonDesc &&
    a.trafficDirection === b.trafficDirection &&
    a.traceObservationPoint === b.traceObservationPoint &&
    a.traceReason === b.traceReason &&
    a.policyMatchType === b.policyMatchType &&
    a.authType === b.authType &&
    a.sockXlatePoint === b.sockXlatePoint &&
    a.debugCapturePoint === b.debugCapturePoint
  );
}

const same = (a: unknown, b: unknown): boolean => a === b || sameRow(a, b);

function sameRest(a: Flow, b: Flow): boolean {
  return (
    same(a.file, b.file) &&
    same(a.ethernet, b.ethernet) &&
    same(a.tunnel, b.tunnel) &&
    same(a.egressAllowedBy, b.egressAllowedBy) &&
    same(a.ingressAllowedBy, b.ingressAllowedBy) &&
    same(a.egressDeniedBy, b.egressDeniedBy) &&
    same(a.ingressDeniedBy, b.ingressDeniedBy) &&
    same(a.policyLog, b.policyLog)
  );
}

function sameEvent(a: Flow['eventType'], b: Flow['eventType']): boolean {
  if (a === b || a === undefined || b === undefined) return a === b;
  return a.type === b.type && a.subType === b.subType;
}

function sameInterface(a: Flow['interface'], b: Flow['interface']): boolean {
  if (a === b || a === undefined || b === undefined) return a === b;
  return a.index === b.index && a.name === b.name;
}

function sameIp(a: IpHeader | undefined, b: IpHeader | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.ipVersion === b.ipVersion && a.encrypted === b.encrypted && a.sourceXlated === b.sourceXlated;
}

function sameLayer4(a: Layer4 | undefined, b: Layer4 | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.kind === 'TCP' && b.kind === 'TCP') return a.flags === b.flags;
  if (a.kind === 'UDP' || a.kind === 'SCTP') return a.kind === b.kind;
  return sameRow(a, b);
}

export function sameEnd(a: End, b: End): boolean {
  return (
    a.address === b.address &&
    (a.endpoint === b.endpoint || sameRow(a.endpoint, b.endpoint)) &&
    (a.names === b.names || sameRow(a.names, b.names)) &&
    (a.service === b.service || sameRow(a.service, b.service))
  );
}
