// SPDX-License-Identifier: Apache-2.0
// What becomes of a packet, in words.

import type { Ip } from '../base/ip.ts';
import { addressFlags, clientAt, endpointAt, endText, podName, serviceAt } from './lookups.ts';
import type { Client, TraceTables } from './lookups.ts';
import type { Moving, Packet, Verdict } from './packet.ts';

/** Whether the packet goes where it was meant to, as far as this node can know. */
export function isDelivered(verdict: Verdict): boolean {
  switch (verdict.kind) {
    case 'delivered':
    case 'sent':
    case 'leaves':
    case 'taken':
    case 'answered':
      return true;
    case 'refused':
    case 'dropped':
      return false;
  }
}

/** 'TCP from pod shop/web to 10.96.4.7:80 (service shop/cart) is sent to node2 through eth0, as 10.244.2.4:8080'. */
export function sentenceOf(packet: Packet, verdict: Verdict, out: Moving, tables: TraceTables): string {
  const { protocol, source, destination, destinationPort } = packet;
  const moving = { ...packet, source: out.source };
  const flags = addressFlags(destination, tables);
  const service = serviceAt(moving, flags, tables, clientOf(packet, tables)) ?? serviceAt(moving, flags, tables, 'outside');
  const asked = `${endText(protocol, destination, destinationPort)}${service ? ` (service ${service.name})` : ''}`;
  return `${protocol.toUpperCase()} from ${nameOf(source, tables)} to ${asked} ${fate(verdict, packet, out)}`;
}

function clientOf({ source, raw }: Packet, tables: TraceTables): Client {
  return clientAt(source === 'host' ? undefined : endpointAt(source, tables), raw ? 'packet' : 'socket');
}

function nameOf(source: Ip | 'host', tables: TraceTables): string {
  if (source === 'host') return 'this host';
  const pod = endpointAt(source, tables);
  return pod ? `pod ${podName(pod)}` : source;
}

function fate(verdict: Verdict, packet: Packet, out: Moving): string {
  const target = endText(out.protocol, out.destination, out.destinationPort);
  const moved = out.destination === packet.destination ? '' : `, at ${target}`;
  switch (verdict.kind) {
    case 'delivered':
      return `is delivered to pod ${verdict.pod} on this node${moved}`;
    case 'sent':
      return `is sent to node ${verdict.node} through ${verdict.through}${moved}`;
    case 'leaves':
      return `leaves through ${verdict.through} ${verdict.masqueraded ? `with the node's address ${out.source}` : `with its own address ${out.source}`}${moved}`;
    case 'taken':
      return `is taken by this host${moved}`;
    case 'answered':
      return 'is answered by the data plane: the service address exists';
    case 'refused':
      return `is refused: ${refusals[verdict.because]}`;
    case 'dropped':
      return `is dropped: ${verdict.reason}${dropped[verdict.reason] === undefined ? '' : `, ${dropped[verdict.reason]}`}`;
  }
}

const refusals: Readonly<Record<Extract<Verdict, { kind: 'refused' }>['because'], string>> = {
  'no backend': 'the service has no backend that can serve',
  'no such port': 'the address belongs to a service, which does not serve this port and protocol',
  'no route': 'the node has no route to it',
};

const dropped: Readonly<Record<string, string>> = {
  INVALID_SOURCE_IP: 'no pod of this node has this address',
  DENIED_BY_LB_SRC_RANGE_CHECK: 'loadBalancerSourceRanges of the Service keeps this client out',
  IS_A_CLUSTERIP: 'service addresses are not reached from the wire',
  MULTICAST_HANDLED: 'pods send no multicast and no broadcast',
  SERVICE_BACKEND_NOT_FOUND: 'a service address with nobody to go to',
};
