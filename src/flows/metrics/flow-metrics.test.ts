// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { metricsText } from '../../base/metrics.ts';
import { TcpFlag } from '../flow.ts';
import type { Flow } from '../flow.ts';
import { drop, query, reply, request, syn, verdict } from '../testdata/flows.ts';
import { flowMetrics } from './flow-metrics.ts';

/** The samples that `flows` make under `lines`, without those about the metrics themselves. */
function counted(lines: readonly string[], flows: readonly Flow[]): readonly string[] {
  const { count, metrics, problems } = flowMetrics(lines);
  flows.forEach(count);
  assert.deepEqual(problems(), []);
  return metricsText(metrics)
    .split('\n')
    .filter((line) => line.startsWith('hubble_'));
}

const labelled: Flow = {
  ...syn,
  source: {
    identity: 300,
    namespace: 'shop',
    podName: 'cart-7d-x',
    labels: ['k8s:app=cart', 'k8s:io.kubernetes.pod.namespace=shop'],
    workloads: [{ name: 'cart', kind: 'Deployment' }],
  },
  destination: { identity: 7, labels: ['reserved:remote-node', 'reserved:kube-apiserver'] },
  destinationNames: ['a.example', 'b.example'],
  trafficDirection: 2,
};
const world: Flow = { ...syn, destination: { identity: 2, labels: ['reserved:world-ipv4'] } };
const fin: Flow = { ...syn, l4: { kind: 'TCP', sourcePort: 1, destinationPort: 2, flags: TcpFlag.FIN | TcpFlag.RST | TcpFlag.ACK } };
const icmp: Flow = { ...syn, l4: { kind: 'ICMPv4', type: 8 }, summary: 'ICMPv4 EchoRequest' };
const icmp6: Flow = { ...syn, l4: { kind: 'ICMPv6', type: 129 }, summary: 'ICMPv6 EchoReply', isReply: true };
const dnsFlow = (type: number, more: object): Flow => ({
  ...query,
  isReply: type === 2,
  l7: { type: type === 1 ? 1 : 2, record: { kind: 'dns', query: 'web.', qtypes: ['A'], ...more } },
});
const asked: Flow = {
  ...request,
  trafficDirection: 2,
  l7: { type: 1, record: { kind: 'http', method: 'GET', url: 'http://web/', protocol: 'HTTP/1.1' } },
};
const answered: Flow = {
  ...asked,
  source: request.destination,
  destination: request.source,
  isReply: true,
  l7: { type: 2, latencyNs: 4_000_000n, record: { kind: 'http', code: 200, method: 'GET', url: 'http://web/', protocol: 'HTTP/1.1' } },
};

