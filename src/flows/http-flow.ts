// SPDX-License-Identifier: Apache-2.0
// HTTP in flows: requests, and their answers with latency. Of HTTP/1 a packet begins with one, of HTTP/2 it may have several.

import { addressPort } from '../base/ip.ts';
import { ConntrackFlag } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { isReply } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import { clientOf, flowWith, latencyMs, layer7, serverAddress, serverOf } from './exchange-flow.ts';
import type { Asked } from './exchange-flow.ts';
import { exchanges } from './exchanges.ts';
import type { Flow, Http, HttpHeader, TraceContext } from './flow.ts';
import { TrafficDirection } from './flow-enums.ts';
import { http2 } from './http2.ts';
import type { Segment } from './http2-frames.ts';
import { headerOf, httpMessage } from './http-message.ts';
import type { HttpMessage, HttpRequest } from './http-message.ts';
import { redactedHeaders, redactedUrl } from './redaction.ts';
import type { Redaction } from './redaction.ts';
import { httpSummary } from './summary.ts';

type AskedHttp = Asked & { readonly method: string; readonly url: string; readonly traceContext: TraceContext | undefined };

const WAITING = 10_000;

/** Undefined for what is no HTTP. */
export function httpFlows(
  redaction: Redaction | undefined,
): (event: Event, segment: Segment, context: FlowContext) => readonly Flow[] | undefined {
  const requests = exchanges<AskedHttp>(WAITING);
  const connections = http2();
  /** `key`: what a request and its answer have in common. */
  const flowOf = (event: Event, context: FlowContext, message: HttpMessage, key: string): Flow => {
    const response = message.kind === 'response';
    const url = response ? '' : redaction ? redactedUrl(urlOf(event, message), redaction) : urlOf(event, message);
    if (!response) requests.asked(key, { time: event.time, method: message.method, url, traceContext: traceOf(message) });
    // what is informational comes before the answer
    const asked = !response ? undefined : message.code < 200 && message.code !== 101 ? undefined : requests.answered(key);
    const http = httpOf(message, url, asked, redaction ? redactedHeaders(message.headers, redaction) : message.headers);
    return flowWith(event, context, {
      l7: layer7(response, asked, event, { kind: 'http', ...http }),
      summary: httpSummary(http, response ? latencyMs(asked, event) : undefined),
      trafficDirection: context.directory.podAt(serverAddress(event)) ? TrafficDirection.INGRESS : TrafficDirection.EGRESS,
      traceContext: response ? asked?.traceContext : traceOf(message),
    });
  };
  return (event, segment, context) => {
    const connection = `${clientOf(event)} ${serverOf(event)}`;
    if (event.conntrack & ConntrackFlag.http2) {
      const messages = connections.messages(connection, isReply(event), segment);
      return messages?.map(({ stream, message }) => flowOf(event, context, message, `${connection} ${stream}`));
    }
    const message = httpMessage(segment.bytes);
    if (!message || (message.kind === 'response') !== isReply(event)) return undefined;
    return [flowOf(event, context, message, connection)];
  };
}

/** `asked`: what an answer is to. */
function httpOf(message: HttpMessage, url: string, asked: AskedHttp | undefined, headers: readonly HttpHeader[]): Http {
  if (message.kind === 'response')
    return { code: message.code, protocol: message.protocol, headers, method: asked?.method ?? '', url: asked?.url ?? '' };
  return { method: message.method, url, protocol: message.protocol ?? 'HTTP/1.1', headers };
}

function urlOf(event: Event, { target, headers, authority }: HttpRequest): string {
  if (!target.startsWith('/')) return target;
  return `http://${authority ?? headerOf(headers, 'host') ?? addressPort(event.flow.destination, event.flow.destinationPort)}${target}`;
}

/** W3C Trace Context, version 00. */
function traceOf({ headers }: HttpRequest): TraceContext | undefined {
  const [, traceId] = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(headerOf(headers, 'traceparent') ?? '') ?? [];
  return traceId === undefined ? undefined : { parent: { traceId } };
}
