// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packetFor } from './ends.ts';
import type { Trace } from './packet.ts';
import { node1 } from './testdata/node1.ts';
import { traceOf } from './trace.ts';
import type { TraceTables } from './trace.ts';

const tables = node1();

/** 'tcp shop/podA shop/cart:80', with '--packet' behind it for a packet that no socket program saw. */
function traced(words: string, of: TraceTables = tables): Trace {
  const [protocol = '', source = '', destination = '', option] = words.split(' ');
  const packet = packetFor({ protocol, source, destination, raw: option === '--packet' }, of);
  assert.ok(typeof packet === 'object', JSON.stringify(packet));
  return traceOf(packet, of);
}

const hooks = ({ steps }: Trace) => [...new Set(steps.map(({ hook }) => hook))].join(' ');

const cases: readonly [words: string, hooks: string, verdict: object, sentence: string][] = [
  [
    'tcp shop/podA shop/podB:80',
    'sock_connect4 pod_from',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from pod shop/podA to 10.244.1.6:80 is delivered to pod shop/podB on this node',
  ],
  [
    'tcp shop/podA shop/cart:80',
    'sock_connect4 pod_from',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from pod shop/podA to 10.96.0.10:80 (service shop/cart) is delivered to pod shop/podB on this node, at 10.244.1.6:8080',
  ],
  [
    'tcp shop/podA shop/cart:http --packet',
    'pod_from',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from pod shop/podA to 10.96.0.10:80 (service shop/cart) is delivered to pod shop/podB on this node, at 10.244.1.6:8080',
  ],
  [
    'udp fd00:244:1::5 [fd00:10:96::11]:53',
    'sock_connect6 pod_from host_to',
    { kind: 'sent', node: 'node2', through: 'eth0' },
    'UDP from pod shop/podA to [fd00:10:96::11]:53 (service shop/remote) is sent to node node2 through eth0, at [fd00:244:2::7]:5353',
  ],
  [
    'tcp shop/podA shop/self:80',
    'sock_connect4 pod',
    { kind: 'delivered', pod: 'shop/podA' },
    'TCP from pod shop/podA to 10.96.0.12:80 (service shop/self) is delivered to pod shop/podA on this node, at 10.244.1.5:8080',
  ],
  [
    'tcp shop/podA shop/local:80',
    'sock_connect4 pod_from',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from pod shop/podA to 10.96.0.23:80 (service shop/local) is delivered to pod shop/podB on this node, at 10.244.1.6:8080',
  ],
  [
    'udp shop/podB shop/local:53 --packet',
    'pod_from host_to',
    { kind: 'sent', node: 'node2', through: 'eth0' },
    'UDP from pod shop/podB to 10.96.0.23:53 (service shop/local) is sent to node node2 through eth0, at 10.244.2.7:5353',
  ],
  [
    'tcp host 198.51.100.77:80',
    'sock_connect4 stack pod_to',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from this host to 198.51.100.77:80 (service shop/metadata-4) is delivered to pod shop/podB on this node, at 10.244.1.6:8080',
  ],
  [
    'tcp shop/podA 198.51.100.77:81',
    'sock_connect4 pod_from host_to',
    { kind: 'leaves', through: 'eth0', masqueraded: true },
    "TCP from pod shop/podA to 198.51.100.77:81 leaves through eth0 with the node's address 192.0.2.11",
  ],
  [
    'tcp shop/podA shop/nobody:80',
    'sock_connect4',
    { kind: 'refused', because: 'no backend' },
    'TCP from pod shop/podA to 10.96.0.13:80 (service shop/nobody) is refused: the service has no backend that can serve',
  ],
  [
    'tcp shop/podA shop/nobody:80 --packet',
    'pod_from',
    { kind: 'refused', because: 'no backend' },
    'TCP from pod shop/podA to 10.96.0.13:80 (service shop/nobody) is refused: the service has no backend that can serve',
  ],
  [
    'udp shop/podA shop/cart:81',
    'sock_connect4 pod_from',
    { kind: 'refused', because: 'no such port' },
    'UDP from pod shop/podA to 10.96.0.10:81 is refused: the address belongs to a service, which does not serve this port and protocol',
  ],
  [
    'icmp shop/podA shop/cart',
    'pod_from',
    { kind: 'answered' },
    'ICMP from pod shop/podA to 10.96.0.10 is answered by the data plane: the service address exists',
  ],
  [
    'tcp shop/podA 203.0.113.80:443',
    'sock_connect4 pod_from host_to',
    { kind: 'leaves', through: 'eth0', masqueraded: true },
    "TCP from pod shop/podA to 203.0.113.80:443 leaves through eth0 with the node's address 192.0.2.11",
  ],
  [
    'tcp shop/podA node2:22',
    'sock_connect4 pod_from host_to',
    { kind: 'sent', node: 'node2', through: 'eth0' },
    'TCP from pod shop/podA to 192.0.2.12:22 is sent to node node2 through eth0',
  ],
  [
    'tcp shop/podA node1:22',
    'sock_connect4 pod_from stack',
    { kind: 'taken' },
    'TCP from pod shop/podA to 192.0.2.11:22 is taken by this host',
  ],
  [
    'tcp shop/podA shop/kubernetes:80',
    'sock_connect4 pod_from stack',
    { kind: 'taken' },
    'TCP from pod shop/podA to 10.96.0.1:80 (service shop/kubernetes) is taken by this host, at 192.0.2.11:8080',
  ],
  [
    'tcp shop/podA 192.168.77.9:80',
    'sock_connect4 pod_from stack',
    { kind: 'leaves', through: 'stranger0', masqueraded: false },
    'TCP from pod shop/podA to 192.168.77.9:80 leaves through stranger0 with its own address 10.244.1.5',
  ],
  [
    'udp shop/podA 224.0.0.251:5353',
    'sock_connect4 pod_from',
    { kind: 'dropped', reason: 'MULTICAST_HANDLED' },
    'UDP from pod shop/podA to 224.0.0.251:5353 is dropped: MULTICAST_HANDLED, pods send no multicast and no broadcast',
  ],
  [
    'tcp 10.244.1.99 shop/podB:80',
    'pod_from',
    { kind: 'dropped', reason: 'INVALID_SOURCE_IP' },
    'TCP from 10.244.1.99 to 10.244.1.6:80 is dropped: INVALID_SOURCE_IP, no pod of this node has this address',
  ],
  [
    'tcp host shop/cart:80',
    'sock_connect4 stack pod_to',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from this host to 10.96.0.10:80 (service shop/cart) is delivered to pod shop/podB on this node, at 10.244.1.6:8080',
  ],
  [
    'tcp host shop/remote:80',
    'sock_connect4 stack host_to',
    { kind: 'sent', node: 'node2', through: 'eth0' },
    'TCP from this host to 10.96.0.11:80 (service shop/remote) is sent to node node2 through eth0, at 10.244.2.7:8080',
  ],
  [
    'icmp host shop/cart',
    'stack host_to',
    { kind: 'answered' },
    'ICMP from this host to 10.96.0.10 is answered by the data plane: the service address exists',
  ],
  [
    'tcp shop/podA [fe80::7]:80',
    'sock_connect6 pod_from stack',
    { kind: 'refused', because: 'no route' },
    'TCP from pod shop/podA to [fe80::7]:80 is refused: the node has no route to it',
  ],
  ['tcp host 127.0.0.1:80', 'sock_connect4 stack', { kind: 'taken' }, 'TCP from this host to 127.0.0.1:80 is taken by this host'],
  [
    'tcp outside shop/podA:80',
    'host_from',
    { kind: 'delivered', pod: 'shop/podA' },
    'TCP from 198.51.100.1 to 10.244.1.5:80 is delivered to pod shop/podA on this node',
  ],
  [
    'tcp node2 shop/podA:80',
    'host_from',
    { kind: 'delivered', pod: 'shop/podA' },
    'TCP from 192.0.2.12 to 10.244.1.5:80 is delivered to pod shop/podA on this node',
  ],
  [
    'tcp outside shop/cart:80',
    'host_from',
    { kind: 'dropped', reason: 'IS_A_CLUSTERIP' },
    'TCP from 198.51.100.1 to 10.96.0.10:80 (service shop/cart) is dropped: IS_A_CLUSTERIP, service addresses are not reached from the wire',
  ],
  [
    'tcp outside 192.0.2.221:80',
    'host_from',
    { kind: 'dropped', reason: 'DENIED_BY_LB_SRC_RANGE_CHECK' },
    'TCP from 198.51.100.1 to 192.0.2.221:80 (service shop/guarded) is dropped: DENIED_BY_LB_SRC_RANGE_CHECK, loadBalancerSourceRanges of the Service keeps this client out',
  ],
  [
    'tcp outside 192.0.2.221:81',
    'host_from',
    { kind: 'dropped', reason: 'DENIED_BY_LB_SRC_RANGE_CHECK' },
    'TCP from 198.51.100.1 to 192.0.2.221:81 is dropped: DENIED_BY_LB_SRC_RANGE_CHECK, loadBalancerSourceRanges of the Service keeps this client out',
  ],
  [
    'tcp outside 192.0.2.222:81',
    'host_from',
    { kind: 'refused', because: 'no such port' },
    'TCP from 198.51.100.1 to 192.0.2.222:81 is refused: the address belongs to a service, which does not serve this port and protocol',
  ],
  [
    'tcp outside 192.0.2.222:80',
    'host_from',
    { kind: 'delivered', pod: 'shop/podB' },
    'TCP from 198.51.100.1 to 192.0.2.222:80 (service shop/barred) is delivered to pod shop/podB on this node, at 10.244.1.6:8080',
  ],
  [
    'tcp outside 192.0.2.223:80',
    'host_from stack',
    { kind: 'taken' },
    'TCP from 198.51.100.1 to 192.0.2.223:80 (service shop/delegated) is taken by this host',
  ],
  ['tcp outside node1:22', 'host_from stack', { kind: 'taken' }, 'TCP from 198.51.100.1 to 192.0.2.11:22 is taken by this host'],
  [
    'tcp outside 10.244.2.7:80',
    'host_from stack host_to',
    { kind: 'sent', node: 'node2', through: 'eth0' },
    'TCP from 198.51.100.1 to 10.244.2.7:80 is sent to node node2 through eth0',
  ],
];
for (const [words, wantedHooks, verdict, sentence] of cases)
  test(`${words}: ${JSON.stringify(verdict)}`, () => {
    const trace = traced(words);
    assert.deepEqual([hooks(trace), trace.verdict, trace.sentence], [wantedHooks, verdict, sentence]);
    assert.equal(trace.delivered, !['dropped', 'refused'].includes(trace.verdict.kind));
  });

