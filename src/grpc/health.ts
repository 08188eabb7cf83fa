// SPDX-License-Identifier: Apache-2.0
// `grpc.health.v1.Health`: whether a service can be asked, for probes and for clients that look before they ask.

import { choice, string } from './fields.ts';
import { streaming, unary } from './handler.ts';
import type { Handler } from './handler.ts';
import { message } from './message.ts';
import type { Method } from './method.ts';
import { RpcError, Status } from './status.ts';

export const Serving = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;
export type Serving = (typeof Serving)[keyof typeof Serving];

type Request = { readonly service?: string | undefined };
type Response = { readonly status?: Serving | undefined };
const request = message<Request>('grpc.health.v1.HealthCheckRequest', { service: string(1) });
const response = message<Response>('grpc.health.v1.HealthCheckResponse', {
  status: choice(1, { name: 'grpc.health.v1.HealthCheckResponse.ServingStatus', values: Serving }),
});

const method = (name: string, streams: boolean): Method<Request, Response> => ({
  service: 'grpc.health.v1.Health',
  name,
  request,
  response,
  streams,
});
export const check = method('Check', false);
export const watch = method('Watch', true);

const LOOK_MS = 500;

/** `serving`: of a service by name ('' is the server as a whole); undefined: there is no such service. */
export const healthHandlers = (serving: (service: string) => boolean | undefined): readonly Handler[] => [
  unary(check, ({ service = '' }) => {
    const is = serving(service);
    if (is === undefined) throw new RpcError(Status.NOT_FOUND, `there is no service ${service}`);
    return { status: is ? Serving.SERVING : Serving.NOT_SERVING };
  }),
  streaming(watch, async function* ({ service = '' }, { signal }) {
    let told: Serving | undefined;
    while (!signal.aborted) {
      const is = serving(service);
      const status = is === undefined ? Serving.SERVICE_UNKNOWN : is ? Serving.SERVING : Serving.NOT_SERVING;
      if (status !== told) yield [{ status }];
      told = status;
      await pause(LOOK_MS, signal);
    }
  }),
];

/** Ends early when the signal comes. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
