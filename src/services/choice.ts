// SPDX-License-Identifier: Apache-2.0
// How a backend is chosen for clients on the wire: as the values say, where no annotation of the Service says otherwise.

import type { Problem } from '../base/problem.ts';
import type { Service } from '../kube/types.ts';
import { badField } from './bad-field.ts';

/** At random; by the client's address and the frontend; or by the whole flow. The last two by Maglev, alike on every node. */
export type ChoiceBy = 'random' | 'client' | 'flow';

export type BalanceOptions = {
  readonly algorithm: 'random' | 'maglev';
  readonly key: 'client' | 'flow';
  /** Entries of the largest Maglev table. */
  readonly tableSize: number;
  /** The same on all nodes. */
  readonly seed: number;
};

/** What annotations of a Service say; undefined: as the values. */
export type OwnBalance = {
  readonly algorithm: BalanceOptions['algorithm'] | undefined;
  readonly key: BalanceOptions['key'] | undefined;
};

const ALGORITHM = 'service.cilium.io/lb-algorithm';
const KEY = 'lb.stentor.dev/maglev-key';

export function ownBalance({ metadata }: Service, name: string): OwnBalance & { readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const word = <Word extends string>(annotation: string, words: readonly Word[]): Word | undefined => {
    const given = metadata.annotations?.[annotation];
    const known = words.find((one) => one === given);
    if (given !== undefined && known === undefined)
      problems.push(badField(`Service ${name}`, `annotation ${annotation}`, given, words.join(' or ')));
    return known;
  };
  return { algorithm: word(ALGORITHM, ['random', 'maglev']), key: word(KEY, ['client', 'flow']), problems };
}

export function choiceFor(own: OwnBalance | undefined, { algorithm, key }: BalanceOptions): ChoiceBy {
  return (own?.algorithm ?? algorithm) === 'random' ? 'random' : (own?.key ?? key);
}
