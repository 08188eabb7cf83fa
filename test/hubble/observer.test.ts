// SPDX-License-Identifier: Apache-2.0
// What an agent says to clients of Hubble, heard by a client that shares nothing with it: methods, filters, masks, mistakes.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { observerHandlers } from '../../src/agent/observer.ts';
import { agentEvents } from '../../src/flows/agent-events.ts';
import { AgentEventType } from '../../src/flows/flow-enums.ts';
import { flowRing } from '../../src/flows/flow-ring.ts';
import type { Flow } from '../../src/flows/flow.ts';
import { healthHandlers } from '../../src/grpc/health.ts';
import { grpcServer } from '../../src/grpc/server.ts';
import { allAt, bytesAt, fieldsOf, HubbleClient, numberAt, textAt } from './client.ts';
import type { Part } from './client.ts';

const second = (n: number): bigint => 1_700_000_000_000_000_000n + BigInt(n) * 1_000_000_000n;
const plain: Flow = {
  time: 0n,
  uuid: '',
  verdict: 1,
  type: 1,
  nodeName: 'default/node1',
  summary: '',
  ip: { source: '10.0.1.1', destination: '10.0.2.2', ipVersion: 1 },
  l4: { kind: 'TCP', sourcePort: 40_000, destinationPort: 80, flags: 2 },
  source: {
    identity: 100,
    namespace: 'shop',
    podName: 'visitor-1',
    labels: ['k8s:app=visitor'],
    workloads: [{ name: 'visitor', kind: 'Deployment' }],
  },
  destination: { identity: 200, namespace: 'shop', podName: 'cart-1', labels: ['k8s:app=cart'], clusterName: 'east' },
  eventType: { type: 4, subType: 5 },
  isReply: false,
  trafficDirection: 2,
};
const http: Flow['l7'] = {
  type: 2,
  latencyNs: 4_000_000n,
  record: { kind: 'http', code: 404, method: 'GET', url: 'http://cart/page/1', protocol: 'HTTP/1.1', headers: [{ key: 'X', value: '1' }] },
};

/** One of each kind; their summaries are their names here. */
const kinds: readonly Flow[] = [
  { ...plain, summary: 'syn' },
  {
    ...plain,
    summary: 'reply',
    isReply: true,
    source: plain.destination,
    destination: plain.source,
    ip: { source: '10.0.2.2', destination: '10.0.1.1', ipVersion: 1 },
    l4: { kind: 'TCP', sourcePort: 80, destinationPort: 40_000, flags: 18 },
  },
  {
    ...plain,
    summary: 'drop',
    verdict: 2,
    dropReason: 133,
    dropReasonDesc: 133,
    isReply: undefined,
    trafficDirection: 1,
    eventType: { type: 1, subType: 133 },
    interface: { index: 4, name: 'eth0' },
    uuid: 'u-1',
  },
  {
    ...plain,
    summary: 'udp6',
    ip: { source: 'fd00::1', destination: 'fd00::2', ipVersion: 2, sourceXlated: 'fd00::9' },
    l4: { kind: 'UDP', sourcePort: 5000, destinationPort: 53 },
    nodeName: 'east/node2',
    nodeLabels: ['zone=a'],
  },
  {
    ...plain,
    summary: 'dns',
    type: 2,
    eventType: { type: 129 },
    l7: { type: 1, record: { kind: 'dns', query: 'www.example.com.', qtypes: ['A'] } },
    destinationNames: ['www.example.com'],
  },
  {
    ...plain,
    summary: 'http',
    type: 2,
    eventType: { type: 129 },
    l7: http,
    sourceService: { name: 'front', namespace: 'shop' },
    destinationService: { name: 'cart', namespace: 'shop' },
    traceContext: { parent: { traceId: 't1' } },
    sourceNames: ['a.b'],
  },
  {
    ...plain,
    summary: 'icmp',
    l4: { kind: 'ICMPv4', type: 8 },
    ip: { source: '10.0.1.1', destination: '1.1.1.1', ipVersion: 1, encrypted: true },
    ipTraceId: { traceId: 7n, ipOptionType: 136 },
    destination: { identity: 2, labels: ['reserved:world'] },
  },
];
const flows: readonly Flow[] = kinds.map((flow, index) => ({ ...flow, time: second(index) }));

