// SPDX-License-Identifier: Apache-2.0
// Flows as a node of a middle-sized cluster sees them: 30 pods here and 300 elsewhere, 60 services, names and addresses outside; DNS,
// HTTP, plain TCP, and a few drops. Each connection has the events of Hubble's aggregation `medium`, with those of others in between.
import { randomFrom } from '../src/base/random.ts';
import type { Random } from '../src/base/random.ts';
import { DropReason } from '../src/flows/drop-reasons.ts';
import {
  FlowType,
  L7FlowType,
  MessageType,
  SocketTranslationPoint,
  TraceObservationPoint,
  TraceReason,
  TrafficDirection,
  Verdict,
} from '../src/flows/flow-enums.ts';
import { TcpFlag } from '../src/flows/flow.ts';
import type { Flow, L7Record } from '../src/flows/flow.ts';
import type { Peer, Service, World } from './flow-world.ts';
import { worldOf } from './flow-world.ts';
import { uuidsOf } from '../src/history/uuid.ts';

export const NODE = 'default/node1';
const { SYN, ACK, PSH, FIN } = TcpFlag;

type Ends = { readonly from: Peer; readonly to: Peer; readonly ports: readonly [number, number]; readonly service?: Service };

/** Nanoseconds after the connection's first event, and what is seen then. */
type Seen = readonly [after: number, (ends: Ends) => Partial<Flow>];
type Told = readonly [after: number, () => Partial<Flow>];

const tcp = (flags: number, reply: boolean) => ({ flags, reply });
const names: Readonly<Record<number, string>> = {
  [SYN]: 'SYN',
  [SYN | ACK]: 'SYN, ACK',
  [ACK]: 'ACK',
  [ACK | PSH]: 'ACK, PSH',
  [ACK | FIN]: 'ACK, FIN',
};

function base({ from, to }: Ends, reply: boolean): Pick<Flow, 'ip' | 'source' | 'destination'> & Partial<Flow> {
  const [a, b] = reply ? [to, from] : [from, to];
  return {
    ip: { source: a.address, destination: b.address, ipVersion: 1 },
    source: a.endpoint,
    destination: b.endpoint,
    ...(a.names && { sourceNames: a.names }),
    ...(b.names && { destinationNames: b.names }),
    reply,
    isReply: reply,
  };
}

function trace(ends: Ends, protocol: 'TCP' | 'UDP', { flags, reply }: { readonly flags: number; readonly reply: boolean }): Partial<Flow> {
  const [sourcePort, destinationPort] = reply ? [ends.ports[1], ends.ports[0]] : ends.ports;
  const point = reply ? TraceObservationPoint.TO_ENDPOINT : TraceObservationPoint.TO_NETWORK;
  return {
    ...base(ends, reply),
    verdict: Verdict.FORWARDED,
    type: FlowType.L3_L4,
    l4: protocol === 'TCP' ? { kind: 'TCP', sourcePort, destinationPort, flags } : { kind: 'UDP', sourcePort, destinationPort },
    eventType: { type: MessageType.TRACE, subType: reply ? 0 : 11 },
    traceObservationPoint: point,
    traceReason: reply ? TraceReason.REPLY : flags === SYN ? TraceReason.NEW : TraceReason.ESTABLISHED,
    trafficDirection: TrafficDirection.EGRESS,
    ...(reply
      ? { interface: { index: ends.from.endpoint.id ?? 3, name: `lxc${ends.from.endpoint.id}` } }
      : { interface: { index: 2, name: 'eth0' } }),
    summary: protocol === 'UDP' ? 'UDP' : `TCP Flags: ${names[flags]}`,
  };
}

