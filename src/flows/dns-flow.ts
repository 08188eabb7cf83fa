// SPDX-License-Identifier: Apache-2.0
// DNS in a flow: a question, and its answer with latency. The client learns names of addresses.

import type { Event } from '../datapath/schema.gen.ts';
import { dnsMessage } from './dns-message.ts';
import type { DnsMessage } from './dns-message.ts';
import { isReply } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import { clientOf, flowWith, layer7 } from './exchange-flow.ts';
import type { Asked } from './exchange-flow.ts';
import { exchanges } from './exchanges.ts';
import type { Dns, Flow } from './flow.ts';
import { TrafficDirection } from './flow-enums.ts';
import type { Names } from './names.ts';
import { dnsSummary } from './summary.ts';

const TCP = 6;
const WAITING = 10_000;

/** Undefined for what is no DNS. */
export function dnsFlows(names: Names): (event: Event, payload: Buffer, context: FlowContext) => Flow | undefined {
  const queries = exchanges<Asked>(WAITING);
  return (event, payload, context) => {
    const message = dnsMessage(event.flow.protocol === TCP ? payload.subarray(2) : payload); // its length comes first
    if (!message || message.response !== isReply(event)) return undefined;
    const key = `${clientOf(event)} ${message.id}`;
    if (!message.response) queries.asked(key, event);
    const asked = message.response ? queries.answered(key) : undefined;
    if (message.response) learn(names, event, message);
    const dns = dnsOf(message);
    return flowWith(event, context, {
      l7: layer7(message.response, asked, event, { kind: 'dns', ...dns }),
      summary: dnsSummary(dns, message.response),
      trafficDirection: TrafficDirection.EGRESS, // at the pod that asks
    });
  };
}

/** What Hubble's clients show as the time to live where no answer has one. */
const NO_TTL = 0xffff_ffff;

function dnsOf({ response, name, type, rcode, answers }: DnsMessage): Dns {
  const question = { query: name, qtypes: [type], observationSource: 'proxy' };
  if (!response) return question;
  return {
    ...question,
    rcode,
    ips: answers.map(({ address }) => address).filter((address) => address !== undefined),
    cnames: answers.map(({ target }) => target).filter((target) => target !== undefined),
    ttl: answers.reduce((least, { ttl }) => Math.min(least, ttl), NO_TTL),
    rrtypes: [...new Set(answers.map((answer) => answer.type))],
  };
}

function learn(names: Names, event: Event, { name, answers }: DnsMessage): void {
  for (const { address } of answers) if (address !== undefined) names.learn(event.destination, address, name.replace(/\.$/, ''));
}
