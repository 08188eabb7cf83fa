// SPDX-License-Identifier: Apache-2.0
// How much went over a connection: told every five seconds while it goes on, and when it ends. Hubble has no such thing; its clients
// see the flows beside it.

import { EventKind } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { endsOf, isReply, portsOf } from './event-flow.ts';
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

/** Undefined for an event that does not know both directions. */
export function connectionOf(event: Event, context: FlowContext): Connection | undefined {
  if (event.whole === 0) return undefined;
  const { sourceService, destinationService = sourceService, uuid: _uuid, ...ends } = endsOf(event, context);
  const ports = portsOf(event);
  const own = { packets: event.packets, bytes: event.bytes };
  const other = { packets: event.replyPackets, bytes: event.replyBytes };
  const opened = event.opened === 0 ? undefined : context.bootTime + BigInt(event.opened);
  const common = {
    ...ends,
    ...(destinationService && { destinationService }),
    protocol: protocolNames[event.flow.protocol] ?? String(event.flow.protocol),
    ended: event.kind === EventKind.connection,
    opened,
    durationNs: opened === undefined ? undefined : ends.time - opened,
    answeredNs: event.answered === 0 ? undefined : BigInt(event.answered) * 1000n,
  };
  if (!isReply(event)) return { ...common, ...ports, sent: own, received: other };
  const { source, destination, ip } = ends;
  return {
    ...common,
    source: destination,
    destination: source,
    ip: ip && { ...ip, source: ip.destination, destination: ip.source },
    sourcePort: ports.destinationPort,
    destinationPort: ports.sourcePort,
    sent: other,
    received: own,
  };
}
