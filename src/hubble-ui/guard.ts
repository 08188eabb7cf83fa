// SPDX-License-Identifier: Apache-2.0
// Who looks, and what they may see: everybody everything, whom a proxy in front names, or who has a token of the cluster.

import type { IncomingMessage } from 'node:http';

export type Visitor = {
  readonly user: string | undefined;
  /** Namespaces whose flows they may see; undefined: all. */
  readonly allowed: readonly string[] | undefined;
};

/** `refused`: why, for whoever asked. */
export type Admission =
  | { readonly kind: 'admitted'; readonly visitor: Visitor }
  | { readonly kind: 'refused'; readonly status: 401 | 403 | 503; readonly why: string };

export type Guard = {
  /** What somebody has to give who is not admitted. */
  readonly login: 'none' | 'token';
  admit(request: IncomingMessage): Promise<Admission>;
};

export const openGuard: Guard = {
  login: 'none',
  admit: () => Promise.resolve({ kind: 'admitted', visitor: { user: undefined, allowed: undefined } }),
};
