// SPDX-License-Identifier: Apache-2.0
// Calls that servers answer, by method and how they ended, under the names that gRPC servers in Go count them (go-grpc-middleware).

import { metricKinds, metricsOf } from '../base/metrics.ts';
import type { Metric } from '../base/metrics.ts';
import { framesOf } from './frames.ts';
import type { MethodFacts } from './method.ts';
import { Status, statusName } from './status.ts';

/** Of one method. */
export type CallCount = {
  readonly method: Pick<MethodFacts, 'service' | 'name' | 'streams' | 'asks'>;
  started: number;
  received: number;
  sent: number;
  readonly handled: Map<Status, number>;
};

export type CallCounts = {
  /** The same for the same method, which has a count from then on. */
  of(method: MethodFacts): CallCount;
  readonly metrics: readonly Metric[];
};

export function callCounts(): CallCounts {
  const all = new Map<string, CallCount>();
  return {
    of(method) {
      const { service, name } = method;
      return all.getOrInsertComputed(`${service}/${name}`, () => ({
        method,
        started: 0,
        received: 0,
        sent: 0,
        handled: new Map([[Status.OK, 0]]),
      }));
    },
    metrics: metricsOf(callMetrics, () => all.values()),
  };
}

export function countSent(count: CallCount | undefined, frames: Buffer): void {
  if (count) count.sent += framesOf(frames);
}

export function countHandled(count: CallCount | undefined, status: Status): void {
  count?.handled.set(status, (count.handled.get(status) ?? 0) + 1);
}

const LABELS = ['grpc_type', 'grpc_service', 'grpc_method'] as const;

const labelsOf = ({ service, name, streams, asks }: CallCount['method']) => ({
  grpc_type: asks ? 'bidi_stream' : streams ? 'server_stream' : 'unary',
  grpc_service: service,
  grpc_method: name,
});

/** 'INVALID_ARGUMENT' is 'InvalidArgument' in Go, and what is cancelled there has one l. */
const codeText = (status: Status): string =>
  status === Status.OK
    ? 'OK'
    : status === Status.CANCELLED
      ? 'Canceled'
      : statusName(status).replaceAll(/([A-Z])([A-Z]*)_?/g, (_, first: string, rest: string) => first + rest.toLowerCase());

const { counter } = metricKinds<() => Iterable<CallCount>>();
const perMethod = (name: string, help: string, value: (count: CallCount) => number) =>
  counter(name, help, LABELS, (all) => Array.from(all(), (one) => ({ labels: labelsOf(one.method), value: value(one) })));

export const callMetrics = [
  perMethod('grpc_server_started_total', 'Total number of RPCs started on the server.', ({ started }) => started),
  counter(
    'grpc_server_handled_total',
    'Total number of RPCs completed on the server, regardless of success or failure.',
    [...LABELS, 'grpc_code'],
    (all) =>
      Array.from(all()).flatMap(({ method, handled }) =>
        Array.from(handled, ([status, value]) => ({ labels: { ...labelsOf(method), grpc_code: codeText(status) }, value })),
      ),
  ),
  perMethod('grpc_server_msg_received_total', 'Total number of RPC stream messages received on the server.', ({ received }) => received),
  perMethod('grpc_server_msg_sent_total', 'Total number of gRPC stream messages sent by the server.', ({ sent }) => sent),
];