const cases: readonly (readonly [line: string, flows: readonly Flow[], samples: readonly string[]])[] = [
  [
    'flow',
    [syn, syn, drop, verdict, query, request, { ...syn, eventType: { type: 7 } }, { ...syn, l4: undefined }],
    [
      'hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="to-endpoint",verdict="FORWARDED"} 2',
      'hubble_flows_processed_total{protocol="TCP",type="Drop",subtype="",verdict="DROPPED"} 1',
      'hubble_flows_processed_total{protocol="TCP",type="PolicyVerdict",subtype="",verdict="DROPPED"} 1',
      'hubble_flows_processed_total{protocol="DNS",type="L7",subtype="DNS",verdict="FORWARDED"} 1',
      'hubble_flows_processed_total{protocol="HTTP",type="L7",subtype="HTTP",verdict="FORWARDED"} 1',
      'hubble_flows_processed_total{protocol="Unknown flow",type="Unknown",subtype="7",verdict="FORWARDED"} 1',
      'hubble_flows_processed_total{protocol="Unknown L4",type="Trace",subtype="to-endpoint",verdict="FORWARDED"} 1',
    ],
  ],
  ['drop', [drop, syn], ['hubble_drop_total{reason="POLICY_DENIED",protocol="TCP"} 1']],
  [
    'tcp',
    [
      syn,
      { ...reply, l4: { kind: 'TCP', flags: TcpFlag.SYN | TcpFlag.ACK } },
      fin,
      drop,
      { ...syn, l4: { kind: 'TCP', flags: TcpFlag.ACK } },
      icmp,
    ],
    [
      'hubble_tcp_flags_total{flag="SYN",family="IPv4"} 1',
      'hubble_tcp_flags_total{flag="SYN-ACK",family="IPv4"} 1',
      'hubble_tcp_flags_total{flag="FIN",family="IPv4"} 1',
      'hubble_tcp_flags_total{flag="RST",family="IPv4"} 1',
    ],
  ],
  [
    'tcp',
    [{ ...syn, ip: { source: 'fd00::1', destination: 'fd00::2', ipVersion: 2 } }],
    ['hubble_tcp_flags_total{flag="SYN",family="IPv6"} 1'],
  ],
  [
    'port-distribution',
    [syn, syn, reply, drop, { ...syn, isReply: undefined }, icmp],
    ['hubble_port_distribution_total{protocol="TCP",port="8181"} 2', 'hubble_port_distribution_total{protocol="ICMPv4",port="0"} 1'],
  ],
  [
    'icmp',
    [icmp, icmp6, syn],
    ['hubble_icmp_total{family="IPv4",type="EchoRequest"} 1', 'hubble_icmp_total{family="IPv6",type="EchoReply"} 1'],
  ],
  [
    'dns',
    [
      dnsFlow(1, {}),
      dnsFlow(2, { ips: ['1.2.3.4', '1.2.3.5'], rrtypes: ['CNAME', 'A'], rcode: 0 }),
      dnsFlow(2, { rcode: 3 }),
      { ...dnsFlow(1, {}), verdict: 2 },
      dnsFlow(1, { qtypes: ['AAAA'] }),
    ],
    [
      'hubble_dns_queries_total{rcode="",qtypes="A",ips_returned="0"} 1',
      'hubble_dns_queries_total{rcode="Policy denied",qtypes="A",ips_returned="0"} 1',
      'hubble_dns_queries_total{rcode="",qtypes="AAAA",ips_returned="0"} 1',
      'hubble_dns_responses_total{rcode="No Error",qtypes="A",ips_returned="2"} 1',
      'hubble_dns_responses_total{rcode="Non-Existent Domain",qtypes="A",ips_returned="0"} 1',
      'hubble_dns_response_types_total{type="CNAME",qtypes="A"} 1',
      'hubble_dns_response_types_total{type="A",qtypes="A"} 1',
    ],
  ],
  [
    'dns:query;ignoreAAAA',
    [dnsFlow(1, {}), dnsFlow(1, { qtypes: ['AAAA'] }), dnsFlow(1, { qtypes: ['A', 'AAAA'] })],
    [
      'hubble_dns_queries_total{rcode="",qtypes="A",ips_returned="0",query="web."} 1',
      'hubble_dns_queries_total{rcode="",qtypes="A,AAAA",ips_returned="0",query="web."} 1',
    ],
  ],
  [
    'flows-to-world:port;syn-only',
    [
      world,
      { ...world, isReply: true },
      { ...world, l4: { kind: 'TCP', destinationPort: 1, flags: TcpFlag.ACK } },
      syn,
      { ...world, verdict: 2, dropReasonDesc: 181 },
    ],
    ['hubble_flows_to_world_total{protocol="TCP",verdict="FORWARDED",port="8181"} 1'],
  ],
  [
    'flows-to-world:any-drop',
    [{ ...world, verdict: 2, dropReasonDesc: 181 }],
    ['hubble_flows_to_world_total{protocol="TCP",verdict="DROPPED"} 1'],
  ],
  [
    'policy',
    [{ ...verdict, policyMatchType: 2 }, { ...verdict, source: { identity: 1 } }, { ...request, trafficDirection: 1 }, syn],
    [
      'hubble_policy_verdicts_total{direction="egress",match="l3-l4",action="dropped"} 1',
      'hubble_policy_verdicts_total{direction="ingress",match="l7/http",action="forwarded"} 1',
    ],
  ],
  [
    'drop:sourceContext=pod|ip;destinationContext=dns|ip',
    [{ ...labelled, verdict: 2, dropReasonDesc: 133 }, drop],
    [
      'hubble_drop_total{reason="POLICY_DENIED",protocol="TCP",source="shop/cart-7d-x",destination="a.example,b.example"} 1',
      'hubble_drop_total{reason="POLICY_DENIED",protocol="TCP",source="1.1.1.1",destination="2.2.2.2"} 1',
    ],
  ],
  [
    'tcp:sourceContext=workload;destinationContext=reserved-identity',
    [labelled],
    ['hubble_tcp_flags_total{flag="SYN",family="IPv4",source="shop/cart",destination="reserved:kube-apiserver"} 1'],
  ],
  [
    'tcp:sourceContext=app;destinationContext=identity',
    [labelled],
    ['hubble_tcp_flags_total{flag="SYN",family="IPv4",source="cart",destination="reserved:remote-node,reserved:kube-apiserver"} 1'],
  ],
  [
    'tcp:sourceContext=namespace;sourceEgressContext=pod-name;SOURCEINGRESSCONTEXT=workload-name',
    [labelled, { ...labelled, trafficDirection: 1 }, { ...labelled, trafficDirection: 0 }],
    ['cart-7d-x', 'cart', 'shop'].map((source) => `hubble_tcp_flags_total{flag="SYN",family="IPv4",source="${source}"} 1`),
  ],
  [
    'tcp:labelsContext=traffic_direction,destination_ip,source_namespace,source_pod,source_workload,source_workload_kind,source_app',
    [labelled],
    [
      'hubble_tcp_flags_total{flag="SYN",family="IPv4",source_pod="cart-7d-x",source_namespace="shop",source_workload="cart",source_workload_kind="Deployment",source_app="cart",destination_ip="10.20.1.7",traffic_direction="egress"} 1',
    ],
  ],
  [
    'http:sourceContext=pod-name;destinationContext=pod-name',
    [asked, answered],
    [
      'hubble_http_requests_total{method="GET",protocol="HTTP/1.1",reporter="client",source="client",destination="coredns-565d847f94-pp8zs"} 1',
      'hubble_http_responses_total{method="GET",protocol="HTTP/1.1",status="200",reporter="client",source="coredns-565d847f94-pp8zs",destination="client"} 1',
      ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'].map(
        (end) =>
          `hubble_http_request_duration_seconds_bucket{method="GET",reporter="client",source="coredns-565d847f94-pp8zs",destination="client",le="${end}"} 1`,
      ),
      'hubble_http_request_duration_seconds_sum{method="GET",reporter="client",source="coredns-565d847f94-pp8zs",destination="client"} 0.004',
      'hubble_http_request_duration_seconds_count{method="GET",reporter="client",source="coredns-565d847f94-pp8zs",destination="client"} 1',
    ],
  ],
  [
    'httpV2:labelsContext=source_pod,destination_pod',
    [asked, answered],
    [
      'hubble_http_requests_total{method="GET",protocol="HTTP/1.1",status="200",reporter="client",source_pod="client",destination_pod="coredns-565d847f94-pp8zs"} 1',
      ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10', '+Inf'].map(
        (end) =>
          `hubble_http_request_duration_seconds_bucket{method="GET",reporter="client",source_pod="client",destination_pod="coredns-565d847f94-pp8zs",le="${end}"} 1`,
      ),
      'hubble_http_request_duration_seconds_sum{method="GET",reporter="client",source_pod="client",destination_pod="coredns-565d847f94-pp8zs"} 0.004',
      'hubble_http_request_duration_seconds_count{method="GET",reporter="client",source_pod="client",destination_pod="coredns-565d847f94-pp8zs"} 1',
    ],
  ],
];
for (const [line, flows, samples] of cases) test(`what ${line} counts`, () => assert.deepEqual(counted([line], flows), samples));

