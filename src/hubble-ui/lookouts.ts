// SPDX-License-Identifier: Apache-2.0
// All views that somebody looks at. One that nobody looks at any more is kept for a while: a page that is loaded again finds it.

import { StentorError } from '../base/errors.ts';
import type { Flow } from '../flows/flow.ts';
import { filtersOf } from '../page/flow-filter.ts';
import { paramsOf } from '../page/view.ts';
import type { View } from '../page/view.ts';
import { lookout } from './lookout.ts';
import type { Lookout, Watcher } from './lookout.ts';
import type { FlowSource } from './source.ts';

export type Lookouts = {
  /** `allowed`: the namespaces that the user may see. Throws ViewError, TooManyViews. */
  watch(view: View, allowed: readonly string[] | undefined, watching: { readonly watcher: Watcher; readonly signal: AbortSignal }): void;
  /** A flow that was seen lately. */
  recent(uuid: string): Flow | undefined;
  readonly views: number;
  readonly watchers: number;
  end(): void;
};

/** There are as many different views as this server keeps. */
export class TooManyViews extends StentorError {
  constructor() {
    super(
      'TooManyViews',
      `Cannot look at another view, wanted at most ${MOST_VIEWS} different ones: close some, or wait for half a minute`,
    );
  }
}

const MOST_VIEWS = 48;
const LINGER_MS = 30_000;
const RECENT_FLOWS = 20_000;

export function lookouts(source: FlowSource): Lookouts {
  const all = new Map<string, Lookout>();
  const leaving = new Map<string, NodeJS.Timeout>();
  const flows = new Map<string, Flow>();

  function remember(flow: Flow): void {
    flows.set(flow.uuid, flow);
    if (flows.size <= RECENT_FLOWS) return;
    const [oldest] = flows.keys();
    if (oldest !== undefined) flows.delete(oldest);
  }

  function drop(key: string): void {
    all.get(key)?.end();
    all.delete(key);
    clearTimeout(leaving.get(key));
    leaving.delete(key);
  }

  function lookoutFor(key: string, view: View, allowed: readonly string[] | undefined): Lookout {
    const known = all.get(key);
    if (known) return known;
    const filters = filtersOf(view, allowed);
    const [idle] = leaving.keys();
    if (all.size >= MOST_VIEWS && idle !== undefined) drop(idle);
    if (all.size >= MOST_VIEWS) throw new TooManyViews();
    const made = lookout({ source, range: view.range, filters, seen: remember });
    all.set(key, made);
    return made;
  }

  return {
    watch(view, allowed, { watcher, signal }) {
      const key = `${String(paramsOf(view))} ${allowed?.join() ?? '*'}`;
      const found = lookoutFor(key, view, allowed);
      clearTimeout(leaving.get(key));
      leaving.delete(key);
      found.watch(watcher, signal);
      const left = () => {
        if (found.watchers > 0 || all.get(key) !== found || leaving.has(key)) return;
        leaving.set(
          key,
          setTimeout(() => drop(key), LINGER_MS),
        );
      };
      signal.addEventListener('abort', left, { once: true });
    },
    recent: (uuid) => flows.get(uuid),
    get views() {
      return all.size;
    },
    get watchers() {
      return all.values().reduce((sum, { watchers }) => sum + watchers, 0);
    },
    end() {
      for (const key of all.keys()) drop(key);
    },
  };
}
