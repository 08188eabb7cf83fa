// SPDX-License-Identifier: Apache-2.0
// A cluster that never was: workloads that call each other for ever, as flows. What happens in a second follows from its number, so
// that the past can be asked for again and two servers see the same.

import { randomFrom } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { DropReason } from '../../flows/drop-reasons.ts';
import {
  FlowType,
  L7FlowType,
  MessageType,
  TraceObservationPoint,
  TraceReason,
  TrafficDirection,
  Verdict,
} from '../../flows/flow-enums.ts';
import { TcpFlag } from '../../flows/flow.ts';
import type { Flow, FlowEndpoint, L7Record } from '../../flows/flow.ts';

export type TownOptions = {
  readonly seed: number;
  readonly namespaces: number;
  readonly workloads: number;
  readonly links: number;
  /** Connections that each link has in a second, on average. */
  readonly rate: number;
};

type Peer = { readonly endpoint: FlowEndpoint; readonly address: string; readonly names?: readonly string[] };
type Call = {
  readonly from: Peer;
  readonly to: Peer;
  readonly port: number;
  readonly kind: 'http' | 'dns' | 'tcp' | 'udp';
  readonly bad: number;
  readonly drops: number;
  readonly slow: number;
};
export type Town = { readonly namespaces: readonly string[]; flowsIn(second: number): readonly Flow[] };

export const smallTown: TownOptions = { seed: 7, namespaces: 5, workloads: 34, links: 60, rate: 0.6 };
export const largeTown: TownOptions = { seed: 7, namespaces: 40, workloads: 1000, links: 5000, rate: 0.05 };

const namespaceNames = ['shop', 'media', 'monitoring', 'auth', 'storage', 'home', 'mail', 'ci', 'billing', 'search', 'ml', 'edge'];
const workloadNames = [
  'frontend',
  'api',
  'cart',
  'catalog',
  'orders',
  'payments',
  'store',
  'worker',
  'cache',
  'gateway',
  'sync',
  'scheduler',
  'mailer',
  'reports',
];
const outsideNames = [
  'api.stripe.com',
  'ghcr.io',
  'hooks.slack.com',
  's3.eu-central-1.amazonaws.com',
  'acme-v02.api.letsencrypt.org',
  'github.com',
  'time.cloudflare.com',
];
const paths = ['/', '/api/v1/items', '/api/v1/orders/42', '/healthz', '/login', '/metrics', '/search?q=lyre'];

export function town({ seed, namespaces: count, workloads, links, rate }: TownOptions): Town {
  const random = randomFrom(seed);
  const namespaces = ['kube-system', ...Array.from({ length: count - 1 }, (_, i) => namespaceNames[i] ?? `team-${i}`)];
  const people = Array.from({ length: workloads }, (_, i) => podOf(random, namespaces[i % count] ?? '', i));
  const dns = podOf(random, 'kube-system', -1);
  const outside = outsideNames.map((name, i): Peer => ({
    endpoint: { identity: 16_777_217 + i, labels: [`cidr:203.0.113.${i}/32`, 'reserved:world'] },
    address: `203.0.113.${i + 1}`,
    names: [name],
  }));
  const apiserver: Peer = { endpoint: { identity: 7, labels: ['reserved:kube-apiserver'] }, address: '192.168.0.11' };
  const world: Peer = { endpoint: { identity: 2, labels: ['reserved:world'] }, address: '198.51.100.7' };
  const host: Peer = { endpoint: { identity: 1, labels: ['reserved:host'] }, address: '192.168.0.12' };
  const calls = Array.from({ length: links }, (_, i): Call =>
    callIn(random, i, { people, dns, outside, apiserver, world, host, namespaces: count }),
  );
  return { namespaces, flowsIn: (second) => flowsIn(second, calls, rate) };
}

