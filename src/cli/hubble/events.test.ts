// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEvent, DebugEvent } from '../../flows/flow.ts';
import { agentWords, debugWords } from './events.ts';

const agentCases: readonly (readonly [event: AgentEvent | undefined, type: string, details: string])[] = [
  [undefined, 'UNKNOWN', ''],
  [{ type: 3 }, 'UNKNOWN', ''],
  [{ type: 2, notification: { kind: 'agentStart', time: 5_000_000_000n } }, 'AGENT_STARTED', 'start time: Jan  1 00:00:05.000'],
  [
    { type: 3, notification: { kind: 'policyUpdate', labels: ['a=b', 'c=d'], revision: 1n, ruleCount: 2n } },
    'POLICY_UPDATED',
    'labels: [a=b,c=d], revision: 1, count: 2',
  ],
  [
    { type: 7, notification: { kind: 'endpointUpdate', id: 1n, namespace: 'x', podName: 'y' } },
    'ENDPOINT_CREATED',
    'id: 1, namespace: x, pod name: y',
  ],
  [
    { type: 6, notification: { kind: 'endpointRegenerate', id: 42n, labels: ['a'], error: 'broken\u001b' } },
    'ENDPOINT_REGENERATE_FAILURE',
    'id: 42, labels: [a], error: broken^[',
  ],
  [
    { type: 9, notification: { kind: 'ipcacheUpdate', cidr: '10.0.0.1/32', identity: 5, oldIdentity: 0, hostIp: '192.168.0.11' } },
    'IPCACHE_UPSERTED',
    'cidr: 10.0.0.1/32, identity: 5, old identity: 0, host ip: 192.168.0.11, encrypt key: 0',
  ],
  [{ type: 0, notification: { kind: 'unknown', type: '7', notification: '{}' } }, 'AGENT_EVENT_UNKNOWN', 'type: 7, notification: {}'],
];
for (const [event, type, details] of agentCases)
  test(`an agent's event: ${type} ${details}`, () => assert.deepEqual(agentWords(event, 'StampMilli'), { type, details }));

const debugCases: readonly (readonly [event: DebugEvent | undefined, text: string])[] = [
  [
    { type: 6, source: { namespace: 'ns', podName: 'pod', id: 5 }, hash: 0x1f, cpu: 1, message: 'message' },
    'ns/pod (ID: 5) DBG_CT_LOOKUP MARK: 0x1f CPU: 01 (message)',
  ],
  [{ type: 16 }, 'N/A DBG_DECAP MARK: N/A CPU: N/A (N/A)'],
];
for (const [event, text] of debugCases)
  test(`a debug event: ${text}`, () => {
    const { from, type, details } = debugWords(event);
    assert.equal(`${from} ${type} ${details}`, text);
  });
