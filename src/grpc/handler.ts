// SPDX-License-Identifier: Apache-2.0
// What a server does for a method. Messages are typed on this side and bytes on the other.

import { decode, encode, framed } from './message.ts';
import type { Method, MethodFacts } from './method.ts';
import { frame } from './frames.ts';
import { RpcError, Status } from './status.ts';
import { WireError } from './wire.ts';

export type Call = {
  /** Aborted when the client goes or its deadline passes. */
  readonly signal: AbortSignal;
  readonly metadata: Readonly<Record<string, string | readonly string[] | undefined>>;
};

export type Handler = {
  readonly method: MethodFacts;
  /** Throws RpcError at once where the request is bad; yields frames. Called for each message where the method asks. */
  answer(request: Buffer, call: Call): AsyncIterable<Buffer> | Promise<Buffer>;
};

export const unary = <Req, Res>(method: Method<Req, Res>, answer: (request: Req, call: Call) => Res | Promise<Res>): Handler => ({
  method,
  answer: async (request, call) => frame(encode(method.response, await answer(read(method, request), call))),
});

/** `answer` throws RpcError at once where the request is bad; then it yields several messages at a time. */
export const streaming = <Req, Res>(
  method: Method<Req, Res>,
  answer: (request: Req, call: Call) => AsyncIterable<readonly Res[]>,
): Handler =>
  raw(method, (request, call) => {
    const batches = answer(request, call);
    return (async function* () {
      for await (const batch of batches) if (batch.length > 0) yield framed(method.response, batch);
    })();
  });

/** Like `streaming`, for whoever has the messages as frames already. */
export const raw = <Req, Res>(method: Method<Req, Res>, answer: (request: Req, call: Call) => AsyncIterable<Buffer>): Handler => ({
  method,
  answer: (request, call) => answer(read(method, request), call),
});

function read<Req>({ service, name, request }: Pick<Method<Req, unknown>, 'service' | 'name' | 'request'>, bytes: Buffer): Req {
  try {
    return decode(request, bytes);
  } catch (error) {
    if (error instanceof WireError)
      throw new RpcError(Status.INVALID_ARGUMENT, `${service}/${name}: the request is malformed: ${error.message}`, { cause: error });
    throw error;
  }
}