test('the list of the seed counts flows of every kind', () => {
  const values: { readonly hubble: { readonly metrics: { readonly enabled: readonly string[] } } } = parse(
    readFileSync(new URL('../../../sandbox/seed/values.yaml', import.meta.url), 'utf8'),
  );
  const found = counted(values.hubble.metrics.enabled, [syn, drop, icmp, asked, answered, dnsFlow(1, {}), dnsFlow(2, { rrtypes: ['A'] })]);
  const names = [...new Set(found.map((line) => line.split('{')[0]))];
  assert.deepEqual(names, [
    'hubble_dns_queries_total',
    'hubble_dns_responses_total',
    'hubble_dns_response_types_total',
    'hubble_drop_total',
    'hubble_tcp_flags_total',
    'hubble_flows_processed_total',
    'hubble_port_distribution_total',
    'hubble_icmp_total',
    'hubble_http_requests_total',
    'hubble_http_responses_total',
    'hubble_http_request_duration_seconds_bucket',
    'hubble_http_request_duration_seconds_sum',
    'hubble_http_request_duration_seconds_count',
  ]);
});

test('nothing is counted for a metric before there is something to count', () => {
  assert.deepEqual(counted(['flow', 'drop', 'http'], []), []);
  assert.deepEqual(flowMetrics([]).metrics, []);
});

const misread: readonly (readonly [lines: readonly string[], message: RegExp])[] = [
  [['flows'], /no metric 'flows'/],
  [['constructor'], /no metric 'constructor'/],
  [['http httpV2'], /'httpV2' counts what 'http' does/],
  [['drop', 'drop:sourceContext=ip'], /'drop' counts what 'drop' does/],
  [['drop:sourceContext=pods'], /'sourceContext=pods' of the metric 'drop' says nothing/],
  [['drop:labelsContext=source_name'], /'labelsContext=source_name' of the metric 'drop'/],
  [['drop:query'], /option 'query' of the metric 'drop'/],
];
for (const [lines, message] of misread)
  test(`${lines.join(' ')} is told`, () => {
    const [first, ...more] = flowMetrics(lines).problems();
    assert.match(first?.message ?? '', message);
    assert.equal(first?.reason, 'FlowMetricMisread');
    assert.deepEqual(more, []);
  });
