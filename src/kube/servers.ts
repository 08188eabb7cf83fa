// SPDX-License-Identifier: Apache-2.0
// Several addresses of one API. The first that works is used, in the order in which they are given; one that fails is left alone for a
// while, so that a dead first one costs a wait now and then and not each time, and is used again when it is back.

import type { Clock } from '../base/clock.ts';

export type Server = {
  /** 'https://host:port', no slash at the end. */
  readonly url: string;
  /** The name that its certificate is for, when it is not the host of `url`. */
  readonly name: string | undefined;
};

export type Servers = {
  /** All, those that are to be tried first first. */
  inOrder(): readonly Server[];
  failed(server: Server, why: string): void;
  worked(server: Server): void;
  /** It answers again; the one that is used stays as it is. */
  recovered(server: Server): void;
  /** The one that worked last; undefined before any has. */
  readonly current: string | undefined;
  /** Those of the known that failed when they were tried last, and why. */
  failing(): ReadonlyMap<string, string>;
};

/** How long one that failed is asked after all others, and how often whether it is back. */
export const LEFT_ALONE_MS = 30_000;

/** `known`: what there is now; may become longer. */
export function serversOf(known: () => readonly Server[], clock: Clock): Servers {
  const failures = new Map<string, { readonly why: string; readonly until: number }>();
  let current: string | undefined;
  return {
    inOrder() {
      const now = clock.monotonic();
      const all = [...new Map(known().map((server) => [server.url, server])).values()];
      const isLeftAlone = ({ url }: Server) => (failures.get(url)?.until ?? 0) > now;
      return [...all.filter((server) => !isLeftAlone(server)), ...all.filter(isLeftAlone)];
    },
    failed({ url }, why) {
      failures.set(url, { why, until: clock.monotonic() + LEFT_ALONE_MS });
    },
    worked({ url }) {
      failures.delete(url);
      current = url;
    },
    recovered({ url }) {
      failures.delete(url);
    },
    get current() {
      return current;
    },
    failing() {
      const found = new Map<string, string>();
      for (const { url } of known()) {
        const failure = failures.get(url);
        if (failure) found.set(url, failure.why);
      }
      return found;
    },
  };
}
