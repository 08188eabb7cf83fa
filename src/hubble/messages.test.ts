// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../flows/flow.ts';
import { decode, encode } from '../grpc/message.ts';
import { RpcError } from '../grpc/status.ts';
import { responseCodec } from './field-mask.ts';
import { flow } from './flow-messages.ts';
import { getFlowsRequest, getFlowsResponse, NodeState, observer } from './observer.ts';
import { notify, PeerChange } from './peer.ts';

/** Every field has a value. */
const full: Flow = {
  time: 1_764_285_600_123_456_789n,
  uuid: 'u',
  emitter: { name: 'stentor', version: '1' },
  verdict: 2,
  dropReason: 133,
  authType: 1,
  ethernet: { source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' },
  ip: { source: '10.0.0.1', sourceXlated: '192.168.0.1', destination: 'fd00::1', ipVersion: 2, encrypted: true },
  l4: { kind: 'TCP', sourcePort: 1, destinationPort: 65535, flags: 0x1ff },
  tunnel: { protocol: 2, ip: { source: '1.1.1.1' }, l4: { kind: 'UDP', destinationPort: 6081 }, vni: 7 },
  source: {
    id: 1,
    identity: 2,
    clusterName: 'default',
    namespace: 'shop',
    labels: ['k8s:app=x', 'k8s:y'],
    podName: 'p',
    workloads: [{ name: 'w', kind: 'Deployment' }],
  },
  destination: { identity: 16_777_217 },
  type: 2,
  nodeName: 'default/node1',
  nodeLabels: ['a=b'],
  sourceNames: ['a.example'],
  destinationNames: ['b.example', 'c.example'],
  l7: {
    type: 2,
    latencyNs: 1n << 60n,
    record: {
      kind: 'dns',
      query: 'q.',
      ips: ['1.2.3.4'],
      ttl: 30,
      cnames: ['c.'],
      observationSource: 'proxy',
      rcode: 3,
      qtypes: ['A'],
      rrtypes: ['CNAME', 'A'],
    },
  },
  reply: true,
  isReply: false,
  eventType: { type: 129, subType: 1 },
  sourceService: { name: 's', namespace: 'n' },
  destinationService: { name: 't' },
  trafficDirection: 2,
  policyMatchType: 4,
  traceObservationPoint: 101,
  traceReason: 8,
  file: { name: 'bpf_lxc.c', line: 1234 },
  dropReasonDesc: 133,
  debugCapturePoint: 11,
  interface: { index: 4, name: 'eth0' },
  proxyPort: 10_000,
  traceContext: { parent: { traceId: 'abc' } },
  sockXlatePoint: 4,
  socketCookie: 1n << 63n,
  cgroupId: 5n,
  ipTraceId: { traceId: 1n, ipOptionType: 136 },
  summary: 'TCP Flags: SYN',
  extensions: { typeUrl: 'type.googleapis.com/x', value: Uint8Array.of(1, 2) },
  egressAllowedBy: [{ name: 'a', namespace: 'b', labels: ['c'], revision: 9n, kind: 'CiliumNetworkPolicy' }],
  ingressAllowedBy: [{ name: 'a' }],
  egressDeniedBy: [{ name: 'b' }],
  ingressDeniedBy: [{ name: 'c' }],
  policyLog: ['seen'],
  aggregate: { ingressFlowCount: 1, egressFlowCount: 2, unknownDirectionFlowCount: 3 },
};

test('a flow with every field goes over the wire and comes back', () => {
  assert.equal(Object.keys(full).length, flow.fields.length);
  const bytes = encode(flow, full);
  assert.deepEqual(decode(flow, bytes), full);
});

const kinds: readonly NonNullable<Flow['l4']>[] = [
  { kind: 'SCTP', sourcePort: 1 },
  { kind: 'ICMPv4', type: 8, code: 1 },
  { kind: 'ICMPv6', type: 128 },
  { kind: 'VRRP', type: 1, vrid: 2, priority: 3 },
  { kind: 'IGMP', type: 22, groupAddress: '224.0.0.1' },
  { kind: 'UDP' },
];
for (const l4 of kinds)
  test(`${l4.kind} goes over the wire and comes back`, () => {
    assert.deepEqual(decode(flow, encode(flow, { ...full, l4 })).l4, l4);
  });

test('a flow of an unknown kind of packet has no l4', () => {
  // Layer4 with field 15, which nobody has yet
  assert.equal(decode(flow, Buffer.from('32037a0108', 'hex')).l4, undefined);
});

test('what a client asks for is read', () => {
  const asked = {
    number: Number.MAX_SAFE_INTEGER,
    first: true,
    follow: true,
    since: 1n,
    until: 2n,
    whitelist: [{ sourcePod: ['shop/'], verdict: [2, 1] as const, tcpFlags: [2, 18], reply: [false, true], ipTraceId: [1n << 62n] }, {}],
    blacklist: [{ experimental: { celExpression: ['true'] }, eventType: [{ type: 4, matchSubType: true, subType: 3 }] }],
    fieldMask: ['time', 'source.pod_name'],
  };
  assert.deepEqual(decode(getFlowsRequest, encode(getFlowsRequest, asked)), asked);
  const all = Buffer.from('08ffffffffffffffffff01', 'hex'); // number: 2^64 - 1
  assert.deepEqual(decode(getFlowsRequest, all), { number: Number.MAX_SAFE_INTEGER });
});

test('the traps of the protocol: numbers of two and three bytes, a false that is not absent, follow with another number', () => {
  assert.equal(encode(getFlowsResponse, { nodeName: 'a', time: 0n }).toString('hex'), 'c23e0161ca3e00');
  const empty: Flow = { time: 0n, uuid: '', verdict: 0, type: 0, nodeName: '', summary: '' };
  assert.equal(encode(flow, { ...empty, isReply: false, summary: 'x' }).toString('hex'), '0a00d2010082ea300178');
  assert.equal(encode(getFlowsRequest, { follow: true }).toString('hex'), '1801');
  assert.equal(encode(observer.getAgentEvents.request, { follow: true }).toString('hex'), '1001');
  assert.equal(
    encode(getFlowsResponse, { nodeStatus: { stateChange: NodeState.NODE_CONNECTED, nodeNames: ['n'] } }).toString('hex'),
    '1205080112016e',
  );
  assert.equal(
    encode(notify.response, { name: 'n', address: 'a', type: PeerChange.PEER_ADDED, tls: {} }).toString('hex'),
    '0a016e12016118012200',
  );
});

const masks: readonly (readonly [paths: readonly string[], wanted: Partial<Flow>])[] = [
  [['summary'], {}],
  [['Summary', 'verdict'], { summary: full.summary, verdict: 2 }],
  [['source.pod_name', 'source.identity', 'destination'], { source: { podName: 'p', identity: 2 }, destination: full.destination }],
  [['source.workloads.name'], { source: { workloads: [{ name: 'w' }] } }],
  [['source', 'source.pod_name'], { source: full.source }],
  [['IP', 'is_reply', 'time'], { ip: full.ip, isReply: false, time: full.time }],
  [['l4'], { l4: full.l4 }],
  [['l4.TCP'], { l4: full.l4 }],
  [['l4.TCP.flags'], { l4: { kind: 'TCP', flags: 0x1ff } }],
  [['l4.UDP'], {}],
  [['l7.dns.query', 'l7.latency_ns'], { l7: { latencyNs: full.l7?.latencyNs, record: { kind: 'dns', query: 'q.' } } }],
  [['from_the_future', 'l7.record.x', 'Type'], { type: 2, l7: {} }],
];
for (const [paths, wanted] of masks)
  test(`of a flow are sent ${paths.join(', ')}`, () => {
    const bytes = encode(responseCodec(paths), { flow: full, nodeName: full.nodeName, time: full.time });
    const got = decode(getFlowsResponse, bytes);
    const nothing = { time: 0n, uuid: '', verdict: 0, type: 0, nodeName: '', summary: '' };
    assert.deepEqual({ ...got.flow, l4: got.flow?.l4, l7: got.flow?.l7 }, { ...nothing, l4: undefined, l7: undefined, ...wanted });
    assert.deepEqual([got.nodeName, got.time], [full.nodeName, full.time]);
  });

test('whoever prints lines gets what makes them say more', () => {
  const lines = 'time verdict ethernet IP l4 source.identity source.namespace source.pod_name destination.identity destination.namespace'
    .concat(' destination.pod_name Type node_name l7 event_type source_service destination_service is_reply Summary ip_trace_id')
    .split(' ');
  const got = decode(getFlowsResponse, encode(responseCodec(lines), { flow: full })).flow;
  assert.deepEqual([got?.trafficDirection, got?.destinationNames, got?.ingressDeniedBy], [2, full.destinationNames, full.ingressDeniedBy]);
  assert.deepEqual([got?.uuid, got?.source?.labels], ['', undefined]);
});

test('what is no path is refused', () => {
  for (const path of ['', 'a..b', '.a', 'a.', 'a b'])
    assert.throws(
      () => responseCodec(['time', path]),
      (error) => error instanceof RpcError && error.message.startsWith('field_mask.paths[1]: '),
    );
});
