// SPDX-License-Identifier: Apache-2.0
// From a record of the ring buffer to a drop that people can read.

import { addressPort, familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { Table } from '../base/table.ts';
import { dropReasonNames, hookNames } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';

export type Drop = {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  /** Name of the reason as Hubble clients know it. */
  readonly reason: string;
  readonly hook: string;
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly interfaceIndex: number;
  /** 'namespace/name' of the pod of this node that it concerns. */
  readonly pod: string | undefined;
};

export type DropContext = {
  /** By address. */
  readonly endpoints: Table<string, EndpointRow>;
  /** Milliseconds since the epoch when CLOCK_MONOTONIC was zero. */
  readonly bootTime: number;
};

export const protocolNames: Readonly<Record<number, string>> = { 1: 'ICMPv4', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6', 132: 'SCTP' };
const withPorts = new Set([6, 17, 132]);

export function dropOf({ time, reason, hook, interfaceIndex, flow }: Event, { endpoints, bootTime }: DropContext): Drop {
  const end = (address: Ip, port: number) => (withPorts.has(flow.protocol) ? addressPort(address, port) : address);
  const [owner] = [...endpoints.by('address', flow.source), ...endpoints.by('address', flow.destination)];
  return {
    time: bootTime + time / 1e6,
    reason: dropReasonNames[reason] ?? `UNKNOWN_${reason}`,
    hook: hookNames[hook] ?? `hook ${hook}`,
    source: end(flow.source, flow.sourcePort),
    destination: end(flow.destination, flow.destinationPort),
    protocol: protocolNames[flow.protocol] ?? (flow.protocol === 0 ? `IPv${familyOf(flow.source)}` : `protocol ${flow.protocol}`),
    interfaceIndex,
    pod: owner && `${owner.namespace}/${owner.pod}`,
  };
}
