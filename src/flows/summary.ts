// SPDX-License-Identifier: Apache-2.0
// What stands in parentheses on a line of `hubble observe`, word for word as its users know it.

import { TcpFlag } from './flow.ts';
import type { Dns, Http } from './flow.ts';

const tcpOrder = ['SYN', 'ACK', 'RST', 'FIN', 'PSH', 'URG', 'ECE', 'CWR', 'NS'] as const;
const tcpTexts = new Map<number, string>();

/** 'TCP Flags: SYN, ACK'. */
export function tcpSummary(flags: number): string {
  let text = tcpTexts.get(flags);
  if (text === undefined) {
    text = `TCP Flags: ${tcpOrder.filter((flag) => flags & TcpFlag[flag]).join(', ')}`;
    tcpTexts.set(flags, text);
  }
  return text;
}

type Kind = string | { readonly name: string; readonly codes: Readonly<Record<number, string>> };

const icmpv4: Readonly<Record<number, Kind>> = {
  0: 'EchoReply',
  3: {
    name: 'DestinationUnreachable',
    codes: {
      0: 'Net',
      1: 'Host',
      2: 'Protocol',
      3: 'Port',
      4: 'FragmentationNeeded',
      5: 'SourceRoutingFailed',
      6: 'NetUnknown',
      7: 'HostUnknown',
      8: 'SourceIsolated',
      9: 'NetAdminProhibited',
      10: 'HostAdminProhibited',
      11: 'NetTOS',
      12: 'HostTOS',
      13: 'CommAdminProhibited',
      14: 'HostPrecedence',
      15: 'PrecedenceCutoff',
    },
  },
  4: 'SourceQuench',
  5: { name: 'Redirect', codes: { 0: 'Network', 1: 'Host', 2: 'TOS+Network', 3: 'TOS+Host' } },
  8: 'EchoRequest',
  9: 'RouterAdvertisement',
  10: 'RouterSolicitation',
  11: { name: 'TimeExceeded', codes: { 0: 'TTLExceeded', 1: 'FragmentReassemblyTimeExceeded' } },
  12: { name: 'ParameterProblem', codes: { 0: 'PointerIndicatesError', 1: 'MissingOption', 2: 'BadLength' } },
  13: 'TimestampRequest',
  14: 'TimestampReply',
};

const icmpv6: Readonly<Record<number, Kind>> = {
  1: {
    name: 'DestinationUnreachable',
    codes: {
      0: 'NoRouteToDst',
      1: 'AdminProhibited',
      2: 'BeyondScopeOfSrcAddress',
      3: 'AddressUnreachable',
      4: 'PortUnreachable',
      5: 'SrcAddressFailedPolicy',
      6: 'RejectRouteToDst',
    },
  },
  2: 'PacketTooBig',
  3: { name: 'TimeExceeded', codes: { 0: 'HopLimitExceeded', 1: 'FragmentReassemblyTimeExceeded' } },
  4: { name: 'ParameterProblem', codes: { 0: 'ErroneousHeaderField', 1: 'UnrecognizedNextHeader', 2: 'UnrecognizedIPv6Option' } },
  128: 'EchoRequest',
  129: 'EchoReply',
  133: 'RouterSolicitation',
  134: 'RouterAdvertisement',
  135: 'NeighborSolicitation',
  136: 'NeighborAdvertisement',
  137: 'Redirect',
};

/** 'ICMPv4 EchoRequest', 'ICMPv4 DestinationUnreachable(Port)', 'ICMPv6 200(7)'. */
export function icmpSummary(version: 4 | 6, type: number, code: number): string {
  const kind = (version === 4 ? icmpv4 : icmpv6)[type];
  if (typeof kind === 'string') return `ICMPv${version} ${kind}`;
  return `ICMPv${version} ${kind?.name ?? type}(${kind?.codes[code] ?? code})`;
}

/** Those of RFC 1035 and RFC 2136. */
export const rcodes: Readonly<Record<number, string>> = {
  0: 'No Error',
  1: 'Format Error',
  2: 'Server Failure',
  3: 'Non-Existent Domain',
  4: 'Not Implemented',
  5: 'Query Refused',
  6: 'Name Exists when it should not',
  7: 'RR Set Exists when it should not',
  8: 'RR Set that should exist does not',
  9: 'Server Not Authoritative for zone',
  10: 'Name not contained in zone',
};

/** 'DNS Query web.shop. A', 'DNS Answer "10.96.118.37" TTL: 30 (Proxy web.shop. A)'. */
export function dnsSummary({ query = '', qtypes = [], ips = [], cnames = [], rcode = 0, ttl = 0 }: Dns, response: boolean): string {
  const question = `${query} ${qtypes.join(',')}`;
  if (!response) return `DNS Query ${question}`;
  const found = [...(ips.length > 0 ? [`"${ips.join(',')}"`] : []), ...(cnames.length > 0 ? [`CNAMEs: "${cnames.join(',')}"`] : [])];
  const answer = rcode !== 0 ? [`RCode: ${rcodes[rcode] ?? rcode}`] : found;
  return ['DNS Answer', ...answer, `TTL: ${ttl}`, `(Proxy ${question})`].join(' ');
}

/** 'HTTP/1.1 GET http://web/', 'HTTP/1.1 200 4ms (GET http://web/)'. `latencyMs`: of an answer. */
export function httpSummary({ protocol = '', method = '', url = '', code = 0 }: Http, latencyMs: number | undefined): string {
  return latencyMs === undefined ? `${protocol} ${method} ${url}` : `${protocol} ${code} ${latencyMs}ms (${method} ${url})`;
}
