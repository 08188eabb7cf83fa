// SPDX-License-Identifier: Apache-2.0
// The closed sets of flows under the names that they have in Hubble's protocol.

import { DropReason } from '../flows/drop-reasons.ts';
import * as enums from '../flows/flow-enums.ts';
import type { EnumType } from '../grpc/message.ts';
import { debugEventTypes } from './debug-event-types.ts';

const of = (name: string, values: EnumType['values']): EnumType => ({ name: `flow.${name}`, values });

export const verdict = of('Verdict', enums.Verdict);
export const flowType = of('FlowType', enums.FlowType);
export const l7FlowType = of('L7FlowType', enums.L7FlowType);
export const ipVersion = of('IPVersion', enums.IpVersion);
export const trafficDirection = of('TrafficDirection', enums.TrafficDirection);
export const authType = of('AuthType', enums.AuthType);
export const tunnelProtocol = of('Tunnel.Protocol', enums.TunnelProtocol);
export const traceObservationPoint = of('TraceObservationPoint', enums.TraceObservationPoint);
export const traceReason = of('TraceReason', enums.TraceReason);
export const socketTranslationPoint = of('SocketTranslationPoint', enums.SocketTranslationPoint);
export const debugCapturePoint = of('DebugCapturePoint', enums.DebugCapturePoint);
export const lostEventSource = of('LostEventSource', enums.LostEventSource);
export const agentEventType = of('AgentEventType', enums.AgentEventType);
export const dropReason = of('DropReason', DropReason);
export const debugEventType = of('DebugEventType', debugEventTypes);
