// SPDX-License-Identifier: Apache-2.0
// Requests that wait for their answers. There are as many as there is room for: of more, those that have waited longest are forgotten,
// and so their answers have no latency.

export type Exchanges<R> = {
  /** `key`: what a request and its answer have in common. */
  asked(key: string, request: R): void;
  /** The request that has waited longest under the key, which waits no more. */
  answered(key: string): R | undefined;
};

/** Of one key; a client may send some more before the first is answered. */
const IN_A_ROW = 32;

export function exchanges<R>(limit: number): Exchanges<R> {
  const waiting = new Map<string, R[]>();
  return {
    asked(key, request) {
      const before = waiting.get(key);
      if (before) {
        before.push(request);
        if (before.length > IN_A_ROW) before.shift();
        return;
      }
      if (waiting.size >= limit) for (const oldest of waiting.keys()) if (waiting.delete(oldest)) break;
      waiting.set(key, [request]);
    },
    answered(key) {
      const before = waiting.get(key);
      const request = before?.shift();
      if (before?.length === 0) waiting.delete(key);
      return request;
    },
  };
}
