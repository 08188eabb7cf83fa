// SPDX-License-Identifier: Apache-2.0
// A method of a gRPC service: one request, and one response or a stream of them.

import type { Codec, MessageType } from './message.ts';

export type MethodFacts = {
  /** With its package. */
  readonly service: string;
  readonly name: string;
  readonly request: MessageType;
  readonly response: MessageType;
  readonly streams: boolean;
  /** Requests are a stream too, each answered by one response. */
  readonly asks?: boolean;
};

export type Method<Req, Res> = MethodFacts & { readonly request: Codec<Req>; readonly response: Codec<Res> };

export const pathOf = ({ service, name }: { readonly service: string; readonly name: string }): string => `/${service}/${name}`;
