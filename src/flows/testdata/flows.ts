// SPDX-License-Identifier: Apache-2.0
// A flow of each kind, as an agent makes them.

import { TcpFlag } from '../flow.ts';
import type { Flow } from '../flow.ts';

const dns = { identity: 7518, namespace: 'kube-system', podName: 'coredns-565d847f94-pp8zs' };
const host = { identity: 1 };

export const syn: Flow = {
  time: 1_670_921_398_888_000_000n,
  uuid: '',
  verdict: 1,
  ip: { source: '10.20.1.124', destination: '10.20.1.7', ipVersion: 1 },
  l4: { kind: 'TCP', sourcePort: 60588, destinationPort: 8181, flags: TcpFlag.SYN },
  source: host,
  destination: dns,
  type: 1,
  nodeName: 'default/k8s1',
  isReply: false,
  reply: false,
  eventType: { type: 4, subType: 0 },
  traceObservationPoint: 101,
  summary: 'TCP Flags: SYN',
};
export const drop: Flow = {
  ...syn,
  time: 1_234_567_800_000n,
  nodeName: 'k8s1',
  verdict: 2,
  ip: { source: '1.1.1.1', destination: '2.2.2.2', ipVersion: 1 },
  l4: { kind: 'TCP', sourcePort: 31793, destinationPort: 8080, flags: TcpFlag.SYN },
  source: { identity: 4 },
  destination: { identity: 12345 },
  isReply: undefined,
  eventType: { type: 1, subType: 133 },
  dropReasonDesc: 133,
};
export const verdict: Flow = { ...drop, eventType: { type: 5 }, trafficDirection: 2, policyMatchType: 0 };
export const allowed: Flow = {
  ...verdict,
  verdict: 1,
  trafficDirection: 1,
  ingressAllowedBy: [
    { name: 'my-policy', kind: 'CiliumNetworkPolicy' },
    { name: 'my-policy-2', kind: 'CiliumClusterwideNetworkPolicy' },
  ],
  egressAllowedBy: [{ name: 'other', kind: 'NetworkPolicy' }],
};
export const query: Flow = {
  ...syn,
  l4: { kind: 'UDP', sourcePort: 40000, destinationPort: 53 },
  source: { identity: 26450, namespace: 'default', podName: 'client' },
  type: 2,
  eventType: { type: 129 },
  l7: { type: 1, record: { kind: 'dns', query: 'web.default.svc.cluster.local.', qtypes: ['A'], observationSource: 'proxy' } },
  summary: 'DNS Query web.default.svc.cluster.local. A',
};
/** As the wire has it: what answers is the source. */
export const answer: Flow = {
  ...query,
  l4: { kind: 'UDP', sourcePort: 53, destinationPort: 40000 },
  ip: { source: '10.20.1.7', destination: '10.20.1.124', ipVersion: 1 },
  source: dns,
  destination: query.source,
  isReply: true,
  l7: { type: 2, record: { kind: 'dns', query: 'web.default.svc.cluster.local.', ips: ['10.96.118.37'], observationSource: 'proxy' } },
  summary: 'DNS Answer "10.96.118.37" TTL: 30 (Proxy web.default.svc.cluster.local. A)',
};
export const request: Flow = {
  ...query,
  l4: { kind: 'TCP', sourcePort: 40000, destinationPort: 80 },
  l7: { type: 1, record: { kind: 'http' } },
  summary: 'HTTP/1.1 GET http://web/',
};
export const socket: Flow = {
  ...syn,
  verdict: 6,
  type: 3,
  l4: { kind: 'TCP', destinationPort: 80 },
  source: { identity: 5, namespace: 'default', podName: 'client' },
  destination: { identity: 2 },
  destinationService: { namespace: 'default', name: 'echo' },
  isReply: undefined,
  eventType: { type: 7, subType: 1 },
  sockXlatePoint: 1,
  summary: 'TCP',
};
export const reply: Flow = {
  ...syn,
  ip: { source: '10.20.1.7', destination: '10.20.1.124', ipVersion: 1 },
  l4: { kind: 'TCP', sourcePort: 8080, destinationPort: 36308 },
  source: dns,
  destination: host,
  isReply: true,
  eventType: { type: 4, subType: 3 },
  summary: 'TCP Flags: SYN, ACK',
};
