// SPDX-License-Identifier: Apache-2.0
// Ways in which a test can make the server misbehave. Read at every request and every watch event, so a test may change
// them while the server runs.
import type { ServerResponse } from 'node:http';
import { ApiError } from './api-error.ts';
import { sendError } from './exchange.ts';

/** All off when absent. Fractions are probabilities between 0 and 1. */
export type Faults = {
  /** This fraction of requests is answered 500, 503 or 429, or the connection is cut before the answer. */
  refuse?: number;
  /** This fraction of watch events is cut in the middle of the object and the connection closed. */
  cutWatch?: number;
  /** Accept connections and requests, answer nothing (also: send no watch events) until it is false again. */
  silent?: boolean;
  /** A number in [0, 1); give a seeded one for a run that can be repeated. */
  random?: () => number;
};

/** Misbehaves on this request as asked: true when it has been dealt with. */
export const refused = (faults: Faults | undefined, response: ServerResponse): boolean => {
  if (faults?.silent) return true;
  const random = faults?.random ?? Math.random;
  if (!faults?.refuse || random() >= faults.refuse) return false;
  const code = [0, 429, 500, 503][Math.floor(random() * 4)] ?? 0;
  if (code === 0) response.destroy();
  else
    sendError(
      response,
      new ApiError(
        code,
        { 429: 'TooManyRequests', 500: 'InternalError' }[code] ?? 'ServiceUnavailable',
        'refused by an injected fault',
        code === 429 ? { retryAfterSeconds: 1 } : undefined,
      ),
    );
  return true;
};
