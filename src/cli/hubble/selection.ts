// SPDX-License-Identifier: Apache-2.0
// Exactly as many flows as were asked for. A relay asks each node for N and passes on what it gets: of the newest N of each node the newest N
// of all are these, and the same for the oldest.

import type { GetFlowsRequest, GetFlowsResponse } from '../../hubble/observer.ts';

type Asked = Pick<GetFlowsRequest, 'number' | 'first' | 'follow'>;

const timeOf = ({ time, flow }: GetFlowsResponse): bigint => flow?.time ?? time ?? 0n;

/** What nodes say of themselves passes at once; losses stay where they happened. A stream that goes on passes as it is. */
export async function* exactly(
  responses: AsyncIterable<readonly GetFlowsResponse[]>,
  { number, first, follow }: Asked,
): AsyncIterable<readonly GetFlowsResponse[]> {
  if (follow || number === undefined || number === Number.MAX_SAFE_INTEGER) {
    yield* responses;
    return;
  }
  let kept: GetFlowsResponse[] = [];
  const trim = () => {
    kept.sort((a, b) => (timeOf(a) < timeOf(b) ? -1 : timeOf(a) > timeOf(b) ? 1 : 0));
    kept = first ? oldest(kept, number) : oldest(kept.toReversed(), number).toReversed();
  };
  for await (const batch of responses) {
    const said = batch.filter(({ nodeStatus }) => nodeStatus);
    if (said.length > 0) yield said;
    for (const response of batch) if (!response.nodeStatus) kept.push(response);
    if (kept.length > 2 * number + 1000) trim();
  }
  trim();
  if (kept.length > 0) yield kept;
}

/** Up to the flow that makes them `number`. */
function oldest(responses: readonly GetFlowsResponse[], number: number): GetFlowsResponse[] {
  let flows = 0;
  const end = responses.findIndex(({ flow }) => flow && ++flows > number);
  return end < 0 ? [...responses] : responses.slice(0, end);
}
