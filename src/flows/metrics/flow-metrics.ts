// SPDX-License-Identifier: Apache-2.0
// The metrics of flows that hubble.metrics.enabled asks for:
//
//   'dns:query', 'drop:sourceContext=pod' ─ grammar ─▶ handlers ─ count(flow) ─▶ series ─▶ Prometheus
//
// What a line says that nobody knows, and a metric that has more series than there is room for, are Problems.

import { metricKinds, metricsOf } from '../../base/metrics.ts';
import type { Metric } from '../../base/metrics.ts';
import { problem } from '../../base/problem.ts';
import type { Problem } from '../../base/problem.ts';
import type { Flow } from '../flow.ts';
import { contextOf } from './context.ts';
import type { Wanted } from './grammar.ts';
import { allWantedIn } from './grammar.ts';
import type { Handler } from './handler.ts';
import { handlerKinds } from './handlers.ts';
import type { Family } from './series.ts';

export type FlowMetrics = {
  /** Counts a flow: for each one that the node sees. */
  readonly count: (flow: Flow) => void;
  /** To be called about once a minute: quiet series go, and room is given to the busiest. */
  readonly turn: (now: number) => void;
  readonly metrics: readonly Metric[];
  readonly problems: () => readonly Problem[];
};

const contextOptions = new Set(
  ['source', 'destination']
    .flatMap((end) => ['', 'egress', 'ingress'].map((direction) => `${end}${direction}context`))
    .concat('labelscontext'),
);

/** `lines` as the values have them. `limit`: series of each metric whose labels are the senders' choice. */
export function flowMetrics(lines: readonly string[], limit?: number): FlowMetrics {
  const wanted = allWantedIn(lines);
  const misread: Problem[] = [];
  const complain = (name: string, message: string, advice: string) =>
    misread.push(problem({ object: `Config hubble.metrics.enabled ${name}`, reason: 'FlowMetricMisread', message, advice }));
  const handlers = wanted.flatMap((one, i) => handlerFor(one, wanted.slice(0, i), { complain, limit }) ?? []);
  const families = handlers.flatMap((handler) => handler.families);
  return {
    count(flow) {
      for (const handler of handlers) handler.count(flow);
    },
    turn(now) {
      for (const family of families) family.turn(now);
    },
    metrics: families.length === 0 ? [] : [...families.map(metricOf), ...metricsOf(aboutSeries, families)],
    problems: () => [...misread, ...families.flatMap(boundedProblem)],
  };
}

type Surroundings = { readonly complain: (name: string, message: string, advice: string) => void; readonly limit: number | undefined };

/** One metric is taken once, and of http and httpV2 the first: they count under the same names. */
function handlerFor(one: Wanted, before: readonly Wanted[], { complain, limit }: Surroundings): Handler | undefined {
  const { name, options } = one;
  const kind = Object.hasOwn(handlerKinds, name) ? handlerKinds[name] : undefined;
  if (!kind) {
    complain(
      name,
      `There is no metric '${name}' of flows: nothing is counted for it`,
      `Use one of ${Object.keys(handlerKinds).join(', ')}`,
    );
    return undefined;
  }
  const rival = before.find((other) => other.name.replace('V2', '') === name.replace('V2', ''));
  if (rival) {
    complain(name, `The metric '${name}' counts what '${rival.name}' does: it is left out`, `Leave only one of them in the list`);
    return undefined;
  }
  for (const option of options.keys())
    if (!contextOptions.has(option) && !kind.options.includes(option))
      complain(
        name,
        `The option '${option}' of the metric '${name}' says nothing`,
        `Use ${[...kind.options, 'sourceContext, destinationContext, labelsContext'].join(', ')}`,
      );
  const context = contextOf(one, (what, known) =>
    complain(name, `'${what}' of the metric '${name}' says nothing: it is left out`, `Use some of ${known.join(', ')}`),
  );
  return kind.handler({ ...context, limit }, (option) => options.has(option));
}

function metricOf(family: Family): Metric {
  const { name, help, ends } = family;
  return {
    name,
    help,
    type: ends ? 'histogram' : 'counter',
    labels: family.labels.map((label) => label.name),
    samples: () => family.samples(),
  };
}

const { gauge, counter } = metricKinds<readonly Family[]>();

const aboutSeries = [
  gauge(
    'stentor_flow_metric_series',
    'Series of a metric of flows whose labels are the choice of those who send packets',
    ['metric'],
    (families) => families.map(({ name, use }) => ({ labels: { metric: name }, value: use.open })),
  ),
  counter(
    'stentor_flow_metric_other_total',
    "Events that had no room in a series of their own and were counted under 'other'",
    ['metric'],
    (families) => families.map(({ name, use }) => ({ labels: { metric: name }, value: use.other })),
  ),
];

function boundedProblem({ name, use: { bounded, limit } }: Family): readonly Problem[] {
  if (!bounded) return [];
  return [
    problem({
      object: `Config hubble.metrics.enabled ${name}`,
      reason: 'FlowMetricBounded',
      message: `${name} would have more than ${limit} series: the busiest have one of their own, the rest counts under 'other'`,
      advice: 'Leave out labels that have many values, such as query, ip or pod, or take workload or namespace for pod',
    }),
  ];
}
