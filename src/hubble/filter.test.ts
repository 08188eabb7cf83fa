// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TcpFlag } from '../flows/flow.ts';
import type { Flow } from '../flows/flow.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { flowPredicate } from './filter.ts';
import { flowFilter } from './filter-message.ts';
import type { FlowFilter } from './filter-message.ts';

const empty: Flow = { time: 0n, uuid: '', verdict: 1, type: 1, nodeName: 'default/n', summary: '' };
const from = (source: Flow['source']): Flow => ({ ...empty, source });
const to = (destination: Flow['destination']): Flow => ({ ...empty, destination });
const ip = (header: Flow['ip']): Flow => ({ ...empty, ip: header });
const l4 = (layer: Flow['l4']): Flow => ({ ...empty, l4: layer });
const record = (one: NonNullable<Flow['l7']>['record']): Flow => ({ ...empty, type: 2, l7: { record: one } });
const http = (fields: object): Flow => record({ kind: 'http', ...fields });

const app = ['k8s:app=web', 'k8s:tier=front', 'reserved:host', 'cidr:10.0.0.0/8'];

/** field, values, flows that match, flows that do not */
const cases: readonly (readonly [field: keyof FlowFilter, values: readonly unknown[], yes: readonly Flow[], no: readonly Flow[]])[] = [
  ['uuid', ['a', 'b'], [{ ...empty, uuid: 'b' }], [empty, { ...empty, uuid: 'ab' }]],
  ['sourceIp', ['1.1.1.1'], [ip({ source: '1.1.1.1' })], [ip({ source: '1.1.1.10' }), ip({ destination: '1.1.1.1' }), empty]],
  [
    'sourceIp',
    ['10.0.0.0/8', 'fd00::/16'],
    [ip({ source: '10.9.9.9' }), ip({ source: 'fd00::1' })],
    [ip({ source: '11.0.0.1' }), ip({ source: '' }), empty],
  ],
  ['sourceIp', ['0.0.0.0/0'], [ip({ source: '10.9.9.9' })], [ip({ source: 'fd00::1' }), ip({}), empty]],
  ['sourceIp', ['FD00:0::1'], [ip({ source: 'fd00::1' })], [ip({ source: 'fd00::2' })]],
  ['destinationIp', ['1.1.1.1'], [ip({ destination: '1.1.1.1' })], [ip({ source: '1.1.1.1' })]],
  ['sourceIpXlated', ['1.1.1.0/24'], [ip({ sourceXlated: '1.1.1.1' })], [ip({ source: '1.1.1.1' })]],
  [
    'sourcePod',
    ['shop/cart'],
    [from({ namespace: 'shop', podName: 'cart-1' })],
    [from({ namespace: 'shopx', podName: 'cart' }), from({ namespace: 'shop', podName: 'car' }), empty],
  ],
  [
    'sourcePod',
    ['shop/'],
    [from({ namespace: 'shop', podName: 'x' }), from({ namespace: 'shop' })],
    [from({ namespace: 'other', podName: 'x' }), empty],
  ],
  ['sourcePod', ['/cart'], [from({ namespace: 'any', podName: 'cart-1' })], [from({ namespace: 'cart', podName: 'x' })]],
  ['sourcePod', ['/'], [from({ namespace: 'any', podName: 'x' })], [from({}), empty]],
  ['sourcePod', ['cart'], [from({ namespace: 'default', podName: 'cart-1' })], [from({ namespace: 'shop', podName: 'cart-1' })]],
  ['destinationPod', ['shop/cart'], [to({ namespace: 'shop', podName: 'cart-1' })], [from({ namespace: 'shop', podName: 'cart-1' })]],
  [
    'sourceService',
    ['shop/ca'],
    [{ ...empty, sourceService: { namespace: 'shop', name: 'cart' } }],
    [empty, { ...empty, destinationService: { namespace: 'shop', name: 'cart' } }],
  ],
  [
    'destinationService',
    ['shop/'],
    [{ ...empty, destinationService: { namespace: 'shop', name: 'cart' } }],
    [{ ...empty, destinationService: {} }],
  ],
  [
    'sourceFqdn',
    ['*.Example.com.'],
    [{ ...empty, sourceNames: ['x', 'a.b.example.com'] }],
    [{ ...empty, sourceNames: ['example.com', 'a.example.com.evil'] }, empty],
  ],
  [
    'destinationFqdn',
    ['a.b', 'c'],
    [{ ...empty, destinationNames: ['A.B.'] }],
    [
      { ...empty, destinationNames: ['axb'] },
      { ...empty, sourceNames: ['a.b'] },
    ],
  ],
  ['sourceLabel', ['app=web'], [from({ labels: app })], [from({ labels: ['k8s:app=webx'] }), from({}), empty]],
  ['sourceLabel', ['k8s:app=web,tier in (front, back)'], [from({ labels: app })], [from({ labels: ['k8s:app=web'] })]],
  ['sourceLabel', ['any:app'], [from({ labels: app })], [from({ labels: ['k8s:apps=web'] })]],
  ['sourceLabel', ['reserved:host'], [from({ labels: app })], [from({ labels: ['k8s:host'] })]],
  ['sourceLabel', ['cidr:app'], [], [from({ labels: app })]],
  ['sourceLabel', ['!canary', 'app != web'], [from({ labels: app })], [from({ labels: ['k8s:canary=1', 'k8s:app=web'] })]],
  ['sourceLabel', ['tier notin (front)'], [from({ labels: ['k8s:tier=back'] }), empty], [from({ labels: app })]],
  ['destinationLabel', ['app==web'], [to({ labels: app })], [from({ labels: app })]],
  ['nodeLabels', ['zone=a'], [{ ...empty, nodeLabels: ['os=linux', 'zone=a'] }], [{ ...empty, nodeLabels: ['zone=b'] }, empty]],
  [
    'sourceWorkload',
    [{ name: 'web', kind: 'Deployment' }],
    [from({ workloads: [{ name: 'x' }, { name: 'web', kind: 'Deployment' }] })],
    [from({ workloads: [{ name: 'web', kind: 'Job' }] }), empty],
  ],
  [
    'destinationWorkload',
    [{ kind: 'Job' }],
    [to({ workloads: [{ name: 'a', kind: 'Job' }] })],
    [to({ workloads: [] }), to({ workloads: [{ name: 'Job' }] })],
  ],
  ['sourceClusterName', ['east'], [from({ clusterName: 'east' })], [from({ clusterName: 'east2' }), empty]],
  ['destinationClusterName', ['east'], [to({ clusterName: 'east' })], [from({ clusterName: 'east' })]],
  ['trafficDirection', [1], [{ ...empty, trafficDirection: 1 }], [{ ...empty, trafficDirection: 2 }, empty]],
  ['trafficDirection', [0], [empty], [{ ...empty, trafficDirection: 2 }]],
  ['verdict', [2, 3], [{ ...empty, verdict: 3 }], [empty]],
  [
    'dropReasonDesc',
    [133],
    [{ ...empty, verdict: 2, dropReasonDesc: 133 }],
    [
      { ...empty, dropReasonDesc: 133 },
      { ...empty, verdict: 2, dropReasonDesc: 134 },
    ],
  ],
  ['interface', [{ name: 'eth0' }], [{ ...empty, interface: { index: 4, name: 'eth0' } }], [{ ...empty, interface: { index: 4 } }, empty]],
  [
    'interface',
    [{ index: 4, name: 'eth0' }],
    [{ ...empty, interface: { index: 4, name: 'eth0' } }],
    [{ ...empty, interface: { index: 5, name: 'eth0' } }],
  ],
  ['eventType', [{ type: 1 }], [{ ...empty, eventType: { type: 1, subType: 133 } }], [{ ...empty, eventType: { type: 4 } }, empty]],
  [
    'eventType',
    [{ type: 4, matchSubType: true }],
    [{ ...empty, eventType: { type: 4 } }],
    [{ ...empty, eventType: { type: 4, subType: 5 } }],
  ],
  [
    'eventType',
    [{ matchSubType: true, subType: 5 }],
    [{ ...empty, eventType: { type: 4, subType: 5 } }],
    [{ ...empty, eventType: { type: 4 } }],
  ],
  ['httpStatusCode', ['404'], [http({ code: 404 })], [http({ code: 40 }), http({}), empty]],
  ['httpStatusCode', ['5+', '40+'], [http({ code: 503 }), http({ code: 404 })], [http({ code: 413 }), http({})]],
  ['httpMethod', ['get'], [http({ method: 'GET' })], [http({ method: 'GETS' }), empty]],
  [
    'httpPath',
    ['^/page/[0-9]+$'],
    [http({ url: 'http://a/page/1?x=y' }), http({ url: '/page/22' })],
    [http({ url: 'http://a/page/x' }), http({ url: 'http://page/1/x' }), empty],
  ],
  ['httpUrl', ['//web/.*x=1'], [http({ url: 'http://web/a?x=1' })], [http({ url: '/a?x=1' }), empty]],
  [
    'httpHeader',
    [{ key: 'X', value: '1' }],
    [http({ headers: [{ key: 'Y' }, { key: 'X', value: '1' }] })],
    [http({ headers: [{ key: 'x', value: '1' }] }), empty],
  ],
  ['protocol', ['tcp'], [l4({ kind: 'TCP' })], [l4({ kind: 'UDP' }), empty]],
  ['protocol', ['ICMP'], [l4({ kind: 'ICMPv4' }), l4({ kind: 'ICMPv6' })], [l4({ kind: 'IGMP' })]],
  [
    'protocol',
    ['udp', 'sctp', 'icmpv6', 'icmpv4'],
    [l4({ kind: 'UDP' }), l4({ kind: 'SCTP' }), l4({ kind: 'ICMPv6' }), l4({ kind: 'ICMPv4' })],
    [l4({ kind: 'TCP' })],
  ],
  ['protocol', ['vrrp', 'igmp'], [l4({ kind: 'VRRP' }), l4({ kind: 'IGMP' })], [empty]],
  ['protocol', ['dns'], [record({ kind: 'dns' })], [http({}), empty]],
  ['protocol', ['http', 'kafka'], [http({}), record({ kind: 'kafka' })], [record({ kind: 'dns' })]],
  [
    'sourcePort',
    ['80'],
    [l4({ kind: 'TCP', sourcePort: 80 }), l4({ kind: 'UDP', sourcePort: 80 })],
    [l4({ kind: 'TCP', destinationPort: 80 }), l4({ kind: 'ICMPv4' }), empty],
  ],
  [
    'destinationPort',
    ['53', '0'],
    [l4({ kind: 'SCTP', destinationPort: 53 }), l4({ kind: 'TCP' })],
    [l4({ kind: 'TCP', destinationPort: 5 })],
  ],
  ['reply', [true], [{ ...empty, isReply: true }], [{ ...empty, isReply: false }, empty, { ...empty, verdict: 2 }]],
  [
    'reply',
    [false],
    [
      { ...empty, isReply: false },
      { ...empty, verdict: 2 },
    ],
    [{ ...empty, isReply: true }, empty],
  ],
  [
    'dnsQuery',
    ['example'],
    [record({ kind: 'dns', query: 'www.example.com.' })],
    [record({ kind: 'dns' }), http({ url: 'example' }), empty],
  ],
  ['sourceIdentity', [2, 16_777_217], [from({ identity: 2 }), from({ identity: 16_777_217 })], [from({ identity: 3 }), empty]],
  ['sourceIdentity', [0], [empty], [from({ identity: 3 })]],
  ['destinationIdentity', [2], [to({ identity: 2 })], [from({ identity: 2 })]],
  [
    'tcpFlags',
    [TcpFlag.SYN],
    [l4({ kind: 'TCP', flags: TcpFlag.SYN | TcpFlag.ACK })],
    [l4({ kind: 'TCP', flags: TcpFlag.ACK }), l4({ kind: 'UDP' }), empty],
  ],
  [
    'tcpFlags',
    [TcpFlag.SYN | TcpFlag.ACK, TcpFlag.NS],
    [l4({ kind: 'TCP', flags: TcpFlag.NS })],
    [l4({ kind: 'TCP', flags: TcpFlag.SYN })],
  ],
  ['nodeName', ['n*'], [empty, { ...empty, nodeName: 'east/n1' }], [{ ...empty, nodeName: 'default/m' }]],
  [
    'nodeName',
    ['default/n', 'east/'],
    [empty, { ...empty, nodeName: 'n' }, { ...empty, nodeName: 'east/x' }],
    [{ ...empty, nodeName: 'west/n' }],
  ],
  ['nodeName', ['e*t/n.1'], [{ ...empty, nodeName: 'east/n.1' }], [{ ...empty, nodeName: 'east/nx1' }]],
  ['ipVersion', [1], [ip({ ipVersion: 1 })], [ip({ ipVersion: 2 }), empty]],
  ['ipVersion', [0], [empty], [ip({ ipVersion: 2 })]],
  ['traceId', ['x'], [{ ...empty, traceContext: { parent: { traceId: 'x' } } }], [empty]],
  ['ipTraceId', [1n << 62n], [{ ...empty, ipTraceId: { traceId: 1n << 62n } }], [empty]],
  ['encrypted', [true], [ip({ encrypted: true })], [ip({}), empty]],
  ['encrypted', [false], [ip({ source: '1.1.1.1' })], [ip({ encrypted: true })]],
];

