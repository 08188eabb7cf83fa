// SPDX-License-Identifier: Apache-2.0
// Pages over HTTP for those who probe and scrape: small, made anew for each request, each at an address of its own.

import type { Server } from 'node:http';
import { codeOf, messageOf } from './errors.ts';
import type { Log } from './log.ts';
import { createServer } from './node-http.ts';

export type Answer = { readonly status: number; readonly body: string };

export type Page = {
  readonly host: string;
  readonly port: number;
  readonly contentType: string;
  /** `path`: without the query. */
  readonly answer: (path: string) => Answer;
  /** A machine without this address needs no page there. */
  readonly optional?: boolean;
};

export type Refused<P extends Page> = { readonly page: P; readonly error: unknown };

export type PagesOptions<P extends Page> = {
  readonly pages: readonly P[];
  /** Hears after each try of those that cannot be served; none of them in the end. */
  readonly report: (refused: readonly Refused<P>[]) => void;
  /** How long after a failure to try again. Default 10 s. */
  readonly retryMs?: number;
};

type Started<P extends Page> = { readonly kind: 'serves'; readonly server: Server } | ({ readonly kind: 'refused' } & Refused<P>);

/** Serves until disposed. Does not throw: what cannot be served is reported, and tried again. */
export async function servePages<P extends Page>({ pages, report, retryMs = 10_000 }: PagesOptions<P>): Promise<AsyncDisposable> {
  const started = new Map<P, Started<P>>();
  let retry: NodeJS.Timeout | undefined;
  const startMissing = async () => {
    const missing = pages.filter((page) => started.get(page)?.kind !== 'serves');
    for (const page of missing) started.set(page, await start(page));
    const refused = [...started.values()].filter((one) => one.kind === 'refused');
    report(refused);
    if (refused.length === 0) return;
    const again = () => {
      running = startMissing();
    };
    retry = setTimeout(again, retryMs).unref();
  };
  let running = startMissing();
  await running;
  return {
    async [Symbol.asyncDispose]() {
      await running;
      clearTimeout(retry);
      await Promise.all([...started.values()].flatMap((one) => (one.kind === 'serves' ? [stop(one.server)] : [])));
    },
  };
}

async function start<P extends Page>(page: P): Promise<Started<P>> {
  const { host, port, contentType, answer, optional = false } = page;
  const server = createServer((request, response) => {
    const { status, body } = answer(request.url?.split('?')[0] ?? '/');
    response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' });
    response.end(body);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return { kind: 'serves', server };
  } catch (error) {
    const absent = codeOf(error) === 'EADDRNOTAVAIL' || codeOf(error) === 'EAFNOSUPPORT';
    return absent && optional ? { kind: 'serves', server } : { kind: 'refused', page, error };
  }
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** A line for each page when it cannot be served and when it can again; the work goes on without it. */
export function saysRefused(log: Log): (refused: readonly Refused<Page>[]) => void {
  const missing = new Set<Page>();
  return (refused) => {
    for (const { page, error } of refused) {
      const { host, port } = page;
      if (!missing.has(page)) log.error('Cannot serve a page', { host, port, error: messageOf(error) });
      missing.add(page);
    }
    for (const page of missing) {
      const { host, port } = page;
      if (!refused.some((one) => one.page === page) && missing.delete(page)) log.info('Serves the page after all', { host, port });
    }
  };
}
