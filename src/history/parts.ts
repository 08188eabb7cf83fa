// SPDX-License-Identifier: Apache-2.0
// A flow in parts, each of which many flows have in common: its two ends, where it was seen, and its shape, which is everything else
// that takes few values. What is left is its own: when, which ports, and what was said inside the connection.
//
//   flow ─┬─ shape    { verdict, type, eventType, ip: { ipVersion }, l4: { kind, flags }, summary, … }
//         ├─ place    { nodeName, interface, cgroupId, … }
//         ├─ ends     { address, endpoint, names, service }   twice
//         ├─ payload  { l7, summary, … }                      of requests and answers
//         └─ time, ports, latency, cookie                     numbers

import type { Flow, FlowEndpoint, FlowService, IpHeader, Layer4, Layer7 } from '../flows/flow.ts';

/** A number that is not below it is kept as text. */
const LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

type Part = 'number' | 'source' | 'destination' | 'place' | 'payload' | 'shape';

/** Where each field is kept. One that is new in Flow does not compile before it stands here. */
const partOf = {
  time: 'number',
  uuid: 'number',
  socketCookie: 'number',
  source: 'source',
  sourceNames: 'source',
  sourceService: 'source',
  destination: 'destination',
  destinationNames: 'destination',
  destinationService: 'destination',
  l7: 'payload',
  traceContext: 'payload',
  ipTraceId: 'payload',
  extensions: 'payload',
  aggregate: 'payload',
  ip: 'shape', // but for the addresses
  l4: 'shape', // but for the ports
  summary: 'shape', // in the payload where there is one
  emitter: 'place',
  verdict: 'shape',
  dropReason: 'shape',
  authType: 'shape',
  ethernet: 'shape',
  tunnel: 'shape',
  type: 'shape',
  nodeName: 'place',
  nodeLabels: 'place',
  reply: 'shape',
  isReply: 'shape',
  eventType: 'shape',
  trafficDirection: 'shape',
  policyMatchType: 'shape',
  traceObservationPoint: 'shape',
  traceReason: 'shape',
  file: 'shape',
  dropReasonDesc: 'shape',
  debugCapturePoint: 'shape',
  interface: 'place',
  proxyPort: 'place',
  sockXlatePoint: 'shape',
  cgroupId: 'place',
  egressAllowedBy: 'shape',
  ingressAllowedBy: 'shape',
  egressDeniedBy: 'shape',
  ingressDeniedBy: 'shape',
  policyLog: 'shape',
} as const satisfies Readonly<Record<keyof Flow, Part>>;

type KeysOf<P extends Part> = { [Key in keyof Flow]-?: (typeof partOf)[Key] extends P ? Key : never }[keyof Flow];
type Bare<T> = T extends unknown ? Omit<T, 'source' | 'destination' | 'sourcePort' | 'destinationPort'> : never;

export type End = {
  readonly address?: string | undefined;
  readonly endpoint?: FlowEndpoint | undefined;
  readonly names?: readonly string[] | undefined;
  readonly service?: FlowService | undefined;
};

export type Shape = Omit<Pick<Flow, KeysOf<'shape'>>, 'ip' | 'l4' | 'summary'> & {
  readonly ip?: Bare<IpHeader> | undefined;
  readonly l4?: Bare<Layer4> | undefined;
  readonly summary?: string;
};

export type Place = Pick<Flow, KeysOf<'place'>>;

export type Payload = Partial<Pick<Flow, KeysOf<'payload'> | 'socketCookie' | 'summary'>> & {
  /** Of a flow whose uuid does not say its position. */
  readonly uuid?: string;
};

/** The numbers of a row: 0 is absent, and everything else is one more than it is. */
export type Own = {
  readonly time: bigint;
  readonly uuid: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly latency: number;
  readonly cookie: number;
};

function keysOf<P extends Part>(part: P): readonly KeysOf<P>[] {
  const keys = Object.keys(partOf) as (keyof Flow)[]; // as: the keys of a literal
  return keys.filter((key) => partOf[key] === part) as KeysOf<P>[]; // as: those of that part
}

const placeKeys = keysOf('place');
const shapeKeys = keysOf('shape').filter((key) => key !== 'ip' && key !== 'l4' && key !== 'summary');

export function endOf(flow: Flow, side: 'source' | 'destination'): End {
  return side === 'source'
    ? { address: flow.ip?.source, endpoint: flow.source, names: flow.sourceNames, service: flow.sourceService }
    : { address: flow.ip?.destination, endpoint: flow.destination, names: flow.destinationNames, service: flow.destinationService };
}