test('the steps say what was looked up, what was found and what follows', () => {
  assert.deepEqual(traced('tcp 10.244.1.5:41000 shop/outside:80 --packet').steps, [
    { hook: 'pod_from', lookedUp: 'endpoints 10.244.1.5', found: 'pod shop/podA at lxc-a', decision: 'the sender is who it says' },
    {
      hook: 'pod_from',
      lookedUp: 'lb_addresses 10.96.0.15',
      found: 'a service address',
      decision: 'looks for the service at this port',
    },
    {
      hook: 'pod_from',
      lookedUp: 'lb_services 10.96.0.15:80/TCP',
      found: 'service shop/outside, id 25, 1 backend',
      decision: 'takes its only backend',
    },
    {
      hook: 'pod_from',
      lookedUp: 'lb_slots 25/0, lb_backends 21',
      found: '203.0.113.80:8080',
      decision: 'the packet goes to 203.0.113.80:8080',
    },
    { hook: 'pod_from', lookedUp: 'endpoints 203.0.113.80', found: undefined, decision: 'no pod of this node: asks for the route' },
    { hook: 'pod_from', lookedUp: 'route to 203.0.113.80', found: 'default dev eth0', decision: 'out of the uplink eth0' },
    { hook: 'pod_from', lookedUp: 'ipcache 203.0.113.80', found: undefined, decision: 'masquerades it as 192.0.2.11' },
    { hook: 'host_to', lookedUp: 'mark', found: 'seen to by pod_from', decision: 'passes' },
  ]);
});

