// SPDX-License-Identifier: Apache-2.0
// Namespaces that flows of the last hour came from or went to.

import type { Flow, Nanoseconds } from '../flows/flow.ts';
import type { HubbleNamespace } from './observer.ts';

const HOUR = 3_600_000_000_000n;

export type NamespaceBook = {
  see(flow: Flow): void;
  /** By cluster, then by name. Forgets what is older than an hour. */
  list(now: Nanoseconds): readonly HubbleNamespace[];
};

export function namespaceBook(cluster: string): NamespaceBook {
  const last = new Map<string, Nanoseconds>();
  return {
    see({ time, source, destination }) {
      if (source?.namespace) last.set(source.namespace, time);
      if (destination?.namespace) last.set(destination.namespace, time);
    },
    list(now) {
      for (const [namespace, time] of last) if (time < now - HOUR) last.delete(namespace);
      return [...last.keys()].toSorted().map((namespace) => ({ cluster, namespace }));
    },
  };
}

/** Those of several nodes, each once. */
export function unionOf(lists: readonly (readonly HubbleNamespace[])[]): readonly HubbleNamespace[] {
  const key = ({ cluster = '', namespace = '' }: HubbleNamespace) => `${cluster}\0${namespace}`;
  const all = new Map(lists.flat().map((one) => [key(one), one]));
  return [...all].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}