function socket({ from, ports, service, to }: Ends, post: boolean, cookie: bigint): Partial<Flow> {
  return {
    ip: { source: from.address, destination: post ? to.address : (service?.address ?? ''), ipVersion: 1 },
    source: from.endpoint,
    destination: post ? to.endpoint : {},
    ...(service && !post && { destinationService: { name: service.name, namespace: service.namespace } }),
    verdict: post ? Verdict.TRANSLATED : Verdict.TRACED,
    type: FlowType.SOCK,
    l4: { kind: 'TCP', sourcePort: 0, destinationPort: post ? ports[1] : (service?.port ?? 0) },
    eventType: { type: MessageType.TRACE_SOCK, subType: post ? 2 : 1 },
    sockXlatePoint: post
      ? SocketTranslationPoint.SOCK_XLATE_POINT_POST_DIRECTION_FWD
      : SocketTranslationPoint.SOCK_XLATE_POINT_PRE_DIRECTION_FWD,
    socketCookie: cookie,
    cgroupId: BigInt(9000 + (from.endpoint.id ?? 0)),
    summary: 'TCP',
  };
}

function layer7(ends: Ends, kind: 'TCP' | 'UDP', record: L7Record, latencyNs?: bigint): Partial<Flow> {
  const reply = latencyNs !== undefined;
  const [sourcePort, destinationPort] = reply ? [ends.ports[1], ends.ports[0]] : ends.ports;
  return {
    ...base(ends, reply),
    verdict: Verdict.FORWARDED,
    type: FlowType.L7,
    l4: { kind, sourcePort, destinationPort },
    eventType: { type: MessageType.L7 },
    trafficDirection: TrafficDirection.EGRESS,
    l7: { type: reply ? L7FlowType.RESPONSE : L7FlowType.REQUEST, ...(reply && { latencyNs }), record },
    summary: `${record.kind} ${reply ? 'answer' : 'request'}`,
  };
}

const tell = (ends: Ends, seen: readonly Seen[]): readonly Told[] => seen.map(([at, of]) => [at, () => of(ends)]);

function handshake(rtt: number): readonly Seen[] {
  return [
    [0, (ends) => trace(ends, 'TCP', tcp(SYN, false))],
    [rtt, (ends) => trace(ends, 'TCP', tcp(SYN | ACK, true))],
    [rtt + 40_000, (ends) => trace(ends, 'TCP', tcp(ACK, false))],
    [rtt + 90_000, (ends) => trace(ends, 'TCP', tcp(ACK | PSH, false))],
  ];
}

function rest(at: number): readonly Seen[] {
  return [
    [at, (ends) => trace(ends, 'TCP', tcp(ACK | PSH, true))],
    [at + 1e6, (ends) => trace(ends, 'TCP', tcp(ACK | FIN, false))],
    [at + 1.2e6, (ends) => trace(ends, 'TCP', tcp(ACK | FIN, true))],
  ];
}

type Start = { readonly random: Random; readonly world: World; readonly from: Peer; readonly port: number; readonly rtt: number };

function nameQuery({ random, world, from, port, rtt }: Start): readonly Told[] {
  const query = `host${random.below(random.chance(0.8) ? 40 : 300)}.example.com.`;
  const qtypes = [random.pick(['A', 'AAAA'])];
  const answer = { kind: 'dns', query, qtypes, rcode: 0, ips: [`203.${random.below(200)}.0.1`], ttl: 30, rrtypes: qtypes } as const;
  const latency = BigInt(rtt + random.below(200_000));
  return tell({ from, to: world.dns, ports: [port, 53] }, [
    [0, (one) => trace(one, 'UDP', tcp(0, false))],
    [1000, (one) => layer7(one, 'UDP', { kind: 'dns', query, qtypes })],
    [rtt, (one) => trace(one, 'UDP', tcp(0, true))],
    [rtt + 1000, (one) => layer7(one, 'UDP', answer, latency)],
  ]);
}

function refusal({ random, world, from, port }: Start): readonly Told[] {
  const dropped = (ends: Ends): Partial<Flow> => ({
    ...trace(ends, 'TCP', tcp(SYN, false)),
    verdict: Verdict.DROPPED,
    dropReason: 133,
    dropReasonDesc: DropReason.POLICY_DENIED,
    eventType: { type: MessageType.DROP, subType: 133 },
    file: { name: 'pod.bpf.c', line: 211 },
  });
  return tell({ from, to: random.pick(world.outside), ports: [port, 25] }, [[0, dropped]]);
}

