// SPDX-License-Identifier: Apache-2.0
// How many flows there were when, as this node has them on disk.

import { Verdict } from '../flows/flow-enums.ts';
import { unary } from '../grpc/handler.ts';
import type { Handler } from '../grpc/handler.ts';
import { RpcError, Status } from '../grpc/status.ts';
import { histogram } from '../history/histogram.ts';
import { getHistogram, MOST_BUCKETS } from '../hubble/history.ts';
import type { FlowHistory } from './history.ts';

export const historyHandlers = (history: Pick<FlowHistory, 'store'> | undefined): readonly Handler[] => [
  unary(getHistogram, async ({ since, until, buckets = 0 }) => {
    const refuse = (why: string) => new RpcError(Status.INVALID_ARGUMENT, `stentor.history.History/GetHistogram: ${why}`);
    if (since === undefined || until === undefined || since >= until)
      throw refuse(`since ${since}, until ${until}: wanted one before the other`);
    if (buckets < 1 || buckets > MOST_BUCKETS) throw refuse(`buckets is ${buckets}, wanted 1 to ${MOST_BUCKETS}`);
    if (!history?.store) throw new RpcError(Status.UNAVAILABLE, 'this node has no history on disk');
    const found = await histogram(history.store, { since, until, buckets });
    return {
      buckets: found.map(({ since: start, flows }) => {
        const all = Object.values(flows).reduce((sum, count) => sum + count, 0);
        const dropped = flows[Verdict.DROPPED] ?? 0;
        return { since: start, forwarded: all - dropped, dropped };
      }),
    };
  }),
];
