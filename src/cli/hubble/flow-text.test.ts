// SPDX-License-Identifier: Apache-2.0
// The lines that users of Hubble know, for each kind of flow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../../flows/flow.ts';
import { allowed, answer, drop, query, reply, request, socket, syn, verdict } from '../../flows/testdata/flows.ts';
import { colored, harmless, uncolored } from './colors.ts';
import { compactText, dictText, lossDictText, lossText, RECORD_SEPARATOR, tableText } from './flow-text.ts';
import type { TextOptions } from './flow-text.ts';

const plain: TextOptions = { timeFormat: 'StampMilli', nodeName: false, policyNames: false, translate: true, colors: uncolored };
const host = { identity: 1 };
const COREDNS = 'kube-system/coredns-565d847f94-pp8zs';
const cases: readonly (readonly [name: string, flow: Flow, line: string, options?: Partial<TextOptions>])[] = [
  ['a SYN', syn, `Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> ${COREDNS}:8181 (ID:7518) to-endpoint FORWARDED (TCP Flags: SYN)`],
  ['a reply', reply, `Dec 13 08:49:58.888: 10.20.1.124:36308 (host) <- ${COREDNS}:8080 (ID:7518) to-stack FORWARDED (TCP Flags: SYN, ACK)`],
  [
    'a data segment to the host',
    {
      ...syn,
      source: { identity: 95552 },
      destination: host,
      ip: { source: '10.0.0.9', destination: '172.18.0.2' },
      eventType: { type: 4, subType: 3 },
      summary: 'TCP Flags: ACK, PSH',
    },
    'Dec 13 08:49:58.888: 10.0.0.9:60588 (ID:95552) -> 172.18.0.2:8181 (host) to-stack FORWARDED (TCP Flags: ACK, PSH)',
  ],
  [
    'UDP',
    { ...syn, l4: { kind: 'UDP', sourcePort: 1, destinationPort: 53 }, summary: 'UDP' },
    `Dec 13 08:49:58.888: 10.20.1.124:1 (host) -> ${COREDNS}:53 (ID:7518) to-endpoint FORWARDED (UDP)`,
  ],
  ['a drop', drop, 'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) Policy denied DROPPED (TCP Flags: SYN)'],
  [
    'a drop of known direction',
    { ...drop, isReply: false },
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) -> 2.2.2.2:8080 (ID:12345) Policy denied DROPPED (TCP Flags: SYN)',
  ],
  [
    'a drop for an unknown reason',
    { ...drop, eventType: { type: 1, subType: 250 } },
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) 250, 0 DROPPED (TCP Flags: SYN)',
  ],
  [
    'the node',
    drop,
    'Jan  1 00:20:34.567 [k8s1]: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) Policy denied DROPPED (TCP Flags: SYN)',
    { nodeName: true },
  ],
  [
    'a denied verdict',
    verdict,
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) policy-verdict:none EGRESS DENIED (TCP Flags: SYN)',
  ],
  [
    'policies',
    allowed,
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) policy-verdict:none INGRESS ALLOWED BY my-policy (CiliumNetworkPolicy), my-policy-2 (CiliumClusterwideNetworkPolicy) (TCP Flags: SYN)',
    { policyNames: true },
  ],
  [
    'an audited verdict',
    { ...verdict, verdict: 4, policyMatchType: 2 },
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) policy-verdict:L3-L4 EGRESS AUDITED (TCP Flags: SYN)',
  ],
  [
    'a verdict behind a mask',
    { ...verdict, trafficDirection: undefined, policyMatchType: 9 },
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) policy-verdict:unknown TRAFFIC_DIRECTION_UNKNOWN DENIED (TCP Flags: SYN)',
  ],
  [
    'a DNS query',
    query,
    `Dec 13 08:49:58.888: default/client:40000 (ID:26450) -> ${COREDNS}:53 (ID:7518) dns-request proxy FORWARDED (DNS Query web.default.svc.cluster.local. A)`,
  ],
  [
    'a DNS answer',
    answer,
    `Dec 13 08:49:58.888: default/client:40000 (ID:26450) <- ${COREDNS}:53 (ID:7518) dns-response proxy FORWARDED (DNS Answer "10.96.118.37" TTL: 30 (Proxy web.default.svc.cluster.local. A))`,
  ],
  [
    'an HTTP request',
    request,
    `Dec 13 08:49:58.888: default/client:40000 (ID:26450) -> ${COREDNS}:80 (ID:7518) http-request FORWARDED (HTTP/1.1 GET http://web/)`,
  ],
  [
    'an HTTP response',
    {
      ...answer,
      l4: { kind: 'TCP', sourcePort: 80, destinationPort: 40000 },
      l7: { type: 2, record: { kind: 'http' } },
      summary: 'HTTP/1.1 200 4ms (GET http://web/)',
    },
    `Dec 13 08:49:58.888: default/client:40000 (ID:26450) <- ${COREDNS}:80 (ID:7518) http-response FORWARDED (HTTP/1.1 200 4ms (GET http://web/))`,
  ],
  [
    'a request of a protocol without a name',
    { ...request, l7: { type: 3 }, summary: 'x' },
    `Dec 13 08:49:58.888: default/client:40000 (ID:26450) -> ${COREDNS}:80 (ID:7518) l7-sample FORWARDED (x)`,
  ],
  [
    'ICMP, which has no ports',
    {
      ...syn,
      l4: { kind: 'ICMPv4', type: 8 },
      ip: { source: '10.0.0.1', destination: '10.0.0.2' },
      source: { identity: 300 },
      destination: { identity: 301 },
      summary: 'ICMPv4 EchoRequest',
    },
    'Dec 13 08:49:58.888: 10.0.0.1 (ID:300) -> 10.0.0.2 (ID:301) to-endpoint FORWARDED (ICMPv4 EchoRequest)',
  ],
  ['a translation before', socket, 'Dec 13 08:49:58.888: default/client (init) <> default/echo:80 (world) pre-xlate-fwd TRACED (TCP)'],
  [
    'a translation after',
    {
      ...socket,
      verdict: 7,
      sockXlatePoint: 2,
      destination: { identity: 301, namespace: 'default', podName: 'echo-1' },
      destinationService: undefined,
    },
    'Dec 13 08:49:58.888: default/client (init) <> default/echo-1:80 (ID:301) post-xlate-fwd TRANSLATED (TCP)',
  ],
  [
    'a capture',
    { ...drop, verdict: 0, eventType: { type: 3, subType: 5 }, debugCapturePoint: 5 },
    'Jan  1 00:20:34.567: 1.1.1.1:31793 (health) <> 2.2.2.2:8080 (ID:12345) DBG_CAPTURE_FROM_LB VERDICT_UNKNOWN (TCP Flags: SYN)',
  ],
  [
    'IPv6',
    { ...syn, ip: { source: 'fd00::1', destination: 'fd00::2', ipVersion: 2 }, destination: { identity: 2 } },
    'Dec 13 08:49:58.888: [fd00::1]:60588 (host) -> [fd00::2]:8181 (world) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'addresses',
    { ...syn, ip: { source: '10.20.1.124', destination: '10.20.1.7' } },
    'Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> 10.20.1.7:8181 (ID:7518) to-endpoint FORWARDED (TCP Flags: SYN)',
    { translate: false },
  ],
  [
    'names',
    { ...syn, destination: { identity: 2 }, destinationNames: ['a.example', 'b.example'] },
    'Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> a.example,b.example:8181 (world) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'a pod behind a service',
    { ...syn, destinationService: { namespace: 'other', name: 'dns' } },
    'Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> other/coredns-565d847f94-pp8zs:8181 (ID:7518) to-endpoint FORWARDED (TCP Flags: SYN)',
  ],
  [
    'no IP',
    { ...drop, ip: undefined, l4: undefined, ethernet: { source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02' }, summary: '' },
    'Jan  1 00:20:34.567: 02:00:00:00:00:01 (health) <> 02:00:00:00:00:02 (ID:12345) Policy denied DROPPED ()',
  ],
  [
    'authentication and a trace id',
    { ...syn, authType: 1, ipTraceId: { traceId: 7n } },
    `Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> ${COREDNS}:8181 (ID:7518) to-endpoint FORWARDED (IP Trace ID: 7; TCP Flags: SYN; Auth: SPIRE)`,
  ],
  [
    'a point that we do not know',
    { ...syn, eventType: { type: 4, subType: 77 } },
    `Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> ${COREDNS}:8181 (ID:7518) 77 FORWARDED (TCP Flags: SYN)`,
  ],
  [
    'an event that we do not know',
    { ...syn, eventType: { type: 99 }, verdict: 42 as Flow['verdict'] },
    `Dec 13 08:49:58.888: 10.20.1.124:60588 (host) -> ${COREDNS}:8181 (ID:7518) UNKNOWN 42 (TCP Flags: SYN)`,
  ],
  [
    'words that would move a cursor',
    { ...request, summary: 'HTTP/1.1 GET http://web/\u001b[2J\rx\ny\u009b' },
    `Dec 13 08:49:58.888: default/client:40000 (ID:26450) -> ${COREDNS}:80 (ID:7518) http-request FORWARDED (HTTP/1.1 GET http://web/^[[2J\\rx\\ny\\x9b)`,
  ],
  [
    'colours',
    drop,
    'Jan  1 00:20:34.567: \u001b[36m1.1.1.1:\u001b[33m31793\u001b[0m\u001b[0m \u001b[35m(health)\u001b[0m <> \u001b[36m2.2.2.2:\u001b[33m8080\u001b[0m\u001b[0m \u001b[35m(ID:12345)\u001b[0m Policy denied \u001b[31mDROPPED\u001b[0m (TCP Flags: SYN)',
    { colors: colored },
  ],
];
for (const [name, flow, line, options] of cases)
  test(`the line of ${name}`, () => assert.equal(compactText(flow, { ...plain, ...options }), `${line}\n`));

test('a record has a key on each line', () => {
  const record =
    '  TIMESTAMP: Jan  1 00:20:34.567\n     SOURCE: 1.1.1.1:31793\nDESTINATION: 2.2.2.2:8080\n       TYPE: Policy denied\n    VERDICT: DROPPED\n    SUMMARY: TCP Flags: SYN\n';
  assert.equal(dictText(drop, plain), record);
  assert.equal(dictText(drop, { ...plain, nodeName: true }), record.replace('\n', '\n       NODE: k8s1\n'));
  assert.equal(RECORD_SEPARATOR, '------------\n');
});

test('a table neither swaps the ends of a reply nor names identities', () => {
  assert.equal(
    tableText([drop, answer], plain),
    `TIMESTAMP             SOURCE                                    DESTINATION            TYPE                 VERDICT     SUMMARY
Jan  1 00:20:34.567   1.1.1.1:31793                             2.2.2.2:8080           Policy denied        DROPPED     TCP Flags: SYN
Dec 13 08:49:58.888   ${COREDNS}:53   default/client:40000   dns-response proxy   FORWARDED   ${answer.summary}
`,
  );
  assert.equal(
    tableText([drop], plain).split('\n')[1],
    'Jan  1 00:20:34.567   1.1.1.1:31793   2.2.2.2:8080   Policy denied   DROPPED   TCP Flags: SYN',
  );
});

test('a loss is a line of its own', () => {
  const loss = { time: drop.time, nodeName: 'k8s1', lost: { source: 3, numEventsLost: 1n, cpu: 0 } } as const;
  assert.equal(lossText(loss, plain), 'Jan  1 00:20:34.567 EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 1\n');
  assert.equal(
    lossText({ ...loss, lost: { ...loss.lost, first: drop.time, last: drop.time } }, plain),
    'Jan  1 00:20:34.567 EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 1 (first: Jan  1 00:20:34.567, last: Jan  1 00:20:34.567)\n',
  );
  assert.equal(
    lossDictText(loss, plain),
    '  TIMESTAMP: Jan  1 00:20:34.567\n     SOURCE: HUBBLE_RING_BUFFER\n       TYPE: EVENTS LOST\n    VERDICT: -\n    SUMMARY: CPU(0) - 1\n',
  );
});

test('ordinary words stay as they are', () => assert.equal(harmless('naïve – 日本'), 'naïve – 日本'));
