// SPDX-License-Identifier: Apache-2.0
// A socket that means a service and gets a backend: two flows, as Hubble's clients know them, one before translation and one after.

import { familyOf, ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import type { LbFrontend, SocketEvent } from '../datapath/schema.gen.ts';
import { ipOf } from './event-flow.ts';
import type { FlowContext } from './event-flow.ts';
import type { Flow, Layer4 } from './flow.ts';
import { FlowType, MessageType, SocketTranslationPoint, Verdict } from './flow-enums.ts';

const TCP = 6;
const UNSPECIFIED = { 4: ip('0.0.0.0'), 6: ip('::') } as const;

/** The socket has no address yet: its pod's stands for it, and its port is not known. */
export function socketFlows(event: SocketEvent, context: FlowContext): readonly [Flow, Flow] {
  const { directory } = context;
  const pod = directory.podInside(event.netns);
  const family = familyOf(event.frontend.address);
  const source = pod?.addresses.find((address) => familyOf(address) === family);
  const service =
    directory.serviceOf(event.service) ?? directory.serviceAt(event.frontend.address, event.frontend.port, event.frontend.protocol);
  const common = {
    time: context.bootTime + BigInt(event.time),
    nodeName: context.nodeName,
    ...(context.nodeLabels && { nodeLabels: context.nodeLabels }),
    type: FlowType.SOCK,
    reply: false,
    socketCookie: BigInt(event.socket),
    cgroupId: BigInt(event.cgroup),
    source: source ? directory.endpointAt(source, 0) : HOST,
    summary: event.frontend.protocol === TCP ? 'TCP' : 'UDP',
  };
  const half = (to: LbFrontend, from: Ip): Pick<Flow, 'uuid' | 'ip' | 'l4' | 'destination'> => ({
    uuid: context.uuid(),
    ip: ipOf(from, to.address),
    l4: layer4(to),
    destination: to === event.frontend ? WORLD : directory.endpointAt(to.address, 0),
  });
  const from = source ?? UNSPECIFIED[family];
  const { SOCK_XLATE_POINT_PRE_DIRECTION_FWD: pre, SOCK_XLATE_POINT_POST_DIRECTION_FWD: post } = SocketTranslationPoint;
  const meant = service && { destinationService: service };
  return [
    {
      ...common,
      ...half(event.frontend, from),
      ...meant,
      verdict: Verdict.TRACED,
      sockXlatePoint: pre,
      eventType: { type: MessageType.TRACE_SOCK, subType: pre },
    },
    {
      ...common,
      ...half(event.backend, from),
      ...meant,
      verdict: Verdict.TRANSLATED,
      sockXlatePoint: post,
      eventType: { type: MessageType.TRACE_SOCK, subType: post },
    },
  ];
}

/** A service's address is nobody's, and has been called so by Hubble. */
const WORLD = { identity: 2, labels: ['reserved:world'] } as const;

/** A process of the node. */
const HOST = { identity: 1, labels: ['reserved:host'] } as const;

function layer4({ port, protocol }: LbFrontend): Layer4 {
  return { kind: protocol === TCP ? 'TCP' : 'UDP', sourcePort: 0, destinationPort: port };
}
