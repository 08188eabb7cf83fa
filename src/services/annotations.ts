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
  ['type', 'node', 'node-selector', 'forwarding-mode', 'src-ranges-policy', 'lb-algorithm'].map((name) => `${PREFIX}${name}`),
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
  const unread = Object.keys(annotations).filter((key) => key.startsWith(PREFIX) && !READ.has(key));
  if (unread.length === 0) return;
  yield problem({
    object: `Service ${name}`,
    reason: 'AnnotationWithoutEffect',
    message: `${unread.toSorted().join(', ')}: this version does not have it, or it is misspelt`,
    advice: `Remove it from the Service, or accept that it does nothing`,
  });
}