/** By name and not by the table: this is asked of every flow. */
export function hasPayload({ l7, traceContext, ipTraceId, extensions, aggregate, socketCookie }: Flow): boolean {
  const none = l7 === undefined && traceContext === undefined && ipTraceId === undefined && extensions === undefined;
  return !none || aggregate !== undefined || tooLarge(socketCookie);
}

/** Of a flow that has one. */
export function payloadOf(flow: Flow): Payload {
  const { l7, traceContext, ipTraceId, extensions, aggregate, socketCookie, summary } = flow;
  const said = l7?.latencyNs === undefined || tooLarge(l7.latencyNs) ? l7 : timeless(l7);
  if (isUsual(flow)) return { l7: said, summary };
  return {
    summary,
    ...defined('l7', said),
    ...defined('traceContext', traceContext),
    ...defined('ipTraceId', ipTraceId),
    ...defined('extensions', extensions),
    ...defined('aggregate', aggregate),
    ...(tooLarge(socketCookie) && defined('socketCookie', socketCookie)),
  };
}

function isUsual({ l7, traceContext, ipTraceId, extensions, aggregate, socketCookie }: Flow): boolean {
  const none = traceContext === undefined && ipTraceId === undefined && extensions === undefined && aggregate === undefined;
  return l7 !== undefined && none && socketCookie === undefined;
}

/** Without how long it took, which is a number of its row. */
function timeless({ type, record }: Layer7): Layer7 {
  return type !== undefined && record !== undefined ? { type, record } : { ...defined('type', type), ...defined('record', record) };
}

export const placeOf = (flow: Flow): Place => picked(flow, placeKeys) as Place; // as: the keys that the table says are of a place

/** `plain`: there is no payload. */
export function shapeOf(flow: Flow, plain: boolean): Shape {
  return {
    ...picked(flow, shapeKeys),
    ...(flow.ip && { ip: without(flow.ip, ['source', 'destination']) }),
    ...(flow.l4 && { l4: without(flow.l4, ['sourcePort', 'destinationPort']) }),
    ...(plain && { summary: flow.summary }),
  } as Shape; // as: the keys that the table above says are of a shape
}

export const sourcePortOf = ({ l4 }: Flow): number => (l4 && 'sourcePort' in l4 && l4.sourcePort !== undefined ? l4.sourcePort + 1 : 0);
export const destinationPortOf = ({ l4 }: Flow): number =>
  l4 && 'destinationPort' in l4 && l4.destinationPort !== undefined ? l4.destinationPort + 1 : 0;
export const latencyOf = ({ l7 }: Flow): number => numbered(l7?.latencyNs);
export const cookieOf = ({ socketCookie }: Flow): number => numbered(socketCookie);

export type Parts = {
  readonly shape: Shape;
  readonly place: Place;
  readonly payload: Payload | undefined;
  readonly source: End;
  readonly destination: End;
  readonly own: Own;
};

/** The flow that had these parts. */
export function flowOf({ shape, place, payload, source, destination, own }: Parts): Flow {
  const { ip, l4, ...rest } = shape;
  return {
    time: own.time,
    uuid: own.uuid,
    ...rest,
    ...place,
    ...endFields(source, 'source'),
    ...endFields(destination, 'destination'),
    ...(ip && { ip: { ...ip, ...defined('source', source.address), ...defined('destination', destination.address) } }),
    ...(l4 && {
      l4: { ...l4, ...defined('sourcePort', absent(own.sourcePort)), ...defined('destinationPort', absent(own.destinationPort)) },
    }),
    ...(own.cookie > 0 && { socketCookie: BigInt(own.cookie - 1) }),
    ...payload,
    ...(own.latency > 0 && { l7: { ...payload?.l7, latencyNs: BigInt(own.latency - 1) } }),
  } as Flow; // as: a shape or a payload has the summary, which the types do not tell
}

function endFields({ endpoint, names, service }: End, side: 'source' | 'destination'): Partial<Flow> {
  return { ...defined(side, endpoint), ...defined(`${side}Names`, names), ...defined(`${side}Service`, service) };
}

const defined = <Key extends string, Value>(key: Key, value: Value | undefined) => (value === undefined ? undefined : { [key]: value });
const absent = (value: number): number | undefined => (value === 0 ? undefined : value - 1);
const numbered = (value: bigint | undefined): number => (value === undefined || tooLarge(value) ? 0 : Number(value) + 1);
const tooLarge = (value: bigint | undefined): boolean => value !== undefined && (value < 0n || value >= LIMIT);

function picked<Key extends keyof Flow>(flow: Flow, keys: readonly Key[]): Partial<Flow> {
  const found: Partial<Flow> = {};
  for (const key of keys) if (flow[key] !== undefined) found[key] = flow[key];
  return found;
}

function without(object: object, keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}
