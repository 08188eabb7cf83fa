// SPDX-License-Identifier: Apache-2.0
// Flows in which anything may be, few of them likely: what is kept must come back whatever it was.

import type { Random } from '../base/random.ts';
import type { Flow, FlowEndpoint, Layer4, Layer7, LostEvent } from '../flows/flow.ts';
import type { HistoryEntry } from './rows.ts';

type Make<T> = (random: Random) => T;

const text: Make<string> = (random) =>
  random.pick(['', 'a', 'shop', '10.0.0.1', 'ünï ☃', '\ud800', '"\\\n', '$n', 'x'.repeat(random.below(200))]);
const small: Make<number> = (random) => random.pick([0, 1, random.below(256), random.below(65_536), 2 ** 32 - 1]);
const port: Make<number> = (random) => random.pick([0, 80, 65_535, random.below(65_536)]);
const big: Make<bigint> = (random) => random.pick([0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n, BigInt(random.below(1e9))]);
const flag: Make<boolean> = (random) => random.chance(0.5);
const list =
  <T>(make: Make<T>): Make<readonly T[]> =>
  (random) =>
    Array.from({ length: random.below(3) }, () => make(random));

type Makers<T> = { readonly [Key in keyof T]-?: Make<NonNullable<T[Key]>> };

/** Each field in half of all cases; absent ones are not even undefined. */
const fields =
  <T extends object>(makers: Makers<T>, part = 0.5): Make<T> =>
  (random) => {
    const made: Partial<T> = {};
    for (const key of Object.keys(makers) as (keyof T)[]) if (random.chance(part)) made[key] = makers[key](random); // as: the keys of the table
    return made as T; // as: whose fields are all optional, but for those that are added below
  };

const service = fields({ name: text, namespace: text });
const ip = fields<NonNullable<Flow['ip']>>({
  source: text,
  sourceXlated: text,
  destination: text,
  ipVersion: (random) => random.pick([0, 1, 2]),
  encrypted: flag,
});
const policies = list(fields({ name: text, namespace: text, labels: list(text), revision: big, kind: text }));

const layer4: Make<Layer4> = (random) => {
  const ports = fields({ sourcePort: port, destinationPort: port })(random);
  return random.pick<Layer4>([
    { kind: 'TCP', ...ports, ...fields({ flags: small })(random) },
    { kind: 'UDP', ...ports },
    { kind: 'SCTP', ...ports },
    { kind: 'ICMPv4', ...fields({ type: small, code: small })(random) },
    { kind: 'ICMPv6', ...fields({ type: small, code: small })(random) },
    { kind: 'VRRP', ...fields({ type: small, vrid: small, priority: small })(random) },
    { kind: 'IGMP', ...fields({ type: small, groupAddress: text })(random) },
  ]);
};

const layer7 = fields<Layer7>({
  type: (random) => random.pick([0, 1, 2, 3]),
  latencyNs: big,
  record: (random) =>
    random.pick<NonNullable<Layer7['record']>>([
      {
        kind: 'http',
        code: small(random),
        method: text(random),
        url: text(random),
        headers: list(fields({ key: text, value: text }))(random),
      },
      { kind: 'dns', query: text(random), ips: list(text)(random), ttl: small(random), rcode: small(random), qtypes: list(text)(random) },
      { kind: 'kafka', errorCode: small(random), topic: text(random) },
    ]),
});

const endpoint = fields<FlowEndpoint>({
  id: small,
  identity: small,
  clusterName: text,
  namespace: text,
  labels: list(text),
  podName: text,
  workloads: list(fields({ name: text, kind: text })),
});

/** Every field that a flow has: one that is new does not compile before it stands here. */
const makers: Makers<Omit<Flow, 'time' | 'uuid'>> = {
  emitter: fields({ name: text, version: text }),
  verdict: (random) => random.pick([0, 1, 2, 3, 4, 5, 6, 7]),
  dropReason: small,
  authType: (random) => random.pick([0, 1, 2]),
  ethernet: fields({ source: text, destination: text }),
  ip,
  l4: layer4,
  tunnel: fields<NonNullable<Flow['tunnel']>>({ protocol: (random) => random.pick([0, 1, 2]), ip, l4: layer4, vni: small }),
  source: endpoint,
  destination: endpoint,
  type: (random) => random.pick([0, 1, 2, 3]),
  nodeName: text,
  nodeLabels: list(text),
  sourceNames: list(text),
  destinationNames: list(text),
  l7: layer7,
  reply: flag,
  isReply: flag,
  eventType: fields({ type: small, subType: small }),
  sourceService: service,
  destinationService: service,
  trafficDirection: (random) => random.pick([0, 1, 2]),
  policyMatchType: small,
  traceObservationPoint: (random) => random.pick([0, 1, 101]),
  traceReason: (random) => random.pick([0, 1, 8]),
  file: fields({ name: text, line: small }),
  dropReasonDesc: (random) => random.pick([0, 133, 181]),
  debugCapturePoint: (random) => random.pick([0, 4, 11]),
  interface: fields({ index: small, name: text }),
  proxyPort: small,
  traceContext: fields({ parent: fields({ traceId: text }) }),
  sockXlatePoint: (random) => random.pick([0, 1, 4]),
  socketCookie: big,
  cgroupId: big,
  ipTraceId: fields({ traceId: big, ipOptionType: small }),
  summary: text,
  extensions: fields({ typeUrl: text, value: (random) => new Uint8Array(random.bytes(random.below(9))) }),
  egressAllowedBy: policies,
  ingressAllowedBy: policies,
  egressDeniedBy: policies,
  ingressDeniedBy: policies,
  policyLog: list(text),
  aggregate: fields({ ingressFlowCount: small, egressFlowCount: small, unknownDirectionFlowCount: small }),
};

/** `part`: of all fields how many there are. */
export function randomFlow(random: Random, own: Pick<Flow, 'time' | 'uuid'>, part = 0.3): Flow {
  const required = { verdict: makers.verdict(random), type: makers.type(random), nodeName: text(random), summary: text(random) };
  return { ...required, ...fields(makers, part)(random), ...own };
}

const lost = fields<LostEvent>({ source: (random) => random.pick([0, 1, 2, 3]), numEventsLost: big, cpu: small, first: big, last: big });

export function randomEntry(random: Random, own: Pick<Flow, 'time' | 'uuid'>): HistoryEntry {
  if (random.chance(0.9)) return { kind: 'flow', flow: randomFlow(random, own, random.pick([0, 0.1, 0.5, 1])) };
  if (random.chance(0.5)) return { kind: 'lost', lost: { ...lost(random), last: own.time } };
  return {
    kind: 'gap',
    gap: { why: random.pick(['stopped', 'full', 'slow', 'damaged']), first: own.time - 5n, last: own.time, flows: small(random) },
  };
}