function podOf(random: Random, namespace: string, i: number): Peer {
  const name = i < 0 ? 'coredns' : `${workloadNames[Math.floor(i / 5) % workloadNames.length] ?? 'app'}${i >= 70 ? `-${i}` : ''}`;
  const letters = 'bcdfghjklmnpqrstvwxz2456789';
  const some = (n: number) => Array.from({ length: n }, () => letters[random.below(letters.length)]).join('');
  return {
    address: `10.244.${1 + (Math.abs(i) % 3)}.${2 + (Math.abs(i) % 250)}`,
    endpoint: {
      id: 100 + i,
      identity: 10_000 + i,
      namespace,
      podName: `${name}-${some(9)}-${some(5)}`,
      workloads: [{ name, kind: 'Deployment' }],
      labels: [`k8s:app=${name}`, `k8s:io.kubernetes.pod.namespace=${namespace}`],
    },
  };
}

type Places = {
  readonly people: readonly Peer[];
  readonly dns: Peer;
  readonly outside: readonly Peer[];
  readonly apiserver: Peer;
  readonly world: Peer;
  readonly host: Peer;
  readonly namespaces: number;
};

function callIn(random: Random, i: number, { people, dns, outside, apiserver, world, host, namespaces }: Places): Call {
  const at = (list: readonly Peer[], index: number): Peer => list[index % list.length] ?? world;
  const from = at(people, i < people.length ? i : random.below(people.length));
  const own = people.filter((one) => one.endpoint.namespace === from.endpoint.namespace);
  const rest = { bad: random.chance(0.1) ? 0.15 : 0, drops: i % 29 === 6 ? 1 : i % 23 === 10 ? 0.3 : 0, slow: 1 + random.below(40) };
  if (i % 9 === 0) return { from, to: dns, port: 53, kind: 'dns', ...rest, drops: 0 };
  if (i % 11 === 3) return { from, to: at(outside, random.below(outside.length)), port: 443, kind: 'tcp', ...rest };
  if (i % 13 === 4) return { from, to: apiserver, port: 6443, kind: 'tcp', ...rest, drops: 0 };
  if (i % 17 === 5) return { from: random.chance(0.5) ? world : host, to: from, port: 8080, kind: 'http', ...rest };
  const near = random.chance(namespaces > 10 ? 0.8 : 0.75);
  const to = near ? at(own, random.below(own.length)) : at(people, random.below(people.length));
  const [port, kind] = random.pick<readonly [number, Call['kind']]>([
    [8080, 'http'],
    [80, 'http'],
    [5432, 'tcp'],
    [6379, 'tcp'],
    [9000, 'udp'],
    [9090, 'http'],
  ]);
  return to === from ? { from, to: dns, port: 53, kind: 'dns', ...rest, drops: 0 } : { from, to, port, kind, ...rest };
}

