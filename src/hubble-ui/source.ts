// SPDX-License-Identifier: Apache-2.0
// Where the page's flows come from: the relay, or what stands in for it in a test.

import type { Flow, LostEvent } from '../flows/flow.ts';
import type { FlowFilter } from '../hubble/filter-message.ts';
import type { Certificate, NodeHealth } from '../page/api.ts';
import type { Bucket } from '../page/graph.ts';

/** As Hubble's GetFlows is asked. */
export type FlowRequest = {
  readonly number?: number | undefined;
  readonly first?: boolean | undefined;
  readonly follow?: boolean | undefined;
  /** Nanoseconds since the epoch. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  readonly whitelist: readonly FlowFilter[];
  readonly blacklist: readonly FlowFilter[];
};

export type FlowAnswer =
  | { readonly kind: 'flow'; readonly flow: Flow }
  | { readonly kind: 'lost'; readonly node: string; readonly lost: LostEvent }
  | { readonly kind: 'nodes'; readonly connected: boolean; readonly names: readonly string[]; readonly message?: string | undefined };

export type RelayStatus = { readonly version?: string | undefined; readonly flowsRate?: number | undefined };

/** Milliseconds since the epoch. */
export type Past = { readonly since: number; readonly until: number };

export type FlowSource = {
  /** For people: 'hubble-relay:80'. */
  readonly address: string;
  /** Ends with the request's range, with `signal`, or by throwing. */
  flows(request: FlowRequest, signal: AbortSignal): AsyncIterable<FlowAnswer>;
  /** All flows of a stretch of the past in equal parts; undefined where nobody can say without reading them. */
  histogram(past: Past, buckets: number, signal: AbortSignal): Promise<readonly Bucket[] | undefined>;
  namespaces(signal: AbortSignal): Promise<readonly string[]>;
  status(signal: AbortSignal): Promise<RelayStatus>;
  nodes(signal: AbortSignal): Promise<readonly NodeHealth[]>;
  /** That nodes show to those who ask them for flows. */
  certificates(nodes: readonly NodeHealth[]): Promise<readonly Certificate[]>;
};
