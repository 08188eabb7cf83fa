// SPDX-License-Identifier: Apache-2.0
// What agents say besides flows: losses, what they did themselves, and messages for debugging.

import type * as f from '../flows/flow.ts';
import { choice, int64, nested, alternatives, string, strings, uint32, uint64 } from '../grpc/fields.ts';
import { message } from '../grpc/message.ts';
import { int32Value, timestamp, uint32Value } from '../grpc/well-known.ts';
import { agentEventType, debugEventType, lostEventSource } from './enum-types.ts';
import { endpoint } from './flow-messages.ts';

type Of<T extends f.AgentNotification['kind']> = Omit<Extract<f.AgentNotification, { kind: T }>, 'kind'>;

export const lostEvent = message<f.LostEvent>('flow.LostEvent', {
  source: choice(1, lostEventSource),
  numEventsLost: uint64(2),
  cpu: int32Value(3),
  first: timestamp(4),
  last: timestamp(5),
});

const unknown = message<Of<'unknown'>>('flow.AgentEventUnknown', { type: string(1), notification: string(2) });
const agentStart = message<Of<'agentStart'>>('flow.TimeNotification', { time: timestamp(1) });
const policyUpdate = message<Of<'policyUpdate'>>('flow.PolicyUpdateNotification', {
  labels: strings(1),
  revision: uint64(2),
  ruleCount: int64(3),
});
const endpointRegenerate = message<Of<'endpointRegenerate'>>('flow.EndpointRegenNotification', {
  id: uint64(1),
  labels: strings(2),
  error: string(3),
});
const endpointUpdate = message<Of<'endpointUpdate'>>('flow.EndpointUpdateNotification', {
  id: uint64(1),
  labels: strings(2),
  error: string(3),
  podName: string(4),
  namespace: string(5),
});
const ipcacheUpdate = message<Of<'ipcacheUpdate'>>('flow.IPCacheNotification', {
  cidr: string(1),
  identity: uint32(2),
  oldIdentity: uint32Value(3),
  hostIp: string(4),
  oldHostIp: string(5),
  encryptKey: uint32(6),
  namespace: string(7),
  podName: string(8),
});

export const agentEvent = message<f.AgentEvent>('flow.AgentEvent', {
  type: choice(1, agentEventType),
  notification: alternatives<f.AgentNotification>({
    unknown: [100, unknown],
    agentStart: [101, agentStart],
    policyUpdate: [102, policyUpdate],
    endpointRegenerate: [103, endpointRegenerate],
    endpointUpdate: [104, endpointUpdate],
    ipcacheUpdate: [105, ipcacheUpdate],
  }),
});

export const debugEvent = message<f.DebugEvent>('flow.DebugEvent', {
  type: choice(1, debugEventType),
  source: nested(2, endpoint),
  hash: uint32Value(3),
  arg1: uint32Value(4),
  arg2: uint32Value(5),
  arg3: uint32Value(6),
  message: string(7),
  cpu: int32Value(8),
});
