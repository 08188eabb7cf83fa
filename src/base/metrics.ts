// SPDX-License-Identifier: Apache-2.0
// Prometheus text from samples that are computed when somebody asks: whoever knows a number yields it, nobody keeps a copy. Times that
// things took are the exception: a histogram counts them as they pass.
// Format: Prometheus text exposition format 0.0.4.

export type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number; readonly suffix?: HistogramSuffix };
/** What is known of a metric before anybody has a number for it. */
export type MetricFacts = {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Names of all labels that its samples may have, but for `le` of a histogram. */
  readonly labels: readonly string[];
};
export type Metric = MetricFacts & { readonly samples: () => Iterable<Sample> };
/** A metric whose numbers `Facts` know: it has a name where there are none yet. */
export type MetricOf<Facts> = MetricFacts & { readonly samples: (facts: Facts) => Iterable<Sample> };
type HistogramSuffix = '_bucket' | '_sum' | '_count';

/** A value for each label that was declared, and for no other. */
type SampleOf<L extends string> = [L] extends [never]
  ? { readonly value: number }
  : { readonly labels: Readonly<Record<L, string>>; readonly value: number };

/** Ways to declare metrics whose numbers `Facts` know: name, help, labels, and the samples of some facts. */
export function metricKinds<Facts>() {
  const kind =
    (type: 'counter' | 'gauge') =>
    <const L extends string = never>(
      name: string,
      help: string,
      labels: readonly L[],
      samples: (facts: Facts) => Iterable<SampleOf<L>>,
    ): MetricOf<Facts> => ({ name, type, help, labels, samples });
  return {
    counter: kind('counter'),
    gauge: kind('gauge'),
    histogram: (name: string, help: string, labels: readonly string[], of: (facts: Facts) => Histogram | undefined): MetricOf<Facts> => ({
      name,
      type: 'histogram',
      help,
      labels,
      samples: (facts) => of(facts)?.samples() ?? [],
    }),
  };
}

/** The metrics with their numbers, which `facts` are asked for at each scrape. */
export const metricsOf = <Facts>(metrics: readonly MetricOf<Facts>[], facts: Facts): readonly Metric[] =>
  metrics.map(({ samples, ...rest }) => ({ ...rest, samples: () => samples(facts) }));

export function metricsText(metrics: Iterable<Metric>): string {
  let text = '';
  for (const { name, type, help, samples } of metrics) {
    text += `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
    for (const { labels = {}, value, suffix = '' } of samples()) text += `${name}${suffix}${labelText(labels)} ${value}\n`;
  }
  return text;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

export type Histogram = {
  observe(labels: Readonly<Record<string, string>>, seconds: number): void;
  samples(): Iterable<Sample>;
};

type Series = { readonly labels: Readonly<Record<string, string>>; readonly counts: number[]; sum: number; count: number };

/** As most clients of Prometheus have them. */
export const BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function histogram(): Histogram {
  const all = new Map<string, Series>();
  return {
    observe(labels, seconds) {
      const key = labelText(labels);
      const series = all.get(key) ?? { labels, counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
      all.set(key, series);
      for (const [i, bound] of BUCKETS.entries()) if (seconds <= bound) series.counts[i] = (series.counts[i] ?? 0) + 1;
      series.sum += seconds;
      series.count++;
    },
    *samples() {
      for (const { labels, counts, sum, count } of all.values()) {
        for (const [i, bound] of BUCKETS.entries())
          yield { labels: { ...labels, le: String(bound) }, value: counts[i] ?? 0, suffix: '_bucket' };
        yield { labels: { ...labels, le: '+Inf' }, value: count, suffix: '_bucket' };
        yield { labels, value: sum, suffix: '_sum' };
        yield { labels, value: count, suffix: '_count' };
      }
    },
  };
}