function flowsIn(second: number, calls: readonly Call[], rate: number): readonly Flow[] {
  const random = randomFrom(second);
  const flows: Flow[] = [];
  const busy = rate * (1 + 0.5 * Math.sin(second / 120));
  for (const call of calls) {
    let times = Math.floor(busy) + (random.chance(busy % 1) ? 1 : 0);
    while (times-- > 0) flows.push(...flowsOf(call, random, BigInt(second) * 1_000_000_000n + BigInt(random.below(1e9))));
  }
  return flows.toSorted((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
}

const uuidOf = (random: Random) =>
  random
    .bytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

function flowsOf({ from, to, port, kind, bad, drops, slow }: Call, random: Random, time: bigint): readonly Flow[] {
  const source = 30_000 + random.below(20_000);
  const node = `default/node${1 + (Math.abs(from.endpoint.id ?? 0) % 3)}`;
  const l4 = (reply: boolean, flags: number): Flow['l4'] => {
    const ports = reply ? { sourcePort: port, destinationPort: source } : { sourcePort: source, destinationPort: port };
    return kind === 'dns' || kind === 'udp' ? { kind: 'UDP', ...ports } : { kind: 'TCP', ...ports, flags };
  };
  const flow = (after: number, reply: boolean, rest: Partial<Flow>): Flow => {
    const [a, b] = reply ? [to, from] : [from, to];
    return {
      time: time + BigInt(Math.round(after)),
      uuid: uuidOf(random),
      verdict: Verdict.FORWARDED,
      ip: { source: a.address, destination: b.address, ipVersion: 1 },
      l4: l4(reply, reply ? TcpFlag.SYN | TcpFlag.ACK : TcpFlag.SYN),
      source: a.endpoint,
      destination: b.endpoint,
      ...(a.names && { sourceNames: a.names }),
      ...(b.names && { destinationNames: b.names }),
      type: FlowType.L3_L4,
      nodeName: node,
      isReply: reply,
      reply,
      eventType: { type: MessageType.TRACE, subType: 0 },
      traceObservationPoint: to.endpoint.podName ? TraceObservationPoint.TO_ENDPOINT : TraceObservationPoint.TO_NETWORK,
      traceReason: reply ? TraceReason.REPLY : TraceReason.NEW,
      trafficDirection: from.endpoint.podName ? TrafficDirection.EGRESS : TrafficDirection.INGRESS,
      summary: kind === 'dns' || kind === 'udp' ? 'UDP' : `TCP Flags: ${reply ? 'SYN, ACK' : 'SYN'}`,
      ...rest,
    };
  };
  if (drops > 0 && random.chance(drops)) return [flow(0, false, droppedFor(random))];
  const latency = 200_000 * slow * (0.5 + random.below(1000) / 500) * (random.chance(0.02) ? 8 : 1);
  const opened = [flow(0, false, {}), flow(latency / 4, true, {})];
  if (kind === 'tcp' || kind === 'udp') return opened;
  return [...opened, ...asked({ flow, kind, random, failed: random.chance(bad), latency })];
}

function droppedFor(random: Random): Partial<Flow> {
  const reason = random.chance(0.8) ? DropReason.POLICY_DENIED : DropReason.CT_MAP_INSERTION_FAILED;
  return {
    verdict: Verdict.DROPPED,
    dropReason: reason,
    dropReasonDesc: reason,
    isReply: undefined,
    eventType: { type: MessageType.DROP, subType: reason },
    traceReason: undefined,
    traceObservationPoint: undefined,
    file: { name: 'pod.bpf.c', line: 211 },
  };
}

type Asked = {
  readonly flow: (after: number, reply: boolean, rest: Partial<Flow>) => Flow;
  readonly kind: 'http' | 'dns';
  readonly random: Random;
  readonly failed: boolean;
  readonly latency: number;
};

function asked({ flow, kind, random, failed, latency }: Asked): readonly Flow[] {
  const layer7 = {
    type: FlowType.L7,
    eventType: { type: MessageType.L7, subType: 0 },
    traceObservationPoint: undefined,
    traceReason: undefined,
  };
  const path = paths[random.below(paths.length)] ?? '/';
  const query = `${workloadNames[random.below(workloadNames.length)]}.shop.svc.cluster.local.`;
  const code = failed ? random.pick([500, 502, 503]) : random.chance(0.05) ? 404 : 200;
  const request: L7Record =
    kind === 'http'
      ? { kind: 'http', method: 'GET', url: `http://host${path}`, protocol: 'HTTP/1.1' }
      : { kind: 'dns', query, qtypes: ['A'] };
  const answer: L7Record =
    kind === 'http'
      ? { ...request, kind: 'http', code }
      : { kind: 'dns', query, qtypes: ['A'], rcode: failed ? 2 : 0, ips: failed ? [] : ['10.96.12.7'], ttl: 30 };
  const ms = (latency / 1e6).toFixed(1);
  return [
    flow(latency / 3, false, {
      ...layer7,
      l7: { type: L7FlowType.REQUEST, record: request },
      summary: kind === 'http' ? `HTTP/1.1 GET http://host${path}` : `DNS Query ${query} A`,
    }),
    flow(latency, true, {
      ...layer7,
      l7: { type: L7FlowType.RESPONSE, latencyNs: BigInt(Math.round(latency)), record: answer },
      summary:
        kind === 'http'
          ? `HTTP/1.1 ${code} ${ms}ms (GET http://host${path})`
          : `DNS Answer ${failed ? 'RCode: Server Failure' : '"10.96.12.7" TTL: 30'} (${query} A)`,
    }),
  ];
}
