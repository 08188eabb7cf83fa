// SPDX-License-Identifier: Apache-2.0
// From what a packet carries to a flow of DNS or HTTP, as a proxy in between would have told it; there is none.
//
//   payload ─┬─ dnsMessage() ──▶ request ──▶ waits ──▶ response, with latency; the client learns names of addresses
//            └─ httpMessage() ─▶ request ──▶ waits ──▶ response, with latency

import { addressPort } from '../base/ip.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { dnsMessage } from './dns-message.ts';
import type { DnsMessage } from './dns-message.ts';
import { flowBegun, isReply, portsOf } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import { exchanges } from './exchanges.ts';
import type { Dns, Flow, Http, HttpHeader, Layer7, TraceContext } from './flow.ts';
import { FlowType, L7FlowType, MessageType, TrafficDirection } from './flow-enums.ts';
import { headerOf, httpMessage } from './http-message.ts';
import type { HttpRequest, HttpResponse } from './http-message.ts';
import type { Names } from './names.ts';
import { redactedHeaders, redactedUrl } from './redaction.ts';
import type { Redaction } from './redaction.ts';
import { dnsSummary, httpSummary } from './summary.ts';

export type Payloads = {
  /** Undefined for what is neither. */
  flowOf(event: Event, payload: Buffer, context: FlowContext): Flow | undefined;
  /** What should have been DNS or HTTP by where it came from and how it began. */
  readonly malformed: { readonly dns: number; readonly http: number };
};

const TCP = 6;
const DNS_PORT = 53;
const WAITING = 10_000;

type Asked = { readonly time: number };
type AskedHttp = Asked & { readonly method: string; readonly url: string; readonly traceContext: TraceContext | undefined };

export function payloads(names: Names, redaction: Redaction | undefined): Payloads {
  const [queries, requests] = [exchanges<Asked>(WAITING), exchanges<AskedHttp>(WAITING)];
  const malformed = { dns: 0, http: 0 };
  const dnsFlow = (event: Event, payload: Buffer, context: FlowContext) => {
    const message = dnsMessage(event.flow.protocol === TCP ? payload.subarray(2) : payload); // its length comes first
    if (!message || message.response !== isReply(event)) {
      malformed.dns++;
      return undefined;
    }
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
  const httpFlow = (event: Event, payload: Buffer, context: FlowContext) => {
    const message = httpMessage(payload);
    if (!message || (message.kind === 'response') !== isReply(event)) {
      malformed.http++;
      return undefined;
    }
    const response = message.kind === 'response';
    const key = `${clientOf(event)} ${serverOf(event)}`;
    const url = response ? '' : redaction ? redactedUrl(urlOf(event, message), redaction) : urlOf(event, message);
    if (!response) requests.asked(key, { time: event.time, method: message.method, url, traceContext: traceOf(message) });
    // what is informational comes before the answer
    const asked = !response ? undefined : message.code < 200 && message.code !== 101 ? undefined : requests.answered(key);
    const headers = redaction ? redactedHeaders(message.headers, redaction) : message.headers;
    const http = httpOf(message, url, asked, headers);
    const traceContext = response ? asked?.traceContext : traceOf(message);
    return flowWith(event, context, {
      l7: layer7(response, asked, event, { kind: 'http', ...http }),
      summary: httpSummary(http, response ? latencyMs(asked, event) : undefined),
      trafficDirection: context.directory.podAt(serverAddress(event)) ? TrafficDirection.INGRESS : TrafficDirection.EGRESS,
      traceContext,
    });
  };
  return {
    flowOf: (event, payload, context) => (isDns(event) ? dnsFlow(event, payload, context) : httpFlow(event, payload, context)),
    malformed,
  };
}

type Said = Pick<Flow, 'l7' | 'summary' | 'trafficDirection' | 'traceContext'>;

function flowWith(event: Event, context: FlowContext, { l7, summary, trafficDirection, traceContext }: Said): Flow {
  const flow = flowBegun(event, context);
  flow.l4 = { kind: event.flow.protocol === TCP ? 'TCP' : 'UDP', ...portsOf(event) };
  flow.type = FlowType.L7;
  flow.reply = flow.isReply = isReply(event);
  flow.eventType = { type: MessageType.L7, subType: 0 };
  flow.l7 = l7;
  flow.summary = summary;
  flow.trafficDirection = trafficDirection;
  flow.traceContext = traceContext;
  return flow;
}

/** As the client means it: its side of a translation, be it that an answer leaves from there. */
function isDns(event: Event): boolean {
  const { flow, sourcePort, destinationPort } = event;
  return isReply(event)
    ? flow.sourcePort === DNS_PORT || sourcePort === DNS_PORT
    : flow.destinationPort === DNS_PORT || destinationPort === DNS_PORT;
}

function clientOf(event: Event): string {
  const { flow, destination, destinationPort } = event;
  return isReply(event) ? addressPort(destination, destinationPort) : addressPort(flow.source, flow.sourcePort);
}

function serverAddress(event: Event): Event['destination'] {
  return isReply(event) ? event.flow.source : event.destination;
}

function serverOf(event: Event): string {
  return addressPort(serverAddress(event), isReply(event) ? event.flow.sourcePort : event.destinationPort);
}

function layer7(response: boolean, asked: Asked | undefined, event: Event, record: NonNullable<Layer7['record']>): Layer7 {
  const type = response ? L7FlowType.RESPONSE : L7FlowType.REQUEST;
  return asked ? { type, latencyNs: BigInt(Math.max(0, event.time - asked.time)), record } : { type, record };
}

function latencyMs(asked: Asked | undefined, event: Event): number {
  return asked ? Math.max(0, Math.trunc((event.time - asked.time) / 1e6)) : 0;
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

/** `asked`: what an answer is to. */
function httpOf(message: HttpRequest | HttpResponse, url: string, asked: AskedHttp | undefined, headers: readonly HttpHeader[]): Http {
  if (message.kind === 'response')
    return { code: message.code, protocol: message.protocol, headers, method: asked?.method ?? '', url: asked?.url ?? '' };
  return { method: message.method, url, protocol: message.protocol ?? 'HTTP/1.1', headers };
}

function urlOf(event: Event, { target, headers }: HttpRequest): string {
  if (!target.startsWith('/')) return target;
  return `http://${headerOf(headers, 'host') ?? addressPort(event.flow.destination, event.flow.destinationPort)}${target}`;
}

/** W3C Trace Context, version 00. */
function traceOf({ headers }: HttpRequest): TraceContext | undefined {
  const [, traceId] = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(headerOf(headers, 'traceparent') ?? '') ?? [];
  return traceId === undefined ? undefined : { parent: { traceId } };
}
