// SPDX-License-Identifier: Apache-2.0
// Label values of flow metrics: the words that dashboards for Hubble ask for.

import type { Flow } from '../flow.ts';
import { MessageType, TraceObservationPoint } from '../flow-enums.ts';
import { rcodes } from '../summary.ts';

const l7Protocols: Readonly<Record<string, string>> = { dns: 'DNS', http: 'HTTP', kafka: 'Kafka' };
const packetTypes = new Set<number>([MessageType.DROP, MessageType.TRACE, MessageType.POLICY_VERDICT, MessageType.CAPTURE]);

export function protocolText({ eventType, l4, l7 }: Flow): string {
  const type = eventType?.type ?? 0;
  if (type === MessageType.L7) return l7Protocols[l7?.record?.kind ?? ''] ?? 'Unknown L7';
  if (!packetTypes.has(type)) return 'Unknown flow';
  switch (l4?.kind) {
    case 'TCP':
    case 'UDP':
    case 'SCTP':
    case 'ICMPv4':
    case 'ICMPv6':
      return l4.kind;
    case 'VRRP':
    case 'IGMP':
    case undefined:
      return 'Unknown L4';
  }
}

/** 'to-endpoint' and the like by `eventType.subType`, where to-endpoint is 0. */
const points: readonly string[] = Object.entries(TraceObservationPoint).reduce<string[]>((found, [name, number]) => {
  if (name !== 'UNKNOWN_POINT') found[name === 'TO_ENDPOINT' ? 0 : number] = name.toLowerCase().replaceAll('_', '-');
  return found;
}, []);

export type TypeWords = readonly [type: string, subtype: string];
const l7Types: Readonly<Record<string, TypeWords>> = { dns: ['L7', 'DNS'], http: ['L7', 'HTTP'], kafka: ['L7', 'Kafka'] };
const traceTypes: readonly TypeWords[] = points.map((point) => ['Trace', point]);
const plainTypes: Readonly<Record<number, TypeWords>> = {
  [MessageType.DROP]: ['Drop', ''],
  [MessageType.CAPTURE]: ['Capture', ''],
  [MessageType.POLICY_VERDICT]: ['PolicyVerdict', ''],
};

export function typeWords({ eventType, l7 }: Flow): TypeWords {
  const type = eventType?.type ?? 0;
  if (type === MessageType.TRACE) return traceTypes[eventType?.subType ?? 0] ?? ['Trace', String(eventType?.subType)];
  if (type === MessageType.L7) return l7Types[l7?.record?.kind ?? ''] ?? ['L7', ''];
  return plainTypes[type] ?? ['Unknown', String(type)];
}

/** A number as text: of ports and codes, which come again and again, the same string each time. */
const numbers: string[] = [];
export function numberText(number: number): string {
  if (number < 0 || number > 65535) return String(number);
  return (numbers[number] ??= String(number));
}

/** With those of extensions, which lines of a client show as numbers. */
const allRcodes: Readonly<Record<number, string>> = {
  ...rcodes,
  16: 'Bad OPT Version',
  17: 'Key not recognized',
  18: 'Signature out of time window',
  19: 'Bad TKEY Mode',
  20: 'Duplicate key name',
  21: 'Algorithm not supported',
  22: 'Bad Truncation',
  23: 'Bad Cookie',
};
export const rcodeText = (rcode: number): string => allRcodes[rcode] ?? numberText(rcode);

const matches = ['none', 'l3-only', 'l3-l4', 'l4-only', 'all', 'l3-proto', 'proto-only'];
export const matchText = (type: number): string => matches[type] ?? 'unknown';
