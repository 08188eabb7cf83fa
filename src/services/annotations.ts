// SPDX-License-Identifier: Apache-2.0
// Annotations service.cilium.io/… of a Service: which kinds of frontend it gets, and which of them have no effect here.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Service } from '../kube/types.ts';
import { badField } from './bad-field.ts';

const PREFIX = 'service.cilium.io/';
const TYPE = `${PREFIX}type`;

/** What each drives stands with the code that reads it. */
const READ: ReadonlySet<string> = new Set(
  ['type', 'node', 'node-selector', 'forwarding-mode', 'src-ranges-policy', 'lb-algorithm', 'proxy-delegation'].map(
    (name) => `${PREFIX}${name}`,
  ),
);

const KINDS = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const;
export type Kind = (typeof KINDS)[number];

/** Of the frontends of a Service those that its annotation lets exist; without one all. External IPs are not among them. */
export function exposes({ metadata }: Service, kind: Kind): boolean {
  const named = metadata.annotations?.[TYPE];
  return named === undefined || wordsIn(named).includes(kind);
}

function wordsIn(text: string): readonly string[] {
  return text.split(',').map((word) => word.trim());
}

/** Of annotations that say nothing to this version, and of words that are none. */
export function* annotationProblems({ metadata: { annotations = {} } }: Service, name: string): Iterable<Problem> {
  const kinds: readonly string[] = KINDS;
  const wrong = wordsIn(annotations[TYPE] ?? '').filter((word) => word !== '' && !kinds.includes(word));
  if (wrong.length > 0) yield badField(`Service ${name}`, `annotation ${TYPE}`, annotations[TYPE] ?? '', `some of ${KINDS.join(',')}`);
  const said = Object.entries(annotations)
    .filter(([key, value]) => key.startsWith(PREFIX) && !READ.has(key) && !(INACTIVE.get(key) ?? []).includes(value))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value} ${WITHOUT.get(key) ?? 'is unknown here, or misspelt'}`);
  if (said.length === 0) return;
  yield problem({
    object: `Service ${name}`,
    reason: 'AnnotationWithoutEffect',
    message: said.join('; '),
    advice: `Remove it from the Service, or accept that it does nothing`,
  });
}

const CLUSTERS = 'is about several clusters, and there is but this one';

/** Why what an annotation asks for does not happen. */
const WITHOUT: ReadonlyMap<string, string> = new Map(
  [
    ['lb-l7', 'wants requests to be balanced, which only a proxy can: connections are'] as const,
    ...['global', 'shared', 'affinity', 'global-sync-endpoint-slices'].map((one) => [one, CLUSTERS] as const),
  ].map(([key, why]) => [`${PREFIX}${key}`, why]),
);

/** What asks for nothing but what is so anyway. */
const INACTIVE: ReadonlyMap<string, readonly string[]> = new Map([
  [`${PREFIX}lb-l7`, ['disabled']],
  [`${PREFIX}global`, ['false']],
  [`${PREFIX}shared`, ['false', 'true']], // nothing is shared without global
  [`${PREFIX}affinity`, ['none']],
]);
