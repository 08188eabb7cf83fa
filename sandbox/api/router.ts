// SPDX-License-Identifier: Apache-2.0
// From a request to whoever answers it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { asApiError, badRequest, methodNotAllowed, pathNotFound, unauthorized } from './api-error.ts';
import { serveDocument } from './documents.ts';
import { sendError } from './exchange.ts';
import { createExecServer, execTargetOf, speaksChannels } from './exec.ts';
import type { ExecServer, Upgrade } from './exec.ts';
import { refused } from './faults.ts';
import type { Router } from './listeners.ts';
import { containerOf, logTargetOf, streamLogs } from './logs.ts';
import { storedObject } from './call.ts';
import { serveObjects } from './rest.ts';
import type { Call, RestContext } from './call.ts';
import { requestInfoOf } from './request-info.ts';
import type { ApiServerOptions } from './server.ts';
import { serveReview, subresourceHandler } from './subresources.ts';

/** What anybody may read without a token. */
const PUBLIC = /^\/(healthz|livez|readyz|version)(\/|$)/;

const urlOf = (request: IncomingMessage): URL => {
  try {
    return new URL(`https://kubernetes${request.url ?? '/'}`);
  } catch {
    throw badRequest(`the request's path cannot be read: ${request.url}`);
  }
};

type Front = {
  readonly context: RestContext;
  readonly options: ApiServerOptions;
  /** Tokens of service accounts (TokenRequest), as users. */
  readonly issued: Map<string, string>;
  readonly execs: ExecServer;
};

const userOf = ({ options, issued }: Front, request: IncomingMessage): string | undefined => {
  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : (options.tokens.get(token) ?? issued.get(token));
};

const callOf = ({ context, options }: Front, asked: Pick<Call, 'request' | 'response' | 'user'>): Call => {
  const url = urlOf(asked.request);
  const info = requestInfoOf(asked.request.method ?? 'GET', url);
  const resource = info && context.registry.served(info.group, info.version, info.plural);
  if (!info || !resource) throw pathNotFound();
  const { verb, group, plural, subresource, namespace, name } = info;
  options.onRequest?.({ user: asked.user, verb, group, resource: plural, subresource, namespace, name });
  if (!resource.namespaced && namespace !== '' && resource.id !== 'namespaces') throw pathNotFound();
  if (resource.namespaced && name !== '' && namespace === '') throw pathNotFound();
  return { ...asked, info, query: url.searchParams, resource };
};

const answer = async (front: Front, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { context, options, issued } = front;
  const user = userOf(front, request);
  if (user === undefined && !PUBLIC.test(urlOf(request).pathname)) throw unauthorized();
  if (serveDocument(context.registry, request, response)) return;
  const call = callOf(front, { request, response, user: user ?? '' });
  const { resource, info, query } = call;
  if (resource.createOnly) return serveReview(call);
  if (resource.id === 'pods' && info.subresource === 'log') {
    if (info.verb !== 'get') throw methodNotAllowed();
    const target = logTargetOf(storedObject(context, call), query);
    return streamLogs(response, (signal) => options.streams.logs(target, signal));
  }
  if (resource.id === 'pods' && info.subresource === 'exec') throw badRequest('Upgrade request required');
  const handler = subresourceHandler(call, (token, name) => issued.set(token, name));
  return handler ? handler(context) : serveObjects(context, call);
};

const answerUpgrade = (front: Front, upgrade: Upgrade): void => {
  const { request } = upgrade;
  const user = userOf(front, request);
  if (user === undefined) throw unauthorized();
  const response = undefined as unknown as ServerResponse; // as: an upgraded request has no response, and nothing below asks for it
  const call = callOf(front, { request, response, user });
  if (call.resource.id !== 'pods' || call.info.subresource !== 'exec') throw badRequest('the sandbox upgrades connections for exec alone');
  const pod = storedObject(front.context, call);
  const asked = execTargetOf({ namespace: call.info.namespace, pod: call.info.name }, call.query);
  if (!pod['spec'].nodeName) throw badRequest(`pod ${call.info.name} does not have a host assigned`);
  if (!speaksChannels(request))
    throw badRequest('only WebSocket with v5.channel.k8s.io or v4.channel.k8s.io is spoken here: kubectl 1.31 or later is wanted');
  front.execs.serve(upgrade, { ...asked, container: containerOf(pod, asked.container) });
};

const refuseUpgrade = (socket: Duplex, thrown: unknown): void => {
  const { code, status } = asApiError(thrown);
  const body = JSON.stringify(status);
  socket.end(
    `HTTP/1.1 ${code} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

/** Answers every request and upgrade; nothing that a client sends makes it throw. */
export const routerOf = (context: RestContext, options: ApiServerOptions): Router => {
  const front: Front = { context, options, issued: new Map(), execs: createExecServer((target) => options.streams.exec(target)) };
  return {
    request(request, response) {
      response.on('error', () => response.destroy()); // the client has gone
      if (refused(options.faults, response)) return;
      answer(front, request, response).catch((error: unknown) => sendError(response, error));
    },
    upgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      if (options.faults?.silent) return;
      try {
        answerUpgrade(front, { request, socket, head });
      } catch (thrown) {
        refuseUpgrade(socket, thrown);
      }
    },
    close: () => front.execs.close(),
  };
};
