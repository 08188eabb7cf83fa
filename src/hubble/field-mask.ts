// SPDX-License-Identifier: Apache-2.0
// Field masks of GetFlows: which parts of a flow are sent. A path that no flow has is passed over, as a client may be newer.

import { maskOf } from '../grpc/message.ts';
import type { Codec } from '../grpc/message.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { getFlowsResponse, getFlowsResponseWith } from './observer.ts';
import type { GetFlowsResponse } from './observer.ts';
import { flow } from './flow-messages.ts';

/** What `hubble observe` asks for when it prints lines. */
const forLines: readonly string[] = 'time verdict ethernet IP l4 Type node_name l7 event_type is_reply Summary'
  .split(' ')
  .concat(['source', 'destination'].flatMap((end) => [`${end}.identity`, `${end}.namespace`, `${end}.pod_name`, `${end}_service`]));

/** What its lines could say if it had asked for it too: directions and points of verdicts and events, names, policies. */
const betterLines: readonly string[] = 'traffic_direction policy_match_type sock_xlate_point debug_capture_point auth_type drop_reason_desc'
  .split(' ')
  .concat('source_names', 'destination_names', 'egress_allowed_by', 'ingress_allowed_by', 'egress_denied_by', 'ingress_denied_by');

/** How responses are written for whoever has this mask. Throws RpcError where a path cannot be one. */
export function responseCodec(paths: readonly string[]): Codec<GetFlowsResponse> {
  const wrong = paths.findIndex((path) => !/^\w+(?:\.\w+)*$/.test(path));
  if (wrong >= 0)
    throw new RpcError(
      Status.INVALID_ARGUMENT,
      `field_mask.paths[${wrong}]: '${paths[wrong] ?? ''}' is no path, wanted one like source.pod_name`,
    );
  if (paths.length === 0) return getFlowsResponse;
  const wanted = new Set(paths);
  const asLines = forLines.every((path) => wanted.has(path));
  return getFlowsResponseWith(flow.only?.(maskOf(asLines ? [...paths, ...betterLines] : paths)) ?? flow);
}