for (const [field, values, yes, no] of cases)
  test(`${field} ${JSON.stringify(values, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`, () => {
    const filter = { [field]: values } as FlowFilter;
    const wanted = flowPredicate({ whitelist: [filter] });
    assert.deepEqual([yes.filter((flow) => !wanted(flow)), no.filter((flow) => wanted(flow))], [[], []]);
    const unwanted = flowPredicate({ blacklist: [filter] });
    assert.deepEqual([yes.filter((flow) => unwanted(flow)), no.filter((flow) => !unwanted(flow))], [[], []]);
  });

test('every field of a filter has a case', () => {
  const snake = (text: string) => text.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const tested = new Set(cases.map(([field]) => snake(field)));
  assert.deepEqual(
    flowFilter.fields.map(({ name }) => name).filter((name) => !tested.has(name)),
    ['experimental'],
  );
});

const forwarded: Flow = { ...empty, verdict: 1 };
const dropped: Flow = { ...from({ namespace: 'shop', podName: 'x' }), verdict: 2 };

test('fields of a filter all have to match, of filters one', () => {
  const both = flowPredicate({ whitelist: [{ verdict: [2], sourcePod: ['other/'] }] });
  const either = flowPredicate({ whitelist: [{ verdict: [2] }, { sourcePod: ['other/'] }] });
  assert.deepEqual([both(dropped), either(dropped), either(forwarded)], [false, true, false]);
});

