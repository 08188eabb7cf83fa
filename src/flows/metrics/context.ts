// SPDX-License-Identifier: Apache-2.0
// Labels that say who: `source`, `destination` and the names of labelsContext, as the options of a metric ask for them.

import type { Flow, FlowEndpoint } from '../flow.ts';
import { TrafficDirection } from '../flow-enums.ts';
import type { Wanted } from './grammar.ts';
import type { Label } from './series.ts';

/** One end of a flow. */
type End = { readonly endpoint: FlowEndpoint | undefined; readonly names: readonly string[] | undefined; readonly ip: string | undefined };
type Word = (end: End) => string;

const APP_LABELS = ['k8s:app.kubernetes.io/name=', 'k8s:k8s-app=', 'k8s:app='];

function app({ endpoint }: End): string {
  for (const prefix of APP_LABELS) {
    const found = endpoint?.labels?.find((label) => label.startsWith(prefix));
    if (found !== undefined) return found.slice(prefix.length);
  }
  return '';
}

const within = (namespace: string | undefined, name: string | undefined) => (!name ? '' : namespace ? `${namespace}/${name}` : name);

function reserved({ endpoint }: End): string {
  const labels = endpoint?.labels?.filter((label) => label.startsWith('reserved:')) ?? [];
  return labels.includes('reserved:kube-apiserver') ? 'reserved:kube-apiserver' : (labels[0] ?? '');
}

/** What sourceContext and its like may say. */
const identifiers: Readonly<Record<string, Word>> = {
  identity: ({ endpoint }) => endpoint?.labels?.join(',') ?? '',
  namespace: ({ endpoint }) => endpoint?.namespace ?? '',
  pod: ({ endpoint }) => within(endpoint?.namespace, endpoint?.podName),
  'pod-name': ({ endpoint }) => endpoint?.podName ?? '',
  dns: ({ names }) => names?.join(',') ?? '',
  ip: ({ ip }) => ip ?? '',
  'reserved-identity': reserved,
  workload: ({ endpoint }) => within(endpoint?.namespace, endpoint?.workloads?.[0]?.name),
  'workload-name': ({ endpoint }) => endpoint?.workloads?.[0]?.name ?? '',
  app,
};

/** What labelsContext may say, in the order in which the labels stand; each as source_ and as destination_. */
const parts: readonly (readonly [name: string, word: Word])[] = [
  ['ip', ({ ip }) => ip ?? ''],
  ['pod', ({ endpoint }) => endpoint?.podName ?? ''],
  ['namespace', ({ endpoint }) => endpoint?.namespace ?? ''],
  ['workload', ({ endpoint }) => endpoint?.workloads?.[0]?.name ?? ''],
  ['workload_kind', ({ endpoint }) => endpoint?.workloads?.[0]?.kind ?? ''],
  ['app', app],
];
const DIRECTION = 'traffic_direction';
const contextLabels: readonly string[] = [
  ...parts.map(([name]) => `source_${name}`),
  ...parts.map(([name]) => `destination_${name}`),
  DIRECTION,
];

const directions: Readonly<Record<number, string>> = { [TrafficDirection.INGRESS]: 'ingress', [TrafficDirection.EGRESS]: 'egress' };
export const directionText = ({ trafficDirection = 0 }: Flow): string => directions[trafficDirection] ?? 'unknown';

export type Context = {
  readonly labels: readonly Label[];
  /** How many series a metric may have; undefined: as many as usual. */
  readonly limit?: number | undefined;
  /** Writes their values into `values` from `at` on. `turned`: the flow is an answer and the labels are to say who asked. */
  fill(flow: Flow, values: string[], at: number, turned?: boolean): void;
};

type Filler = { readonly label: Label; readonly text: (flow: Flow, source: End, destination: End) => string };

/** The options that are no context are left for the metric itself. Words that mean nothing are told to `complain`. */
export function contextOf({ options }: Wanted, complain: (what: string, known: readonly string[]) => void): Context {
  const fillers = [...endFiller('source'), ...endFiller('destination'), ...labelFillers()];

  function endFiller(which: 'source' | 'destination'): readonly Filler[] {
    const byDefault = wordsOf(`${which}Context`);
    const egress = wordsOf(`${which}EgressContext`) ?? byDefault;
    const ingress = wordsOf(`${which}IngressContext`) ?? byDefault;
    if (!egress && !ingress) return [];
    const text: Filler['text'] = (flow, source, destination) => {
      const { trafficDirection } = flow;
      const words =
        trafficDirection === TrafficDirection.EGRESS ? egress : trafficDirection === TrafficDirection.INGRESS ? ingress : byDefault;
      return firstOf(words ?? [], which === 'source' ? source : destination);
    };
    return [{ label: { name: which, open: true }, text }];
  }

  function wordsOf(option: string): readonly Word[] | undefined {
    return options.get(option.toLowerCase())?.flatMap((name) => {
      const word = Object.hasOwn(identifiers, name) ? identifiers[name] : undefined;
      if (!word) complain(`${option}=${name}`, Object.keys(identifiers));
      return word ? [word] : [];
    });
  }

  function labelFillers(): readonly Filler[] {
    const names = options.get('labelscontext') ?? [];
    for (const name of names) if (!contextLabels.includes(name)) complain(`labelsContext=${name}`, contextLabels);
    const ends = parts.flatMap(([name, word]): readonly Filler[] => [
      { label: { name: `source_${name}`, open: true }, text: (_, source) => word(source) },
      { label: { name: `destination_${name}`, open: true }, text: (_, __, destination) => word(destination) },
    ]);
    const all = [...ends, { label: { name: DIRECTION, open: false }, text: directionText }];
    return contextLabels.flatMap((name) => (names.includes(name) ? all.filter(({ label }) => label.name === name) : []));
  }

  return {
    labels: fillers.map(({ label }) => label),
    fill(flow, values, at, turned = false) {
      if (fillers.length === 0) return;
      const source = { endpoint: flow.source, names: flow.sourceNames, ip: flow.ip?.source };
      const destination = { endpoint: flow.destination, names: flow.destinationNames, ip: flow.ip?.destination };
      const [left, right] = turned ? [destination, source] : [source, destination];
      for (let i = 0; i < fillers.length; i++) values[at + i] = fillers[i]?.text(flow, left, right) ?? '';
    },
  };
}

function firstOf(words: readonly Word[], end: End): string {
  for (const word of words) {
    const text = word(end);
    if (text !== '') return text;
  }
  return '';
}
