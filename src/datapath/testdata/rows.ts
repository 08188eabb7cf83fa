// SPDX-License-Identifier: Apache-2.0
// What a test does not care about in the kernel's records.

import { ip } from '../../base/ip.ts';
import { EventKind, Hook } from '../schema.gen.ts';
import type { ConntrackEntry, Event } from '../schema.gen.ts';

/** Of a flow of which nothing was told. */
export const untold = {
  opened: 0,
  reported: 0,
  answered: 0,
  sourceIdentity: 0,
  destinationIdentity: 0,
  meant: 0,
  seenFlags: 0,
} satisfies Partial<ConntrackEntry>;

const nowhere = ip('::');

/** Of a packet that was dropped, unless said otherwise. */
export function eventRow(said: Pick<Event, 'flow'> & Partial<Event>): Event {
  return {
    time: 0,
    kind: EventKind.drop,
    reason: 0,
    hook: Hook.podFrom,
    point: 0,
    interfaceIndex: 7,
    length: 60,
    line: 1,
    icmpType: 0,
    icmpCode: 0,
    source: nowhere,
    destination: nowhere,
    sourcePort: 0,
    destinationPort: 0,
    sourceIdentity: 0,
    destinationIdentity: 0,
    meant: 0,
    conntrack: 0,
    tcpFlags: 0,
    whole: 0,
    answered: 0,
    opened: 0,
    packets: 0,
    bytes: 0,
    replyPackets: 0,
    replyBytes: 0,
    ...said,
  };
}