const folder = mkdtempSync(join(tmpdir(), 'observer-'));
const path = join(folder, 'hubble.sock');
const stop = new AbortController();
const ring = flowRing(63);
const events = agentEvents(10);
const server = grpcServer({
  handlers: [
    ...observerHandlers(
      {
        ring,
        events,
        nodeName: 'default/node1',
        version: 'stentor v1',
        clock: { now: () => Number(second(6) / 1_000_000n), monotonic: () => performance.now() },
      },
      stop.signal,
    ),
    ...healthHandlers((service) => (service === '' || service === 'hubble.server.Observer' ? true : undefined)),
  ],
});
let client: HubbleClient;

before(async () => {
  ring.append(flows);
  events.add(second(1), { type: AgentEventType.AGENT_STARTED, notification: { kind: 'agentStart', time: second(1) } });
  events.add(second(2), {
    type: AgentEventType.ENDPOINT_CREATED,
    notification: { kind: 'endpointUpdate', id: 5n, podName: 'p', namespace: 'n' },
  });
  await server.listen({ path });
  client = new HubbleClient({ path });
});
after(async () => {
  client.close();
  stop.abort();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const GET_FLOWS = 'observer.Observer/GetFlows';
// fields of the requests and answers, by number
const [NUMBER, FOLLOW, BLACKLIST, WHITELIST, SINCE, UNTIL, FIRST, MASK] = [1, 3, 5, 6, 7, 8, 9, 10];
const [FLOW, SUMMARY] = [1, 100_000];
const time = (n: number): readonly Part[] => [[1, 1_700_000_000 + n]];
const names = (messages: readonly Buffer[]): string => messages.map((message) => textAt(message, FLOW, SUMMARY) ?? '?').join(' ');

async function seen(request: readonly Part[]): Promise<string> {
  const { messages, status, words } = await client.ask(GET_FLOWS, request);
  assert.equal(status, 0, words);
  return names(messages);
}

const all = 'syn reply drop udp6 dns http icmp';

const reads: readonly (readonly [what: string, request: readonly Part[], wanted: string])[] = [
  ['everything', [], all],
  ['the newest', [[NUMBER, 2]], 'http icmp'],
  ['all, as --all asks', [[NUMBER, 2n ** 64n - 1n]], all],
  [
    'the oldest',
    [
      [NUMBER, 2],
      [FIRST, true],
    ],
    'syn reply',
  ],
  ['since', [[SINCE, time(5)]], 'http icmp'],
  ['until', [[UNTIL, time(1)]], 'syn reply'],
  [
    'since and until',
    [
      [SINCE, time(1)],
      [UNTIL, time(2)],
    ],
    'reply drop',
  ],
  [
    'since with a number',
    [
      [SINCE, time(1)],
      [NUMBER, 3],
    ],
    'reply drop udp6',
  ],
  [
    'the newest that match',
    [
      [NUMBER, 1],
      [
        WHITELIST,
        [
          [12, 'tcp'],
          [5, 1],
        ],
      ],
    ],
    'http',
  ],
  [
    'the oldest that match',
    [
      [NUMBER, 1],
      [FIRST, true],
      [WHITELIST, [[12, 'udp']]],
    ],
    'udp6',
  ],
  [
    'one filter or the other',
    [
      [WHITELIST, [[5, 2]]],
      [WHITELIST, [[12, 'dns']]],
    ],
    'drop dns',
  ],
  ['all but', [[BLACKLIST, [[12, 'tcp']]]], 'udp6 icmp'],
  [
    'a blacklist after a whitelist',
    [
      [WHITELIST, [[12, 'tcp']]],
      [BLACKLIST, [[5, 2]]],
    ],
    'syn reply dns http',
  ],
  ['an empty filter', [[WHITELIST, []]], all],
  ['an empty filter in the blacklist', [[BLACKLIST, []]], ''],
];
for (const [what, request, wanted] of reads)
  test(`GetFlows: ${what}`, async () => {
    assert.equal(await seen(request), wanted);
  });

/** One FlowFilter field by number. Enums and numbers are written one by one as well as packed. */
const filters: readonly (readonly [what: string, filter: readonly Part[], wanted: string])[] = [
  ['1 source_ip', [[1, '10.0.2.2']], 'reply'],
  ['1 source_ip, a prefix', [[1, 'fd00::/8']], 'udp6'],
  ['2 source_pod', [[2, 'shop/cart']], 'reply'],
  [
    '3 destination_ip',
    [
      [3, '1.1.1.1'],
      [3, 'fd00::2'],
    ],
    'udp6 icmp',
  ],
  ['4 destination_pod', [[4, 'shop/visitor']], 'reply'],
  ['5 verdict', [[5, 2]], 'drop'],
  ['5 verdict, packed', [[5, Buffer.from([2, 3])]], 'drop'],
  ['6 event_type', [[6, [[1, 1]]]], 'drop'],
  [
    '6 event_type with sub type',
    [
      [
        6,
        [
          [1, 4],
          [2, true],
          [3, 5],
        ],
      ],
    ],
    'syn reply udp6 icmp',
  ],
  ['7 source_fqdn', [[7, '*.B']], 'http'],
  ['8 destination_fqdn', [[8, 'www.*']], 'dns'],
  ['9 http_status_code', [[9, '4+']], 'http'],
  ['10 source_label', [[10, 'k8s:app=cart']], 'reply'],
  ['11 destination_label', [[11, 'reserved:world']], 'icmp'],
  [
    '12 protocol',
    [
      [12, 'icmp'],
      [12, 'udp'],
    ],
    'udp6 icmp',
  ],
  ['13 source_port', [[13, '80']], 'reply'],
  ['14 destination_port', [[14, '53']], 'udp6'],
  ['15 reply: true', [[15, true]], 'reply'],
  ['15 reply: false, which a drop is too', [[15, false]], 'syn drop udp6 dns http icmp'],
  ['16 source_service', [[16, 'shop/front']], 'http'],
  ['17 destination_service', [[17, 'shop/']], 'http'],
  ['18 dns_query', [[18, '^www\\.']], 'dns'],
  ['19 source_identity', [[19, 200]], 'reply'],
  ['20 destination_identity', [[20, 2]], 'icmp'],
  ['21 http_method', [[21, 'get']], 'http'],
  ['22 http_path', [[22, '^/page/[0-9]$']], 'http'],
  [
    '23 tcp_flags',
    [
      [
        23,
        [
          [2, true],
          [5, true],
        ],
      ],
    ],
    'reply',
  ],
  ['24 node_name', [[24, 'east/*']], 'udp6'],
  ['24 node_name of any cluster', [[24, 'node1']], 'syn reply drop dns http icmp'],
  ['25 ip_version', [[25, 2]], 'udp6'],
  [
    '26 source_workload',
    [
      [
        26,
        [
          [1, 'visitor'],
          [2, 'Deployment'],
        ],
      ],
    ],
    'syn drop udp6 dns http icmp',
  ],
  ['27 destination_workload', [[27, [[2, 'Deployment']]]], 'reply'],
  ['28 trace_id', [[28, 't1']], 'http'],
  ['29 uuid', [[29, 'u-1']], 'drop'],
  ['30 traffic_direction', [[30, 1]], 'drop'],
  ['31 http_url', [[31, 'cart']], 'http'],
  [
    '32 http_header',
    [
      [
        32,
        [
          [1, 'X'],
          [2, '1'],
        ],
      ],
    ],
    'http',
  ],
  ['33 drop_reason_desc', [[33, 133]], 'drop'],
  ['34 source_ip_xlated', [[34, 'fd00::9']], 'udp6'],
  ['35 interface', [[35, [[2, 'eth0']]]], 'drop'],
  ['36 node_labels', [[36, 'zone=a']], 'udp6'],
  ['37 source_cluster_name', [[37, 'east']], 'reply'],
  ['38 destination_cluster_name', [[38, 'east']], 'syn drop udp6 dns http'],
  ['39 ip_trace_id', [[39, 7]], 'icmp'],
  ['40 encrypted', [[40, true]], 'icmp'],
];
for (const [what, filter, wanted] of filters)
  test(`filter ${what}`, async () => {
    assert.equal(await seen([[WHITELIST, filter]]), wanted);
    const rest = all.split(' ').filter((name) => !wanted.split(' ').includes(name));
    assert.equal(await seen([[BLACKLIST, filter]]), rest.join(' '));
  });

test('the fields of a flow have the numbers of the protocol', async () => {
  const { messages } = await client.ask(GET_FLOWS, [[WHITELIST, [[12, 'http']]]]);
  const [message = Buffer.alloc(0)] = messages;
  assert.deepEqual([textAt(message, 1000), numberAt(message, 1001, 1)], ['default/node1', 1_700_000_005]);
  const flow = bytesAt(message, FLOW) ?? Buffer.alloc(0);
  const texts: readonly (readonly [readonly number[], string])[] = [
    [[5, 1], '10.0.1.1'],
    [[5, 2], '10.0.2.2'],
    [[8, 3], 'shop'],
    [[8, 5], 'visitor-1'],
    [[8, 6, 2], 'Deployment'],
    [[9, 7], 'east'],
    [[9, 4], 'k8s:app=cart'],
    [[11], 'default/node1'],
    [[13], 'a.b'],
    [[15, 101, 2], 'GET'],
    [[15, 101, 3], 'http://cart/page/1'],
    [[15, 101, 5, 1], 'X'],
    [[20, 1], 'front'],
    [[21, 2], 'shop'],
    [[30, 1, 1], 't1'],
    [[100_000], 'http'],
  ];
  assert.deepEqual(
    texts.map(([path]) => textAt(flow, ...path)),
    texts.map(([, wanted]) => wanted),
  );
  const numbers: readonly (readonly [readonly number[], number])[] = [
    [[1, 1], 1_700_000_005],
    [[2], 1],
    [[5, 3], 1],
    [[6, 1, 1], 40_000],
    [[6, 1, 2], 80],
    [[6, 1, 3, 2], 1],
    [[8, 2], 100],
    [[10], 2],
    [[15, 1], 2],
    [[15, 2], 4_000_000],
    [[15, 101, 1], 404],
    [[19, 1], 129],
    [[22], 2],
  ];
  assert.deepEqual(
    numbers.map(([path]) => numberAt(flow, ...path)),
    numbers.map(([, wanted]) => wanted),
  );
  assert.equal(bytesAt(flow, 26)?.length, 0, 'is_reply is false and there');
});

test('what is unknown is absent: is_reply of a drop', async () => {
  const { messages } = await client.ask(GET_FLOWS, [[WHITELIST, [[5, 2]]]]);
  assert.equal(bytesAt(messages[0] ?? Buffer.alloc(0), FLOW, 26), undefined);
});

test('a mask leaves what it names', async () => {
  const { messages } = await client.ask(GET_FLOWS, [
    [NUMBER, 1],
    [
      MASK,
      [
        [1, 'verdict'],
        [1, 'source.pod_name'],
        [1, 'ip_trace_id'],
        [1, 'newer_than_us'],
      ],
    ],
  ]);
  const flow = bytesAt(messages[0] ?? Buffer.alloc(0), FLOW) ?? Buffer.alloc(0);
  assert.deepEqual(
    [...fieldsOf(flow).keys()].toSorted((a, b) => a - b),
    [2, 8, 40],
  );
  assert.deepEqual([...fieldsOf(bytesAt(flow, 8) ?? flow).keys()], [5]);
});

test('following gives the past that was asked for, then what comes, until the client goes', async () => {
  const following = client.ask(
    GET_FLOWS,
    [
      [FOLLOW, true],
      [NUMBER, 1],
    ],
    3,
  );
  const fresh = client.ask(
    GET_FLOWS,
    [
      [FOLLOW, true],
      [WHITELIST, [[12, 'sctp']]],
    ],
    1,
  );
  await client.ask('observer.Observer/ServerStatus', []);
  ring.append([{ ...plain, time: second(7), summary: 'new' }]);
  ring.lose({ source: 1, numEventsLost: 12n, cpu: 0 });
  ring.append([{ ...plain, time: second(8), summary: 'newer', l4: { kind: 'SCTP' } }]);
  const { messages } = await following;
  assert.equal(names(messages.slice(0, 2)), 'icmp new');
  const lost = bytesAt(messages[2] ?? Buffer.alloc(0), 3) ?? Buffer.alloc(0);
  assert.deepEqual([numberAt(lost, 1), numberAt(lost, 2), bytesAt(lost, 3)?.length], [1, 12, 0]);
  const [first] = (await fresh).messages;
  assert.equal(bytesAt(first ?? Buffer.alloc(0), 3) !== undefined, true, 'a loss passes every filter');
});

const mistakes: readonly (readonly [what: string, method: string, request: readonly Part[] | Buffer, status: number, words: RegExp])[] = [
  [
    'the first of what is followed',
    GET_FLOWS,
    [
      [FIRST, true],
      [FOLLOW, true],
    ],
    3,
    /^first: /,
  ],
  ['a bad address', GET_FLOWS, [[WHITELIST, [[1, 'x']]]], 3, /^whitelist\[0\]\.source_ip\[0\]: 'x' is no IP address$/],
  [
    'a bad pattern in the blacklist',
    GET_FLOWS,
    [
      [BLACKLIST, []],
      [BLACKLIST, [[18, '(']]],
    ],
    3,
    /^blacklist\[1\]\.dns_query\[0\]: /,
  ],
  ['CEL', GET_FLOWS, [[WHITELIST, [[999, [[1, 'true']]]]]], 3, /cel_expression: CEL is not supported/],
  ['a bad path in the mask', GET_FLOWS, [[MASK, [[1, 'a..b']]]], 3, /^field_mask\.paths\[0\]: /],
  ['a request that is cut off', GET_FLOWS, Buffer.from('3205', 'hex'), 3, /whitelist: has a length of 5/],
  ['a request with a wrong kind of field', GET_FLOWS, [[6, 7]], 3, /whitelist: has wire type 0, wanted 2/],
  ['nodes of an agent', 'observer.Observer/GetNodes', [], 12, /GetNodes/],
  ['another service', 'recorder.Recorder/Record', [], 12, /recorder/],
  ['health of what there is not', 'grpc.health.v1.Health/Check', [[1, 'observer.Observer']], 5, /observer\.Observer/],
];
for (const [what, method, request, status, words] of mistakes)
  test(`is refused: ${what}`, async () => {
    const answer = await client.ask(method, request);
    assert.deepEqual([answer.status, answer.messages.length], [status, 0]);
    assert.match(answer.words, words);
  });

test('ServerStatus counts', async () => {
  const { messages, status } = await client.ask('observer.Observer/ServerStatus', []);
  const [message = Buffer.alloc(0)] = messages;
  assert.equal(status, 0);
  assert.deepEqual([numberAt(message, 2), textAt(message, 8), bytesAt(message, 5)], [63, 'stentor v1', undefined]);
  assert.equal(numberAt(message, 1) >= 7 && numberAt(message, 3) >= 7 && numberAt(message, 4) > 0, true);
  assert.equal((bytesAt(message, 9) ?? Buffer.alloc(8)).readDoubleLE() > 0, true);
});

test('GetNamespaces has those of flows, each with its cluster', async () => {
  let list: readonly Buffer[] = [];
  for (const deadline = Date.now() + 5000; list.length === 0 && Date.now() < deadline;) {
    const { messages } = await client.ask('observer.Observer/GetNamespaces', []);
    list = allAt(messages[0] ?? Buffer.alloc(0), 1);
  }
  assert.deepEqual(
    list.map((one) => [textAt(one, 1), textAt(one, 2)]),
    [['default', 'shop']],
  );
});

test('agent events: follow is field 2 here', async () => {
  const AGENT_EVENTS = 'observer.Observer/GetAgentEvents';
  const past = await client.ask(AGENT_EVENTS, [[1, 1]]);
  const [message = Buffer.alloc(0)] = past.messages;
  assert.deepEqual(
    [past.status, past.messages.length, numberAt(message, 1, 1), textAt(message, 1, 104, 4), numberAt(message, 1001, 1)],
    [0, 1, 7, 'p', 1_700_000_002],
  );
  const following = client.ask(AGENT_EVENTS, [[2, true]], 1);
  await client.ask('observer.Observer/ServerStatus', []);
  events.add(second(9), { type: AgentEventType.ENDPOINT_DELETED });
  assert.equal(numberAt((await following).messages[0] ?? Buffer.alloc(0), 1, 1), 8);
});

test('there are no debug events', async () => {
  const { messages, status } = await client.ask('observer.Observer/GetDebugEvents', [[1, 20]]);
  assert.deepEqual([messages.length, status], [0, 0]);
});

test('health is asked under the name that clients use', async () => {
  const { messages } = await client.ask('grpc.health.v1.Health/Check', [[1, 'hubble.server.Observer']]);
  assert.equal(numberAt(messages[0] ?? Buffer.alloc(0), 1), 1);
});
