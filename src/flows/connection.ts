// SPDX-License-Identifier: Apache-2.0
// How much went over a connection: told every five seconds while it goes on, and when it ends. Hubble has no such thing; its clients
// see the flows beside it.

import { EventKind } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { flowBegun, isReply, portsOf } from './event-flow.ts';
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
    durationNs: opened === undefined ? undefined : time - opened,
    answeredNs: event.answered === 0 ? undefined : BigInt(event.answered) * 1000n,
  };
  if (!isReply(event)) return { ...common, ...ports, source, destination, ip, sourceNames, destinationNames, sent: own, received: other };
  return {
    ...common,
    source: destination,
    destination: source,
    sourceNames: destinationNames,
    destinationNames: sourceNames,
    ip: ip && { ...ip, source: ip.destination, destination: ip.source },
    sourcePort: ports.destinationPort,
    destinationPort: ports.sourcePort,
    sent: other,
    received: own,
  };
}
