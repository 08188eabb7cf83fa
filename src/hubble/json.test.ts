// SPDX-License-Identifier: Apache-2.0
// Flows as JSON, byte for byte as clients of Hubble read them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drop } from '../flows/testdata/flows.ts';
import { fromJson, toJson } from '../grpc/json.ts';
import { decode, encode } from '../grpc/message.ts';
import { flowFilter } from './filter-message.ts';
import { getFlowsRequest, getFlowsResponse } from './observer.ts';

const never = (path: string) => assert.fail(`${path} is unknown`);

test('a flow has names of fields and enums, 64-bit numbers as text, and no zeros but a false that was said', () => {
  const response = {
    flow: { ...drop, isReply: false, l7: { latencyNs: 4_000_000n }, socketCookie: 1n << 63n },
    nodeName: 'k8s1',
    time: drop.time,
  };
  const text = JSON.stringify(toJson(getFlowsResponse, response));
  assert.equal(
    text,
    '{"flow":{"time":"1970-01-01T00:20:34.567800Z","verdict":"DROPPED","IP":{"source":"1.1.1.1","destination":"2.2.2.2","ipVersion":"IPv4"},' +
      '"l4":{"TCP":{"source_port":31793,"destination_port":8080,"flags":{"SYN":true}}},"source":{"identity":4},"destination":{"identity":12345},' +
      '"Type":"L3_L4","node_name":"k8s1","l7":{"latency_ns":"4000000"},"event_type":{"type":1,"sub_type":133},"trace_observation_point":"TO_ENDPOINT",' +
      '"drop_reason_desc":"POLICY_DENIED","is_reply":false,"socket_cookie":"9223372036854775808","Summary":"TCP Flags: SYN"},"node_name":"k8s1","time":"1970-01-01T00:20:34.567800Z"}',
  );
  assert.deepEqual(fromJson(getFlowsResponse, JSON.parse(text), never), decode(getFlowsResponse, encode(getFlowsResponse, response)));
});

test('times have no decimals, or three, six or nine', () => {
  const texts = [5_000_000_000n, 5_120_000_000n, 5_123_456_000n, 5_123_456_789n].map(
    (since) => toJson(getFlowsRequest, { since })['since'],
  );
  assert.deepEqual(texts, [
    '1970-01-01T00:00:05Z',
    '1970-01-01T00:00:05.120Z',
    '1970-01-01T00:00:05.123456Z',
    '1970-01-01T00:00:05.123456789Z',
  ]);
  for (const since of texts) assert.equal(toJson(getFlowsRequest, fromJson(getFlowsRequest, { since }, never))['since'], since);
  assert.equal(fromJson(getFlowsRequest, { since: '1970-01-01T01:00:05+01:00' }, never).since, 5_000_000_000n);
});

test('a filter is read under both spellings of its fields, and its lists', () => {
  const filter = fromJson(
    flowFilter,
    {
      source_pod: ['shop/'],
      destinationIdentity: [2, '3'],
      verdict: ['DROPPED', 5],
      reply: [false],
      tcp_flags: [{ SYN: true, ACK: false }],
      event_type: [{ type: 4, match_sub_type: true }],
      ip_trace_id: ['18446744073709551615'],
      uuid: null, // null: JSON may say nothing so
    },
    never,
  );
  assert.deepEqual(filter, {
    sourcePod: ['shop/'],
    destinationIdentity: [2, 3],
    verdict: [2, 5],
    reply: [false],
    tcpFlags: [2],
    eventType: [{ type: 4, matchSubType: true }],
    ipTraceId: [18446744073709551615n],
  });
  assert.deepEqual(toJson(flowFilter, filter), {
    source_pod: ['shop/'],
    verdict: ['DROPPED', 'REDIRECTED'],
    event_type: [{ type: 4, match_sub_type: true }],
    reply: [false],
    destination_identity: [2, 3],
    tcp_flags: [{ SYN: true }],
    ip_trace_id: ['18446744073709551615'],
  });
});

test('an unknown field is told with its path', () => {
  const told: string[] = [];
  assert.deepEqual(
    fromJson(getFlowsResponse, { flow: { news: 1, verdict: 'DROPPED' }, toString: 1 }, (path) => told.push(path)).flow?.verdict,
    2,
  );
  assert.deepEqual(told, ['flow.news', 'toString']);
});

const refused: readonly (readonly [json: unknown, message: RegExp])[] = [
  [7, /^message is 7, wanted an object$/],
  [[], /^message is \[\], wanted an object$/],
  [null, /^message is null, wanted an object$/],
  [{ verdict: 'DROPPED' }, /^verdict is "DROPPED", wanted a list$/],
  [{ verdict: ['DROP'] }, /^verdict\[0\] is "DROP", wanted one of VERDICT_UNKNOWN, FORWARDED/],
  [{ verdict: ['constructor'] }, /^verdict\[0\] is "constructor", wanted one of/],
  [{ verdict: [1.5] }, /wanted a whole number/],
  [{ source_pod: [7] }, /^source_pod\[0\] is 7, wanted a text$/],
  [{ source_identity: [-1] }, /^source_identity\[0\] is -1, wanted a whole number from 0 to 4294967295$/],
  [{ reply: ['no'] }, /^reply\[0\] is "no", wanted true or false$/],
  [{ tcp_flags: ['SYN'] }, /^tcp_flags\[0\] is "SYN", wanted an object$/],
  [{ ip_trace_id: ['x'] }, /^ip_trace_id\[0\] is "x"/],
];
for (const [json, message] of refused)
  test(`${JSON.stringify(json)} is no filter`, () =>
    assert.throws(() => fromJson(flowFilter, json, never), { name: 'JsonError', message }));

test('a time that is none is refused', () => {
  for (const since of ['yesterday', 5, '2026-13-01T00:00:00Z', '2026-01-01'])
    assert.throws(() => fromJson(getFlowsRequest, { since }, never), /^JsonError: since is .*, wanted a time/);
});
