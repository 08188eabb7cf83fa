// SPDX-License-Identifier: Apache-2.0
// kubectl logs: a container's output as plain text, optionally followed until the client goes.
import type { ServerResponse } from 'node:http';
import { badRequest } from './api-error.ts';
import { sendError } from './exchange.ts';
import type { KubeObject } from './json.ts';
import type { LogTarget } from './streams.ts';

const FIRST_ANSWER = 300; // milliseconds to wait for a refusal before saying 200

const wholeNumber = (query: URLSearchParams, name: string): number | undefined => {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d+$/.test(text)) throw badRequest(`Invalid value: "${text}": ${name} must be a whole number`);
  return Number(text);
};

const sinceOf = (query: URLSearchParams): number | undefined => {
  const time = Date.parse(query.get('sinceTime') ?? '');
  return Number.isNaN(time) ? wholeNumber(query, 'sinceSeconds') : Math.max(1, Math.ceil((Date.now() - time) / 1000));
};

/** The container that a log or exec request means. ApiError 400 when it is not clear or not there. */
export const containerOf = (pod: KubeObject, asked: string | null | undefined): string => {
  const spec = pod['spec'];
  const names: readonly string[] = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])].map(
    ({ name }) => name,
  );
  if (asked) {
    if (!names.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`);
    return asked;
  }
  const preferred = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (preferred !== undefined && names.includes(preferred)) return preferred;
  if (spec.containers.length > 1)
    throw badRequest(
      `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${spec.containers.map(({ name }: { name: string }) => name).join(' ')}]`,
    );
  return spec.containers[0].name;
};

export const logTargetOf = (pod: KubeObject, query: URLSearchParams): LogTarget => {
  const flag = (name: string): boolean => ['true', '1'].includes(query.get(name) ?? '');
  const tailLines = wholeNumber(query, 'tailLines');
  const sinceSeconds = sinceOf(query);
  return {
    namespace: pod.metadata.namespace ?? '',
    pod: pod.metadata.name,
    container: containerOf(pod, query.get('container')),
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    ...(tailLines !== undefined && { tailLines }),
    ...(sinceSeconds !== undefined && { sinceSeconds }),
  };
};

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });

/** Streams the log; a refusal that comes soon is a Status, a later one ends the text. */
export const streamLogs = async (response: ServerResponse, chunks: (signal: AbortSignal) => AsyncIterable<Buffer>): Promise<void> => {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const iterator = chunks(gone.signal)[Symbol.asyncIterator]();
  const begin = (): void => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.flushHeaders();
  };
  const timer = setTimeout(begin, FIRST_ANSWER);
  try {
    for (let step = await iterator.next(); !step.done && !gone.signal.aborted; step = await iterator.next()) {
      begin();
      if (!response.write(step.value)) await drained(response);
    }
    begin();
  } catch (error) {
    if (!gone.signal.aborted) sendError(response, error);
  } finally {
    clearTimeout(timer);
    gone.abort();
    response.end();
  }
};
