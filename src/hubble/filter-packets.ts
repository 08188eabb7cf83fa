// SPDX-License-Identifier: Apache-2.0
// Filters about a packet and what became of it: verdicts, ports, flags, protocols, events, interfaces.

import { Verdict } from '../flows/flow-enums.ts';
import type { IpVersion, TrafficDirection } from '../flows/flow-enums.ts';
import type { DropReason } from '../flows/drop-reasons.ts';
import type { Flow, Layer4, NetworkInterface } from '../flows/flow.ts';
import type { EventTypeFilter } from './filter-message.ts';

const protocols: Readonly<Record<string, (flow: Flow) => boolean>> = {
  icmp: ({ l4 }) => l4?.kind === 'ICMPv4' || l4?.kind === 'ICMPv6',
  icmpv4: ({ l4 }) => l4?.kind === 'ICMPv4',
  icmpv6: ({ l4 }) => l4?.kind === 'ICMPv6',
  tcp: ({ l4 }) => l4?.kind === 'TCP',
  udp: ({ l4 }) => l4?.kind === 'UDP',
  sctp: ({ l4 }) => l4?.kind === 'SCTP',
  vrrp: ({ l4 }) => l4?.kind === 'VRRP',
  igmp: ({ l4 }) => l4?.kind === 'IGMP',
  dns: ({ l7 }) => l7?.record?.kind === 'dns',
  http: ({ l7 }) => l7?.record?.kind === 'http',
  kafka: ({ l7 }) => l7?.record?.kind === 'kafka',
};

function protocol(value: string): (flow: Flow) => boolean {
  const is = protocols[value.toLowerCase()];
  if (!is) throw new SyntaxError(`'${value}' is no protocol, wanted one of ${Object.keys(protocols).join(', ')}`);
  return is;
}

const port =
  (of: 'sourcePort' | 'destinationPort') =>
  (value: string): ((flow: Flow) => boolean) => {
    const wanted = Number(value);
    if (!/^\d{1,5}$/.test(value) || wanted > 65_535) throw new SyntaxError(`'${value}' is no port`);
    return ({ l4 }) => withPorts(l4) && (l4[of] ?? 0) === wanted;
  };

const withPorts = (l4: Layer4 | undefined): l4 is Extract<Layer4, { kind: 'TCP' | 'UDP' | 'SCTP' }> =>
  l4?.kind === 'TCP' || l4?.kind === 'UDP' || l4?.kind === 'SCTP';

export const packetTests = {
  uuid: (value: string) => (flow: Flow) => flow.uuid === value,
  verdict: (value: Verdict) => (flow: Flow) => flow.verdict === value,
  trafficDirection: (value: TrafficDirection) => (flow: Flow) => (flow.trafficDirection ?? 0) === value,
  dropReasonDesc: (value: DropReason) => (flow: Flow) => flow.verdict === Verdict.DROPPED && (flow.dropReasonDesc ?? 0) === value,
  interface:
    ({ index = 0, name = '' }: NetworkInterface) =>
    ({ interface: at }: Flow) =>
      at !== undefined && (index === 0 || at.index === index) && (name === '' || at.name === name),
  eventType:
    ({ type = 0, matchSubType = false, subType = 0 }: EventTypeFilter) =>
    ({ eventType }: Flow) =>
      (type === 0 || eventType?.type === type) && (!matchSubType || (eventType?.subType ?? 0) === subType),
  protocol,
  sourcePort: port('sourcePort'),
  destinationPort: port('destinationPort'),
  /** Of a drop nobody knows whether it was a reply: that counts as no. */
  reply:
    (value: boolean) =>
    ({ isReply, verdict }: Flow) =>
      (isReply ?? (verdict === Verdict.DROPPED ? false : undefined)) === value,
  tcpFlags:
    (value: number) =>
    ({ l4 }: Flow) =>
      l4?.kind === 'TCP' && ((l4.flags ?? 0) & value) === value,
  ipVersion: (value: IpVersion) => (flow: Flow) => (flow.ip?.ipVersion ?? 0) === value,
  traceId: (value: string) => (flow: Flow) => (flow.traceContext?.parent?.traceId ?? '') === value,
  ipTraceId: (value: bigint) => (flow: Flow) => (flow.ipTraceId?.traceId ?? 0n) === value,
  encrypted: (value: boolean) => (flow: Flow) => flow.ip !== undefined && (flow.ip.encrypted ?? false) === value,
};
