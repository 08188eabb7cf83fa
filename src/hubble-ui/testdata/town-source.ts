// SPDX-License-Identifier: Apache-2.0
// The town as a source: what a relay would answer, with a past of ten days.

import { setTimeout as pause } from 'node:timers/promises';
import type { Flow } from '../../flows/flow.ts';
import { Verdict } from '../../flows/flow-enums.ts';
import { flowPredicate } from '../../hubble/filter.ts';
import type { Bucket } from '../../page/graph.ts';
import type { FlowAnswer, FlowRequest, FlowSource } from '../source.ts';
import { town } from './town.ts';
import type { TownOptions } from './town.ts';

const DAYS = 10;
const TICK_MS = 100;

export function townSource(options: TownOptions): FlowSource {
  const { namespaces, flowsIn } = town(options);
  const uptimeMs = DAYS * 86_400_000;
  return {
    address: 'town',
    async *flows(request, signal) {
      yield { kind: 'nodes', connected: true, names: ['default/node1', 'default/node2', 'default/node3'] };
      const fits = flowPredicate(request);
      const wanted = (flow: Flow) => fits(flow) && flow.time <= BigInt(Date.now()) * 1_000_000n;
      yield* request.since === undefined && !request.follow
        ? newest(request, flowsIn, wanted)
        : forward(request, { flowsIn, wanted, signal });
    },
    histogram: ({ since, until }, buckets) => Promise.resolve(histogramOf(flowsIn, since, (until - since) / buckets, buckets)),
    namespaces: () => Promise.resolve(namespaces),
    status: () => Promise.resolve({ version: '0.1.0', flowsRate: options.links * options.rate * 3 }),
    nodes: () =>
      Promise.resolve(
        [1, 2, 3].map(
          (n) =>
            ({
              name: `default/node${n}`,
              state: n === 3 ? 'unavailable' : 'connected',
              version: '0.1.0',
              address: `192.168.0.1${n}:4244`,
              uptimeMs,
              flows: 4095,
              capacity: 4095,
              seen: 1_234_567 * n,
              tls: true,
            }) as const,
        ),
      ),
    certificates: () => Promise.resolve([{ of: 'relay', subject: '*.hubble-relay.cilium.io', notAfter: Date.now() + 29 * 86_400_000 }]),
  };
}

/** Of seconds that stand for as many as a part has: counting all of them would take as long as reading. */
function histogramOf(flowsIn: FlowsIn, since: number, width: number, buckets: number): readonly Bucket[] {
  return Array.from({ length: buckets }, (_, i) => {
    const start = since + i * width;
    const flows = start < Date.now() ? flowsIn(Math.floor(start / 1000)) : [];
    const dropped = flows.filter(({ verdict }) => verdict === Verdict.DROPPED).length;
    const all = (count: number) => Math.round((count * width) / 1000);
    return { start, forwarded: all(flows.length - dropped), dropped: all(dropped), errors: 0 };
  });
}

type FlowsIn = (second: number) => readonly Flow[];
const secondOf = (nanos: bigint) => Number(nanos / 1_000_000_000n);

function* newest({ number = 100, until }: FlowRequest, flowsIn: FlowsIn, wanted: (flow: Flow) => boolean): Generator<FlowAnswer> {
  const end = until ?? BigInt(Date.now()) * 1_000_000n;
  const found: Flow[] = [];
  for (let second = secondOf(end), looked = 0; found.length < number && looked < 3600; second--, looked++)
    found.unshift(...flowsIn(second).filter((flow) => flow.time <= end && wanted(flow)));
  for (const flow of found.slice(-number)) yield { kind: 'flow', flow };
}

type Forward = { readonly flowsIn: FlowsIn; readonly wanted: (flow: Flow) => boolean; readonly signal: AbortSignal };

async function* forward({ since, until, follow, number }: FlowRequest, { flowsIn, wanted, signal }: Forward): AsyncGenerator<FlowAnswer> {
  let at = since ?? BigInt(Date.now()) * 1_000_000n;
  let left = follow || number === undefined ? Infinity : number;
  while (!signal.aborted && left > 0) {
    const now = BigInt(Date.now()) * 1_000_000n;
    const end = until !== undefined && until < now ? until : now;
    for (let second = secondOf(at); second <= secondOf(end); second++) {
      for (const flow of flowsIn(second))
        if (flow.time >= at && flow.time < end && wanted(flow) && left-- > 0) yield { kind: 'flow', flow };
      if (second % 30 === 0) await pause(0, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
    if (!follow) return;
    at = end;
    await pause(TICK_MS, undefined, { signal }).catch(() => undefined);
  }
}
