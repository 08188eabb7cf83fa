// SPDX-License-Identifier: Apache-2.0
// Requests and answers of HTTP/2 without TLS, gRPC among them, as far as they can be known: a connection that began before the agent, or
// of which something was missed, has requests without a path until the client spells it out again, and answers with one of the usual codes.

import type { HttpHeader } from './flow.ts';
import type { HttpMessage } from './http-message.ts';
import { isKept, isShowable } from './http-message.ts';
import { direction } from './http2-frames.ts';
import type { Direction, HeaderBlock, Segment } from './http2-frames.ts';
import type { HeaderField } from './hpack.ts';

export type Http2Message = { readonly stream: number; readonly message: HttpMessage };

export type Http2 = {
  /** `connection`: the same text for all packets of a connection. Undefined for what is no HTTP/2. */
  messages(connection: string, isReply: boolean, segment: Segment): readonly Http2Message[] | undefined;
};

/** Connections whose headers are remembered: at most 8 KiB each. */
const CONNECTIONS = 1000;

export function http2(): Http2 {
  const connections = new Map<string, { readonly request: Direction; readonly reply: Direction }>();
  const known = (connection: string) => {
    const found = connections.get(connection) ?? { request: direction(), reply: direction() };
    connections.delete(connection);
    connections.set(connection, found); // who was heard of last is the last
    if (connections.size > CONNECTIONS) for (const oldest of connections.keys()) if (connections.delete(oldest)) break;
    return found;
  };
  return {
    messages(connection, isReply, segment) {
      const blocks = known(connection)[isReply ? 'reply' : 'request'].read(segment);
      return blocks?.flatMap((block) => (isReply ? answerIn(block) : requestIn(block)));
    },
  };
}

const PROTOCOL = 'HTTP/2';

/** None for trailers, which have no such fields. */
function requestIn({ stream, fields }: HeaderBlock): readonly Http2Message[] {
  const [first] = fields;
  if (first === undefined || (first.name !== undefined && !first.name.startsWith(':'))) return [];
  const [method = '', path = '', host] = [':method', ':path', ':authority'].map((name) => valueOf(fields, name));
  const authority = host === undefined ? {} : { authority: host };
  return [{ stream, message: { kind: 'request', method, target: path, protocol: PROTOCOL, headers: headersIn(fields), ...authority } }];
}

/** None where the code is not known, either. */
function answerIn({ stream, fields }: HeaderBlock): readonly Http2Message[] {
  const code = valueOf(fields, ':status') ?? '';
  if (!/^[1-5]\d\d$/.test(code)) return [];
  return [{ stream, message: { kind: 'response', code: Number(code), protocol: PROTOCOL, headers: headersIn(fields) } }];
}

function valueOf(fields: readonly HeaderField[], wanted: string): string | undefined {
  const value = fields.find(({ name }) => name === wanted)?.value;
  return value !== undefined && /^[!-~]+$/.test(value) ? value : undefined;
}

function headersIn(fields: readonly HeaderField[]): readonly HttpHeader[] {
  return fields.flatMap(({ name: key, value }) =>
    key !== undefined && value !== undefined && isKept(key) && isShowable(value) ? [{ key, value }] : [],
  );
}
