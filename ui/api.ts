// SPDX-License-Identifier: Apache-2.0
// Asks the server. Every failure is an Error in words that can be shown.

import { useEffect, useState } from 'preact/hooks';
import type { ApiError } from '../src/page/api.ts';

/** The body's shape is what the caller names: it is our server's. Throws Error. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { headers: { accept: 'application/json' }, ...(signal && { signal }) });
  if (response.ok) return (await response.json()) as T; // as: see above
  const said = (await response.json().catch(() => undefined)) as ApiError | undefined; // as: see above
  throw new AskError(response.status, said?.error ?? `The server answered ${response.status}`);
}

export class AskError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type Answer<T> = {
  readonly value?: T | undefined;
  readonly error?: string | undefined;
  /** With which the server refused. */ readonly status?: number | undefined;
  readonly isLoading: boolean;
};

/** What the server says at `path`, asked again every `everyMs`. Undefined: nothing is asked. */
export function useAnswer<T>(path: string | undefined, everyMs?: number): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ isLoading: true });
  useEffect(() => {
    if (path === undefined) return undefined;
    const stop = new AbortController();
    const load = () => {
      if (document.hidden) return;
      ask<T>(path, stop.signal).then(
        (value) => setAnswer({ value, isLoading: false }),
        (error: unknown) => {
          if (!stop.signal.aborted)
            setAnswer((last) => ({
              ...last,
              error: error instanceof Error ? error.message : String(error),
              status: error instanceof AskError ? error.status : undefined,
              isLoading: false,
            }));
        },
      );
    };
    setAnswer({ isLoading: true });
    load();
    const timer = everyMs === undefined ? undefined : setInterval(load, everyMs);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [path, everyMs]);
  return answer;
}
