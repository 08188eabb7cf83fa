// SPDX-License-Identifier: Apache-2.0
// A flow as the server sends it, with numbers too large for JSON as text, and back.

import type { Flow } from '../../src/flows/flow.ts';

export type FlowJson = Omit<Flow, 'time' | 'l7'> & {
  readonly time: string;
  readonly l7?: Omit<NonNullable<Flow['l7']>, 'latencyNs'> & { readonly latencyNs?: string };
};

export function flowOf({ time, l7, ...rest }: FlowJson): Flow {
  const { latencyNs, ...layer7 } = l7 ?? {};
  return {
    ...rest,
    time: BigInt(time),
    ...(l7 && { l7: { ...layer7, ...(latencyNs !== undefined && { latencyNs: BigInt(latencyNs) }) } }),
  };
}
