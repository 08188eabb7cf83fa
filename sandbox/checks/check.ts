// SPDX-License-Identifier: Apache-2.0
// A check: a sentence that is true of a working cluster, and the traffic that shows it.
import { StentorError } from '../../src/base/errors.ts';
import type { Cluster } from '../cluster.ts';
import type { Places } from './places.ts';

/** What has to be there for a check to make sense. */
export type Needs = 'pods' | 'services' | 'agent';

export type Check = {
  readonly name: string;
  readonly needs: Needs;
  /** Throws when the sentence is not true; may return what is worth knowing beside it. */
  run(context: CheckContext): Promise<string | undefined>;
};

export type CheckContext = {
  readonly cluster: Cluster;
  readonly places: Places;
  readonly signal: AbortSignal;
};

/** The cluster does not do what the check says. */
export class CheckFailed extends StentorError {
  constructor(message: string) {
    super('CHECK_FAILED', message);
  }
}

export function expect(holds: boolean, message: string): asserts holds {
  if (!holds) throw new CheckFailed(message);
}

export const IPV = ['IPv4', 'IPv6'] as const;
export type Ipv = (typeof IPV)[number];

/** The address of that family. */
export function ofFamily(addresses: readonly string[], family: Ipv): string {
  const found = addresses.find((address) => address.includes(':') === (family === 'IPv6'));
  if (found === undefined) throw new CheckFailed(`There is no ${family} address among ${addresses.join(', ') || 'none'}`);
  return found;
}

/** The check in both families. */
export const inBoth = (
  name: string,
  needs: Needs,
  run: (context: CheckContext, family: Ipv) => Promise<string | undefined>,
): readonly Check[] => IPV.map((family) => ({ name: `${name} (${family})`, needs, run: (context) => run(context, family) }));