test('every backend that may be chosen is walked, and one that is not reached makes the whole not delivered', () => {
  const trace = traced('tcp shop/podA shop/many:80');
  assert.deepEqual([trace, ...trace.others].map(({ out }) => out.destination).sort(), ['10.244.2.7', '10.244.2.8']);
  assert.equal(trace.delivered, true);
  const lonely = node1();
  const [key] = [...lonely.nodes.interfaces.entries()].map(([index]) => index);
  const nowhere = {
    ...lonely,
    nodes: { ...lonely.nodes, routes: node1({ endpoints: [] }).nodes.routes, interfaces: without(lonely, key) },
  };
  assert.equal(traced('tcp shop/podA shop/many:80', nowhere).delivered, false);
  assert.deepEqual(traced('tcp shop/podA shop/many:80', nowhere).verdict, { kind: 'refused', because: 'no route' });
});

function without({ nodes }: TraceTables, key: string | undefined): TraceTables['nodes']['interfaces'] {
  const { interfaces } = nodes;
  return {
    ...interfaces,
    size: interfaces.size - 1,
    complete: true,
    get: (one) => (one === key ? undefined : interfaces.get(one)),
    entries: () => [...interfaces.entries()].filter(([one]) => one !== key),
  };
}

test('what the values switch off is not decided', () => {
  assert.deepEqual(traced('tcp shop/podA shop/nobody:80 --packet', node1({ noBackendReject: false })).verdict, {
    kind: 'dropped',
    reason: 'SERVICE_BACKEND_NOT_FOUND',
  });
  const own = traced('tcp shop/podA 203.0.113.80:80', node1({ masquerade: { ipv4: false, ipv6: true } }));
  assert.deepEqual([own.verdict, own.out.source], [{ kind: 'leaves', through: 'eth0', masqueraded: false }, '10.244.1.5']);
  assert.equal(hooks(traced('tcp shop/podA shop/cart:80', node1({ sockets: false }))), 'pod_from');
});

