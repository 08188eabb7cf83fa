// SPDX-License-Identifier: Apache-2.0
// From what a packet carries to flows of DNS or HTTP, as a proxy in between would have told them; there is none.
//
//   payload ─┬─ dnsFlows() ──▶ request ──▶ waits ──▶ response, with latency; the client learns names of addresses
//            └─ httpFlows() ─▶ request ──▶ waits ──▶ response, with latency

import type { Event } from '../datapath/schema.gen.ts';
import { dnsFlows } from './dns-flow.ts';
import { isReply } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import type { Flow } from './flow.ts';
import { httpFlows } from './http-flow.ts';
import type { Segment } from './http2-frames.ts';
import type { Names } from './names.ts';
import type { Redaction } from './redaction.ts';

export type Payloads = {
  /** None for what is neither, and for what says nothing yet. */
  flowsOf(event: Event, segment: Segment, context: FlowContext): readonly Flow[];
  /** What should have been DNS or HTTP by where it came from and how it began. */
  readonly malformed: { readonly dns: number; readonly http: number };
};

const DNS_PORT = 53;

export function payloads(names: Names, redaction: Redaction | undefined): Payloads {
  const [dns, http] = [dnsFlows(names), httpFlows(redaction)];
  const malformed = { dns: 0, http: 0 };
  return {
    flowsOf(event, segment, context) {
      if (isDns(event)) {
        const flow = dns(event, segment.bytes, context);
        if (flow) return [flow];
        malformed.dns++;
        return [];
      }
      const flows = http(event, segment, context);
      if (!flows) malformed.http++;
      return flows ?? [];
    },
    malformed,
  };
}

/** As the client means it: its side of a translation, be it that an answer leaves from there. */
function isDns(event: Event): boolean {
  const { flow, sourcePort, destinationPort } = event;
  return isReply(event)
    ? flow.sourcePort === DNS_PORT || sourcePort === DNS_PORT
    : flow.destinationPort === DNS_PORT || destinationPort === DNS_PORT;
}