test('a filter without a field matches everything, also in the blacklist', () => {
  assert.equal(flowPredicate({})(forwarded), true);
  assert.equal(flowPredicate({ whitelist: [{}] })(forwarded), true);
  assert.equal(flowPredicate({ whitelist: [{ verdict: [1] }], blacklist: [{}] })(forwarded), false);
});

const mistakes: readonly (readonly [FlowFilter, RegExp])[] = [
  [{ sourceIp: ['1.1.1.1', 'x'] }, /^whitelist\[1\]\.source_ip\[1\]: 'x' is no IP address$/],
  [{ destinationIp: ['1.1.1.1/33'] }, /destination_ip\[0\]: '1.1.1.1\/33' is no prefix/],
  [{ sourceIpXlated: ['/8'] }, /source_ip_xlated\[0\]/],
  [{ sourcePod: [''] }, /source_pod\[0\]: is empty/],
  [{ destinationService: [''] }, /destination_service\[0\]: is empty/],
  [{ sourceFqdn: [''] }, /source_fqdn\[0\]: is empty/],
  [{ sourceLabel: ['a in b'] }, /source_label\[0\]: 'a in b' is no requirement/],
  [{ destinationLabel: ['=x'] }, /destination_label\[0\]/],
  [{ nodeLabels: ['a,,b'] }, /node_labels\[0\]/],
  [{ httpStatusCode: ['600'] }, /http_status_code\[0\]: '600' is no status/],
  [{ httpStatusCode: ['4'] }, /http_status_code/],
  [{ httpStatusCode: ['404'], eventType: [{ type: 4 }] }, /http_status_code\[0\]: goes with requests only/],
  [{ httpPath: ['('] }, /http_path\[0\]: there is a '\(' without '\)'/],
  [{ httpUrl: ['(?=x)'] }, /http_url\[0\]/],
  [{ dnsQuery: ['*'] }, /dns_query\[0\]: there is nothing before '\*'/],
  [{ protocol: ['tcpp'] }, /protocol\[0\]: 'tcpp' is no protocol, wanted one of icmp, /],
  [{ sourcePort: ['http'] }, /source_port\[0\]: 'http' is no port/],
  [{ destinationPort: ['65536'] }, /destination_port\[0\]/],
  [{ nodeName: [''] }, /node_name\[0\]/],
  [{ nodeName: ['a/b/c'] }, /node_name\[0\]: 'a\/b\/c' has two slashes/],
  [{ experimental: { celExpression: ['true'] } }, /whitelist\[1\]\.experimental\.cel_expression: CEL is not supported/],
];

for (const [filter, wanted] of mistakes)
  test(`refuses ${JSON.stringify(filter)}`, () => {
    assert.throws(
      () => flowPredicate({ whitelist: [{}, filter] }),
      (error) => error instanceof RpcError && error.status === Status.INVALID_ARGUMENT && wanted.test(error.message),
    );
  });

test('a mistake in the blacklist is named there', () => {
  assert.throws(() => flowPredicate({ blacklist: [{ sourcePort: ['x'] }] }), /^RpcError: blacklist\[0\]\.source_port\[0\]/);
});
