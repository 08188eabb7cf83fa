// SPDX-License-Identifier: Apache-2.0
// Flows by what they have in common: the words that `hubble top` groups by, and how many flows each group has.
//
// Who asked is the source and who was asked the destination, also of the packets that go back.

import { dropReasonTexts } from '../../flows/drop-reasons.ts';
import type { Flow, FlowEndpoint } from '../../flows/flow.ts';
import { enumName, TrafficDirection, Verdict } from '../../flows/flow-enums.ts';
import { uncolored } from './colors.ts';
import { destinationOf, sourceOf, typeText } from './flow-words.ts';

const wording = { translate: true, policyNames: false, colors: uncolored };

/** A flow, turned so that who asked is the source. */
type Turned = { readonly flow: Flow; readonly source: Place; readonly destination: Place };
type Place = {
  readonly endpoint: FlowEndpoint | undefined;
  readonly host: string;
  readonly address: string | undefined;
  readonly port: number | undefined;
};

function turned(flow: Flow): Turned {
  const l4 = flow.l4 && 'destinationPort' in flow.l4 ? flow.l4 : undefined;
  const bare: Flow = { ...flow, l4: undefined };
  const source = { endpoint: flow.source, host: sourceOf(bare, wording).host, address: flow.ip?.source, port: l4?.sourcePort };
  const destination = {
    endpoint: flow.destination,
    host: destinationOf(bare, wording).host,
    address: flow.ip?.destination,
    port: l4?.destinationPort,
  };
  return flow.isReply ? { flow, source: destination, destination: source } : { flow, source, destination };
}

type Word = (turned: Turned) => string;
const http = ({ flow }: Turned) => (flow.l7?.record?.kind === 'http' ? flow.l7.record : undefined);
const dns = ({ flow }: Turned) => (flow.l7?.record?.kind === 'dns' ? flow.l7.record : undefined);
const workload = ({ endpoint }: Place) => {
  const name = endpoint?.workloads?.[0]?.name ?? '';
  return name !== '' && endpoint?.namespace ? `${endpoint.namespace}/${name}` : name;
};

export const groupings: Readonly<Record<string, Word>> = {
  source: ({ source }) => source.host,
  destination: ({ destination }) => destination.host,
  'source-namespace': ({ source }) => source.endpoint?.namespace ?? '',
  'destination-namespace': ({ destination }) => destination.endpoint?.namespace ?? '',
  'source-workload': ({ source }) => workload(source),
  'destination-workload': ({ destination }) => workload(destination),
  'source-ip': ({ source }) => source.address ?? '',
  'destination-ip': ({ destination }) => destination.address ?? '',
  'source-identity': ({ source }) => String(source.endpoint?.identity ?? 0),
  'destination-identity': ({ destination }) => String(destination.endpoint?.identity ?? 0),
  port: ({ destination }) => (destination.port ? String(destination.port) : ''),
  protocol: ({ flow }) => flow.l7?.record?.kind ?? flow.l4?.kind ?? '',
  verdict: ({ flow }) => enumName(Verdict, flow.verdict),
  reason: ({ flow }) =>
    flow.verdict === Verdict.DROPPED ? (dropReasonTexts[flow.dropReasonDesc ?? 0] ?? String(flow.dropReasonDesc)) : '',
  type: ({ flow }) => typeText(flow),
  direction: ({ flow }) =>
    enumName(TrafficDirection, flow.trafficDirection ?? 0)
      .replace('TRAFFIC_DIRECTION_', '')
      .toLowerCase(),
  node: ({ flow }) => flow.nodeName,
  query: (one) => dns(one)?.query ?? '',
  method: (one) => http(one)?.method ?? '',
  url: (one) => http(one)?.url ?? '',
  status: (one) => (http(one)?.code ? String(http(one)?.code) : ''),
};

export type Group = { readonly words: readonly string[]; readonly flows: number; readonly dropped: number };

export type Groups = {
  add(flow: Flow): void;
  /** Those with the most flows. */
  top(count: number): readonly Group[];
  readonly flows: number;
  /** Between the first and the last flow. */
  readonly seconds: number;
};

export function groups(by: readonly string[]): Groups {
  const words = by.map((name) => groupings[name] ?? (() => ''));
  const found = new Map<string, { words: readonly string[]; flows: number; dropped: number }>();
  let flows = 0;
  let [oldest, newest]: [bigint | undefined, bigint] = [undefined, 0n];
  return {
    add(flow) {
      const one = turned(flow);
      const values = words.map((word) => word(one));
      const group = found.getOrInsertComputed(values.join('\0'), () => ({ words: values, flows: 0, dropped: 0 }));
      group.flows++;
      if (flow.verdict === Verdict.DROPPED) group.dropped++;
      flows++;
      if (oldest === undefined || flow.time < oldest) oldest = flow.time;
      if (flow.time > newest) newest = flow.time;
    },
    top: (count) => [...found.values()].toSorted((a, b) => b.flows - a.flows || compare(a.words, b.words)).slice(0, count),
    get flows() {
      return flows;
    },
    get seconds() {
      return oldest === undefined ? 0 : Number(newest - oldest) / 1e9;
    },
  };
}

function compare(a: readonly string[], b: readonly string[]): number {
  const [left, right] = [a.join(' '), b.join(' ')];
  return left < right ? -1 : left > right ? 1 : 0;
}
