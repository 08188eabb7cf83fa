// SPDX-License-Identifier: Apache-2.0
// One request and its answer over HTTP: reading bodies with a limit, and writing JSON, Status and warnings.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse } from 'yaml';
import { asApiError, badRequest, tooLarge, unsupportedMediaType } from './api-error.ts';
import type { Json } from './json.ts';
import { decodedProtobuf, PROTOBUF } from './protobuf.ts';

const BODY_LIMIT = 3 * 1024 * 1024; // bytes, as the real server's

/** The whole body. ApiError 413 when it is longer than the limit. */
export const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT) throw tooLarge(BODY_LIMIT);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw tooLarge(BODY_LIMIT);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

export const contentTypeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';

const OBJECT_TYPES = ['application/json', 'application/yaml', PROTOBUF];

/** Parses JSON, or YAML where the type says so. ApiError 400 with the parser's complaint. */
export const parsedBody = (body: Buffer, type: string): Json => {
  try {
    return type.endsWith('yaml') ? parse(body.toString()) : JSON.parse(body.toString());
  } catch (error) {
    throw badRequest(`couldn't parse the body of the request: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** The object in the body of a POST, PUT or DELETE; undefined when there is no body. ApiError 400, 413, 415. */
export const readObject = async (request: IncomingMessage): Promise<Json> => {
  const body = await readBody(request);
  if (body.length === 0) return undefined;
  const type = contentTypeOf(request);
  if (!OBJECT_TYPES.includes(type)) throw unsupportedMediaType(OBJECT_TYPES);
  if (type === PROTOBUF) return decodedProtobuf(body);
  return parsedBody(body, type);
};

export const sendText = (response: ServerResponse, code: number, text: string | Buffer, contentType = 'application/json'): void => {
  if (response.headersSent || response.destroyed) return void response.end();
  const body = typeof text === 'string' ? Buffer.from(text) : text;
  response.writeHead(code, { 'content-type': contentType, 'content-length': body.length, 'cache-control': 'no-cache, private' });
  response.end(body);
};

export const sendJson = (response: ServerResponse, code: number, value: Json): void => sendText(response, code, JSON.stringify(value));

/** Answers with the Status of whatever was thrown. */
export const sendError = (response: ServerResponse, thrown: unknown): void => {
  const error = asApiError(thrown);
  if (!response.headersSent) {
    if (error.code === 401) response.setHeader('www-authenticate', 'Bearer');
    if (error.code === 413) response.setHeader('connection', 'close'); // the rest of the body is not worth reading
    if (error.details?.retryAfterSeconds) response.setHeader('retry-after', error.details.retryAfterSeconds);
  }
  sendJson(response, error.code, error.status);
};

/** Adds a Warning header, which kubectl prints. */
export const warn = (response: ServerResponse, text: string): void => {
  const quoted = text
    .replace(/[\r\n]+/g, ' ')
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/(["\\])/g, '\\$1');
  response.appendHeader('warning', `299 - "${quoted}"`);
};
