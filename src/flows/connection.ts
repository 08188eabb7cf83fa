// SPDX-License-Identifier: Apache-2.0
// How much went over a connection: told every five seconds while it goes on, and when it ends. Hubble has no such thing; its clients
// see the flows beside it.

import { ConntrackFlag, EventKind } from '../datapath/schema.gen.ts';
import type { ConntrackEntry, Event, Flow as Tuple } from '../datapath/schema.gen.ts';
import { flowBegun, ipOf, isReply, portsOf } from './event-flow.ts';
import type { FlowContext, FlowEnds } from './event-flow.ts';
import { protocolNames } from './drop-event.ts';
import type { Nanoseconds } from './flow.ts';

/** `source` is who opened it, whoever sent the packet that this was told of. */
export type Connection = Omit<FlowEnds, 'sourceService' | 'uuid'> & {
  readonly protocol: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ended: boolean;
  readonly opened: Nanoseconds | undefined;
  /** Until now. */
  readonly durationNs: bigint | undefined;
  /** From the first packet to the first answer, as this node saw them; of TCP how long the handshake took to the server and back. */
  readonly answeredNs: bigint | undefined;
  readonly sent: Traffic;
  readonly received: Traffic;
};

export type Traffic = { readonly packets: number; readonly bytes: number };

/** Of an event that knows both directions. */
export function connectionOf(event: Event, context: FlowContext): Connection {
  const { time, nodeName, nodeLabels, ip, source, destination, sourceNames, destinationNames, ...services } = flowBegun(event, context);
  const service = services.destinationService ?? services.sourceService;
  const ports = portsOf(event);
  const own = { packets: event.packets, bytes: event.bytes };
  const other = { packets: event.replyPackets, bytes: event.replyBytes };
  const opened = event.opened === 0 ? undefined : context.bootTime + BigInt(event.opened);
  const common = {
    time,
    nodeName,
    nodeLabels,
    ...(service && { destinationService: service }),
    protocol: protocolNames[event.flow.protocol] ?? String(event.flow.protocol),
    ended: event.kind === EventKind.connection,
    opened,
    durationNs: opened === undefined ? undefined : time > opened ? time - opened : 0n, // when it was last seen is known in seconds
    answeredNs: event.answered === 0 ? undefined : BigInt(event.answered) * 1000n,
  };
  if (!isReply(event)) return { ...common, ...ports, source, destination, ip, sourceNames, destinationNames, sent: own, received: other };
  return {
    ...common,
    source: destination,
    destination: source,
    sourceNames: destinationNames,
    destinationNames: sourceNames,
    ip: ipOf(event.destination, event.flow.source, event.flow.destination === event.destination ? undefined : event.flow.destination),
    sourcePort: ports.destinationPort,
    destinationPort: ports.sourcePort,
    sent: other,
    received: own,
  };
}

/** What conntrack has of a flow that it forgets, as if the kernel had told its end. Undefined where that was told, or nothing ever was. */
export function forgottenEvent(key: Tuple, entry: ConntrackEntry, opposite: ConntrackEntry): Event | undefined {
  if (entry.opened === 0 || entry.flags & ConntrackFlag.told) return undefined;
  const { source, destination, sourcePort, destinationPort, sourceIdentity, destinationIdentity } = entry;
  return {
    time: entry.lastSeen * 1e9,
    kind: EventKind.connection,
    reason: 0,
    hook: 0,
    point: 0,
    interfaceIndex: entry.interfaceIndex,
    length: 0,
    line: 0,
    icmpType: 0,
    icmpCode: 0,
    flow: key,
    source,
    destination,
    sourcePort,
    destinationPort,
    sourceIdentity,
    destinationIdentity,
    meant: entry.service || entry.meant,
    conntrack: entry.flags,
    tcpFlags: 0,
    whole: 1,
    answered: entry.answered,
    opened: entry.opened,
    packets: entry.packets,
    bytes: entry.bytes,
    replyPackets: opposite.packets,
    replyBytes: opposite.bytes,
  };
}