function request({ random, world, from, port, rtt }: Start, readable: boolean): readonly Told[] {
  const service = random.pick(world.services);
  const ends: Ends = { from, to: random.pick(service.backends), ports: [port, service.port], service };
  const cookie = BigInt(1_000_000 + random.below(1_000_000));
  const page = `${random.pick(['items', 'users', 'orders', 'health'])}${random.chance(0.3) ? `/${random.below(5000)}` : ''}`;
  const url = `http://${service.name}.${service.namespace}/api/v1/${page}`;
  const http = { kind: 'http', method: random.pick(['GET', 'GET', 'GET', 'POST']), url, protocol: 'HTTP/1.1' } as const;
  const took = rtt + random.below(20_000_000);
  const requests: readonly Seen[] = [
    [rtt + 91_000, (one) => layer7(one, 'TCP', http)],
    [rtt + took, (one) => layer7(one, 'TCP', { ...http, code: random.pick([200, 200, 200, 404, 500]) }, BigInt(took))],
  ];
  const sockets: readonly Seen[] = [
    [-9000, (one) => socket(one, false, cookie)],
    [-7000, (one) => socket(one, true, cookie)],
  ];
  return tell(ends, [...sockets, ...handshake(rtt), ...(readable ? requests : []), ...rest(rtt + took + 1000)]);
}

function conversation(random: Random, world: World): readonly Told[] {
  const rtt = 80_000 + random.below(400_000);
  const start = { random, world, from: random.pick(world.local), port: 32_768 + random.below(28_000), rtt };
  const kind = random.below(100);
  if (kind < 30) return nameQuery(start);
  if (kind < 32) return refusal(start);
  if (kind >= 50) return request(start, kind < 80);
  return tell({ ...start, to: random.pick(world.outside), ports: [start.port, 443] }, [...handshake(rtt * 40), ...rest(rtt * 200)]);
}

/** In order of time, from `since` (nanoseconds) on, `perSecond` of them. The same for the same seed. */
export function* flowMix({
  seed = 1,
  since,
  perSecond = 20,
  position,
}: {
  readonly seed?: number;
  readonly since: bigint;
  readonly perSecond?: number;
  readonly position: number;
}): Generator<Flow> {
  const random = randomFrom(seed);
  const world = worldOf(random);
  const uuids = uuidsOf(NODE);
  const waiting: Told[] = [];
  const between = (6.3 / perSecond) * 1e9; // of two connections: they have so many flows
  let [now, name] = [0, position];
  for (;;) {
    now += Math.floor(-Math.log(1 - random.below(2 ** 30) / 2 ** 30) * between);
    for (const [after, of] of conversation(random, world)) waiting.push([now + after, of]);
    waiting.sort(([a], [b]) => a - b);
    while ((waiting[0]?.[0] ?? Number.POSITIVE_INFINITY) < now) {
      const [at, of] = waiting.shift()!; // !: looked at above
      yield whole({ ...of(), time: since + BigInt(Math.floor(at)), uuid: uuids.of(name++) });
    }
  }
}

/** Every field in the same place, as an agent makes them. */
function whole(flow: Partial<Flow> & Pick<Flow, 'time' | 'uuid'>): Flow {
  return {
    ...ABSENT,
    nodeName: NODE,
    verdict: Verdict.VERDICT_UNKNOWN,
    type: FlowType.UNKNOWN_TYPE,
    summary: '',
    ...flow,
  };
}

const ABSENT = {
  ethernet: undefined,
  ip: undefined,
  l4: undefined,
  source: undefined,
  destination: undefined,
  sourceNames: undefined,
  destinationNames: undefined,
  l7: undefined,
  reply: undefined,
  isReply: undefined,
  eventType: undefined,
  sourceService: undefined,
  destinationService: undefined,
  trafficDirection: undefined,
  traceObservationPoint: undefined,
  traceReason: undefined,
  dropReason: undefined,
  dropReasonDesc: undefined,
  file: undefined,
  interface: undefined,
  sockXlatePoint: undefined,
  socketCookie: undefined,
  cgroupId: undefined,
};
