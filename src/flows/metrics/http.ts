// SPDX-License-Identifier: Apache-2.0
// http and httpV2: requests, answers and how long they took. Labels of the context say who sent the packet under http, and under httpV2,
// which counts answers only, who had asked.

import { BUCKETS } from '../../base/metrics.ts';
import type { Flow, Http } from '../flow.ts';
import { L7FlowType, TrafficDirection } from '../flow-enums.ts';
import type { Context } from './context.ts';
import { closed, open, vector } from './handler.ts';
import type { Handler, Vector } from './handler.ts';
import { numberText } from './words.ts';

/** Who tells of it: both ends may. */
function reporterText({ trafficDirection }: Flow): string {
  if (trafficDirection === TrafficDirection.EGRESS) return 'client';
  return trafficDirection === TrafficDirection.INGRESS ? 'server' : 'unknown';
}

const requestsFamily = { name: 'hubble_http_requests_total', help: 'Count of HTTP requests' };
const durationFamily = {
  name: 'hubble_http_request_duration_seconds',
  help: 'Quantiles of HTTP request duration in seconds',
  buckets: BUCKETS,
};
const durationLabels = [open('method'), closed('reporter')];

type Count = (flow: Flow, http: Http) => void;

function handler(vectors: readonly Vector[], onRequest: Count, onResponse: Count): Handler {
  const count = (flow: Flow) => {
    const record = flow.l7?.record;
    if (record?.kind !== 'http') return;
    if (flow.l7?.type === L7FlowType.REQUEST) onRequest(flow, record);
    else if (flow.l7?.type === L7FlowType.RESPONSE) onResponse(flow, record);
  };
  return { families: vectors.map(({ family }) => family), count };
}

const seconds = ({ l7 }: Flow): number => Number(l7?.latencyNs ?? 0n) / 1e9;

export function httpHandler(context: Context): Handler {
  const requests = vector(requestsFamily, [open('method'), open('protocol'), closed('reporter')], context);
  const responses = vector(
    { name: 'hubble_http_responses_total', help: 'Count of HTTP responses' },
    [open('method'), open('protocol'), open('status'), closed('reporter')],
    context,
  );
  const durations = vector(durationFamily, durationLabels, context);
  return handler(
    [requests, responses, durations],
    (flow, { method = '', protocol = '' }) => fillIn(requests, flow, context, [method, protocol, reporterText(flow)]).add(requests.values),
    (flow, { method = '', protocol = '', code = 0 }) => {
      const reporter = reporterText(flow);
      fillIn(responses, flow, context, [method, protocol, numberText(code), reporter]).add(responses.values);
      fillIn(durations, flow, context, [method, reporter]).observe(durations.values, seconds(flow));
    },
  );
}

export function httpV2Handler(context: Context): Handler {
  const requests = vector(requestsFamily, [open('method'), open('protocol'), open('status'), closed('reporter')], context);
  const durations = vector(durationFamily, durationLabels, context);
  const turned: Context = { ...context, fill: (flow, values, at) => context.fill(flow, values, at, true) };
  return handler(
    [requests, durations],
    () => undefined,
    (flow, { method = '', protocol = '', code = 0 }) => {
      const reporter = reporterText(flow);
      fillIn(requests, flow, turned, [method, protocol, numberText(code), reporter]).add(requests.values);
      fillIn(durations, flow, turned, [method, reporter]).observe(durations.values, seconds(flow));
    },
  );
}

function fillIn({ family, values, own }: Vector, flow: Flow, context: Context, texts: readonly string[]) {
  for (let i = 0; i < own; i++) values[i] = texts[i] ?? '';
  context.fill(flow, values, own);
  return family;
}