test('a source port stays in the range that translations use, and is drawn anew outside of it', () => {
  const portOf = (source: string) => traced(`tcp ${source} 203.0.113.80:80`).out.sourcePort;
  assert.deepEqual([portOf('10.244.1.5:41000'), portOf('10.244.1.5:1000')], [41000, undefined]);
});

test('a pod whose sockets stay as they are is served packet by packet, and the trace says why', () => {
  const cases: readonly (readonly [TraceTables, RegExp])[] = [
    [node1({ exempt: ['shop/podA'] }), /the test says so/],
    [node1({ socketLbHostOnly: true }), /socketLB\.hostNamespaceOnly/],
  ];
  for (const [of, why] of cases) {
    const trace = traced('tcp shop/podA shop/cart:80', of);
    assert.match(trace.steps[0]?.found ?? '', why);
    assert.equal(trace.steps.find(({ lookedUp }) => lookedUp.startsWith('lb_services'))?.hook, 'pod_from');
    assert.equal(trace.verdict.kind, 'delivered');
    const host = traced('tcp host shop/cart:80', of);
    assert.equal(host.steps[0]?.hook, 'sock_connect4', "the node's own sockets are not concerned");
    assert.match(host.steps[1]?.lookedUp ?? '', /^lb_services/);
  }
});

test('a trace names the policy that leads elsewhere, whom that does not concern, and nothing of it while no pod is ready', () => {
  const text = (words: string, of: TraceTables = tables) => JSON.stringify(traced(words, of).steps);
  assert.match(text('tcp shop/podA shop/local:80'), /service shop\/local, led to pods of this node by shop\/local, id \d+, 1 backend"/);
  assert.match(text('tcp shop/podB shop/local:80 --packet'), /whose redirect by shop\/local this client skips/);
  assert.match(text('tcp shop/podA 198.51.100.77:81'), /an address that a policy redirects some ports of/);
  const usual = node1({ redirected: false });
  assert.doesNotMatch(text('tcp shop/podA shop/local:80', usual), /led to pods/);
  assert.deepEqual(traced('tcp shop/podA shop/local:80', usual).verdict, { kind: 'sent', node: 'node2', through: 'eth0' });
  assert.deepEqual(traced('tcp shop/podA 198.51.100.77:80', usual).verdict.kind, 'leaves');
});
