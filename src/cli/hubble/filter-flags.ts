// SPDX-License-Identifier: Apache-2.0
// The flags of `hubble observe` that filter, each with the field of a FlowFilter that it fills and with how its value is read.

import { parseCidr, parseIp } from '../../base/ip.ts';
import { DropReason } from '../../flows/drop-reasons.ts';
import { TrafficDirection, Verdict } from '../../flows/flow-enums.ts';
import { UsageError } from '../command.ts';
import { eventTypeIn } from './event-types.ts';

export type Json = string | number | boolean | { readonly [key: string]: Json } | readonly Json[];

export type FilterFlag = {
  readonly name: string;
  readonly short?: string;
  /** The field, or for a flag with sides what follows 'source_' and 'destination_'. */
  readonly field: string;
  /** Also as --from-NAME and --to-NAME; alone it means either end. */
  readonly sides?: true;
  /** No value on the command line: it stands for this one. */
  readonly fixed?: Json;
  /** The values that `text` names. Throws UsageError. */
  readonly read: (text: string) => readonly Json[];
  readonly help: string;
};

const plain = (text: string): readonly string[] => {
  if (text === '') throw new UsageError('Cannot filter by an empty word');
  return [text];
};
const words = (text: string): readonly string[] => text.split(',').map((word) => word.trim());

/** Words of a closed set, by comma, in any case; printed as the set has them. */
function oneOf(set: readonly string[], what: string): (text: string) => readonly string[] {
  return (text) =>
    words(text).map((word) => {
      const found = set.find((name) => name.toLowerCase() === word.toLowerCase());
      if (found === undefined) throw new UsageError(`Cannot filter by ${what} '${word}', wanted one of ${set.join(', ')}`);
      return found;
    });
}

function matching(pattern: RegExp, what: string, wanted: string): (text: string) => readonly string[] {
  return (text) =>
    words(text).map((word) => {
      if (!pattern.test(word)) throw new UsageError(`Cannot filter by ${what} '${word}', wanted ${wanted}`);
      return word;
    });
}

function address(text: string): readonly string[] {
  return words(text).map((word) => {
    if (parseIp(word) === undefined && parseCidr(word) === undefined)
      throw new UsageError(`Cannot filter by address '${word}', wanted one such as 10.0.0.1, 10.0.0.0/8 or fd00::1`);
    return word;
  });
}

function number(text: string, most: number, what: string): number {
  if (!/^\d+$/.test(text) || Number(text) > most) throw new UsageError(`Cannot filter by ${what} '${text}', wanted a number up to ${most}`);
  return Number(text);
}

const reservedIdentities: Readonly<Record<string, number>> = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  'remote-node': 6,
  'kube-apiserver': 7,
  ingress: 8,
  'world-ipv4': 9,
  'world-ipv6': 10,
  'overlay-to-encrypt': 11,
};
const identities = (text: string): readonly number[] =>
  words(text).map((word) => {
    const name = word.replace(/^reserved:/, '');
    return (Object.hasOwn(reservedIdentities, name) ? reservedIdentities[name] : undefined) ?? number(word, 0xffff_ffff, 'identity');
  });

