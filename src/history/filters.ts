// SPDX-License-Identifier: Apache-2.0
// Filters of clients, told as conditions: which part of a flow each field of a filter is about, and the words of a block without which it
// cannot match. What a field means is known in one place only (`hubble/filter.ts`): here it is asked of a part.

import { parseIp } from '../base/ip.ts';
import type { Workload } from '../flows/flow.ts';
import { flowPredicate } from '../hubble/filter.ts';
import type { Filters } from '../hubble/filter.ts';
import type { FlowFilter } from '../hubble/filter-message.ts';
import { isRemembered, portWord } from './summary.ts';
import type { Condition, Wanted } from './wanted.ts';

type Field = Exclude<keyof FlowFilter, 'experimental'>;
type About = Exclude<Condition['about'], 'sourcePort' | 'destinationPort'>;

/** A field that is new in FlowFilter does not compile before it stands here. */
const aboutOf: Readonly<Record<Field, About | 'port'>> = {
  uuid: 'nothing',
  sourceIp: 'source',
  sourceIpXlated: 'shape',
  sourcePod: 'source',
  sourceFqdn: 'source',
  sourceLabel: 'source',
  sourceService: 'source',
  sourceWorkload: 'source',
  sourceClusterName: 'source',
  destinationIp: 'destination',
  destinationPod: 'destination',
  destinationFqdn: 'destination',
  destinationLabel: 'destination',
  destinationService: 'destination',
  destinationWorkload: 'destination',
  destinationClusterName: 'destination',
  trafficDirection: 'shape',
  verdict: 'shape',
  dropReasonDesc: 'shape',
  interface: 'place',
  eventType: 'shape',
  httpStatusCode: 'nothing',
  protocol: 'nothing', // of dns and http it is about the payload
  sourcePort: 'port',
  destinationPort: 'port',
  reply: 'shape',
  dnsQuery: 'nothing',
  sourceIdentity: 'source',
  destinationIdentity: 'destination',
  httpMethod: 'nothing',
  httpPath: 'nothing',
  httpUrl: 'nothing',
  httpHeader: 'nothing',
  tcpFlags: 'shape',
  nodeName: 'place',
  nodeLabels: 'place',
  ipVersion: 'shape',
  traceId: 'nothing',
  ipTraceId: 'nothing',
  encrypted: 'shape',
};

/** Throws RpcError as `flowPredicate()` does. */
export function wantedOf({ whitelist = [], blacklist = [] }: Filters): Wanted {
  return { matches: flowPredicate({ whitelist, blacklist }), alternatives: whitelist.map(conditionsOf) };
}

function conditionsOf(filter: FlowFilter): readonly Condition[] {
  const set = Object.keys(aboutOf).filter((field) => (filter[field as Field] ?? []).length > 0) as Field[]; // as: the keys of the table
  return set.map((field) => conditionOf(field, filter));
}

function conditionOf(field: Field, filter: FlowFilter): Condition {
  const words = wordsFor[field]?.(filter);
  const about = field === 'protocol' && !(filter.protocol ?? []).some(isLayer7) ? 'shape' : aboutOf[field];
  if (field === 'sourcePort' || field === 'destinationPort') {
    const ports = (filter[field] ?? []).map(Number);
    return { about: field, ports: new Set(ports.includes(0) ? [...ports, NO_PORT] : ports), words };
  }
  if (about === 'nothing' || about === 'port') return { about: 'nothing', words };
  return { about, holds: flowPredicate({ whitelist: [{ [field]: filter[field] }] }), words };
}

/** What a row has that has none; a filter for port 0 takes it. */
const NO_PORT = -1;

type Words = (filter: FlowFilter) => readonly string[] | undefined;

/** Of each value its words, one of which has to be there; or none if one value can do without. Zero is often the same as absent. */
const each =
  <F extends Field>(field: F, wordsOf: (value: NonNullable<FlowFilter[F]>[number]) => readonly string[]): Words =>
  (filter) => {
    const words = (filter[field] ?? []).map((value) => wordsOf(value as NonNullable<FlowFilter[F]>[number])); // as: a value of that field
    return words.every(({ length }) => length > 0) ? words.flat() : undefined;
  };

const address = (value: string) => (value.includes('/') ? [] : [`ip ${value}`, `ip ${parseIp(value)}`]);

/** Pods are asked for by 'namespace/' and what their name begins with; without a slash the namespace is `default`. */
function namespaced(value: string): readonly string[] {
  const namespace = value.includes('/') ? value.slice(0, value.indexOf('/')) : 'default';
  return namespace === '' ? [] : [`namespace ${namespace}`];
}

const port = (value: string) => (Number(value) > 0 && isRemembered(Number(value)) ? [portWord(Number(value))] : []);
const numbered = (word: string) => (value: number) => (value > 0 ? [`${word} ${value}`] : []);
const workload = ({ name }: Workload) => (name ? [`workload ${name}`] : []);
const transports: Readonly<Record<string, string>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', icmpv4: 'ICMPv4', icmpv6: 'ICMPv6' };
const isLayer7 = (value: string): boolean => ['dns', 'http', 'kafka'].includes(value.toLowerCase());

function protocol(value: string): readonly string[] {
  if (isLayer7(value)) return [`l7 ${value.toLowerCase()}`];
  const name = transports[value.toLowerCase()];
  return name === undefined ? [] : [`protocol ${name}`];
}

const wordsFor: Partial<Readonly<Record<Field, Words>>> = {
  sourceIp: each('sourceIp', address),
  destinationIp: each('destinationIp', address),
  sourcePod: each('sourcePod', namespaced),
  destinationPod: each('destinationPod', namespaced),
  sourceIdentity: each('sourceIdentity', numbered('identity')),
  destinationIdentity: each('destinationIdentity', numbered('identity')),
  sourceWorkload: each('sourceWorkload', workload),
  destinationWorkload: each('destinationWorkload', workload),
  sourcePort: each('sourcePort', port),
  destinationPort: each('destinationPort', port),
  verdict: each('verdict', (value) => [`verdict ${value}`]),
  dropReasonDesc: each('dropReasonDesc', numbered('reason')),
  protocol: each('protocol', protocol),
  dnsQuery: () => ['l7 dns'],
  httpStatusCode: () => ['l7 http'],
  httpMethod: () => ['l7 http'],
  httpPath: () => ['l7 http'],
  httpUrl: () => ['l7 http'],
  httpHeader: () => ['l7 http'],
};