/** 'Kind/name', 'Kind/' or 'name'. */
function workload(text: string): readonly Json[] {
  const [first = '', second, ...more] = text.split('/');
  const [kind, name] = second === undefined ? ['', first] : [first, second];
  if (more.length > 0 || (kind === '' && name === ''))
    throw new UsageError(`Cannot filter by workload '${text}', wanted Kind/name, Kind/ or name`);
  return [{ ...(name !== '' && { name }), ...(kind !== '' && { kind }) }];
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR', 'NS'] as const;
/** One TCPFlags with all that stand between commas: a packet has to have each of them. */
const tcpFlags = (text: string): readonly Json[] => {
  const named = oneOf(FLAGS, 'TCP flag')(text);
  return [Object.fromEntries(FLAGS.filter((flag) => named.includes(flag)).map((flag) => [flag, true]))];
};

function header(text: string): readonly Json[] {
  const [key = '', ...rest] = text.split(':');
  if (key.trim() === '' || rest.length === 0)
    throw new UsageError(`Cannot filter by header '${text}', wanted one such as 'host:example.com'`);
  return [{ key: key.trim(), value: rest.join(':').trim() }];
}

const ipVersions: Readonly<Record<string, string>> = { none: 'IP_NOT_USED', v4: 'IPv4', v6: 'IPv6', ipv4: 'IPv4', ipv6: 'IPv6' };
const protocols = ['tcp', 'udp', 'icmp', 'icmpv4', 'icmpv6', 'sctp', 'dns', 'http', 'kafka', 'vrrp', 'igmp'];

/** Flags with sides: --pod, --from-pod and --to-pod. */
const sided: readonly Omit<FilterFlag, 'sides'>[] = [
  {
    name: 'pod',
    field: 'pod',
    read: plain,
    help: 'pods whose name begins so: [namespace/]name; without namespace that of -n, else default',
  },
  { name: 'service', field: 'service', read: plain, help: 'services: [namespace/]name' },
  { name: 'workload', field: 'workload', read: workload, help: 'workloads: Deployment/cart, DaemonSet/ or cart' },
  { name: 'label', short: 'l', field: 'label', read: plain, help: 'labels, in the words of kubectl: app=cart, app in (cart,shop), !app' },
  { name: 'identity', field: 'identity', read: identities, help: 'identities: a number, or host, world, remote-node, …' },
  { name: 'ip', field: 'ip', read: address, help: 'addresses or prefixes' },
  { name: 'fqdn', field: 'fqdn', read: plain, help: "names; '*' stands for any part" },
  { name: 'port', field: 'port', read: (text) => words(text).map((word) => String(number(word, 65535, 'port'))), help: 'ports' },
  { name: 'cluster', field: 'cluster_name', read: plain, help: 'clusters' },
];
export const sidedFlags: readonly FilterFlag[] = sided.map((flag) => ({ ...flag, sides: true }));

/** Flags of the flow as a whole. */
export const wholeFlags: readonly FilterFlag[] = [
  {
    name: 'type',
    short: 't',
    field: 'event_type',
    read: (text) => words(text).map(eventTypeIn),
    help: 'kinds of event: trace, drop, l7, policy-verdict, trace:to-endpoint, …',
  },
  { name: 'verdict', field: 'verdict', read: oneOf(Object.keys(Verdict), 'verdict'), help: 'FORWARDED, DROPPED, …' },
  {
    name: 'drop-reason-desc',
    field: 'drop_reason_desc',
    read: oneOf(Object.keys(DropReason), 'drop reason'),
    help: 'why it was dropped: POLICY_DENIED, …',
  },
  { name: 'protocol', field: 'protocol', read: oneOf(protocols, 'protocol'), help: 'tcp, udp, icmp, dns, http, …' },
  { name: 'tcp-flags', field: 'tcp_flags', read: tcpFlags, help: 'TCP flags, all of which are set: syn,ack' },
  {
    name: 'traffic-direction',
    field: 'traffic_direction',
    read: oneOf(Object.keys(TrafficDirection).slice(1), 'direction'),
    help: 'ingress or egress',
  },
  { name: 'ipv4', short: '4', field: 'ip_version', read: plain, fixed: 'IPv4', help: 'IPv4 only' },
  { name: 'ipv6', short: '6', field: 'ip_version', read: plain, fixed: 'IPv6', help: 'IPv6 only' },
  {
    name: 'ip-version',
    field: 'ip_version',
    read: (text) => oneOf(Object.keys(ipVersions), 'IP version')(text).map((word) => ipVersions[word] ?? word),
    help: 'v4, v6, or none for what is neither',
  },
  { name: 'node-name', field: 'node_name', read: plain, help: "nodes: [cluster/]name; '*' stands for any part" },
  { name: 'node-label', field: 'node_labels', read: plain, help: 'labels of the node' },
  { name: 'interface', field: 'interface', read: (text) => words(text).map((name) => ({ name })), help: 'network interfaces' },
  { name: 'uuid', field: 'uuid', read: plain, help: 'the flow with this uuid' },
  { name: 'trace-id', field: 'trace_id', read: plain, help: 'trace ids of requests' },
  {
    name: 'ip-trace-id',
    field: 'ip_trace_id',
    read: (text) => words(text).map((word) => matching(/^\d{1,20}$/, 'IP trace id', 'a number')(word)[0] ?? ''),
    help: 'trace ids in IP options',
  },
  { name: 'encrypted', field: 'encrypted', read: plain, fixed: true, help: 'encrypted packets only' },
  { name: 'unencrypted', field: 'encrypted', read: plain, fixed: false, help: 'others only' },
  { name: 'snat-ip', field: 'source_ip_xlated', read: address, help: 'the source as it is on the wire after masquerade' },
  {
    name: 'http-status',
    field: 'http_status_code',
    read: matching(/^[1-5](\d{2}|\d?\+)$/, 'status', 'one such as 404, 40+ or 5+'),
    help: 'status of responses: 404, 5+',
  },
  { name: 'http-method', field: 'http_method', read: (text) => words(text).map((word) => word.toUpperCase()), help: 'GET, POST, …' },
  { name: 'http-path', field: 'http_path', read: plain, help: 'regular expression for the path' },
  { name: 'http-url', field: 'http_url', read: plain, help: 'regular expression for the URL' },
  { name: 'http-header', field: 'http_header', read: header, help: 'header, as key:value' },
  { name: 'cel-expression', field: 'cel_expression', read: plain, help: 'CEL expression over _flow' },
];

/** As a filter prints, which is the order of the protocol's definition. */
export const fieldOrder: readonly string[] = [
  'uuid',
  'source_ip',
  'source_ip_xlated',
  'source_pod',
  'source_fqdn',
  'source_label',
  'source_service',
  'source_workload',
  'source_cluster_name',
  'destination_ip',
  'destination_pod',
  'destination_fqdn',
  'destination_label',
  'destination_service',
  'destination_workload',
  'destination_cluster_name',
  'traffic_direction',
  'verdict',
  'drop_reason_desc',
  'interface',
  'event_type',
  'http_status_code',
  'protocol',
  'source_port',
  'destination_port',
  'reply',
  'dns_query',
  'source_identity',
  'destination_identity',
  'http_method',
  'http_path',
  'http_url',
  'http_header',
  'tcp_flags',
  'node_name',
  'node_labels',
  'ip_version',
  'trace_id',
  'ip_trace_id',
  'encrypted',
  'experimental',
];
