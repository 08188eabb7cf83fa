// SPDX-License-Identifier: Apache-2.0
// healthCheckNodePort of Services, over HTTP, as kube-proxy answers it: balancers outside read the status, and some the weight.
// A port that somebody else has is a Problem of the Service, and tried again.

import type { Server } from 'node:http';
import { messageOf } from '../base/errors.ts';
import { addressPort } from '../base/ip.ts';
import { EntryErrors } from '../base/ledger.ts';
import { createServer } from '../base/node-http.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncTarget } from '../base/reconcile-async.ts';
import type { Table } from '../base/table.ts';
import type { HealthCheck } from '../services/health-checks.ts';

export type HealthChecksOptions = {
  readonly checks: Table<string, HealthCheck>;
  /** Whether this node serves Services as it should. */
  readonly healthy: () => boolean;
  /** Every call replaces the list of the last. */
  readonly report: (problems: readonly Problem[]) => void;
  /** Calls back when the table may have changed. */
  readonly afterwards: (wake: () => void) => void;
};

/** Serves until disposed. */
export function serveHealthChecks({ checks, healthy, report, afterwards }: HealthChecksOptions): AsyncDisposable {
  const open = new Map<string, Listening>();
  const stop = new AbortController();
  const reconciler = asyncReconciler(checks, healthCheckTarget(open, healthy, report));
  afterwards(() => reconciler.wake());
  const running = reconciler.run(stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await Promise.all(Array.from(open.values(), ({ server }) => close(server)));
    },
  };
}

type Listening = { readonly server: Server; check: HealthCheck };

function healthCheckTarget(
  open: Map<string, Listening>,
  healthy: () => boolean,
  report: HealthChecksOptions['report'],
): AsyncTarget<string, HealthCheck> {
  const refused = new Map<string, Problem>();
  const put = async (key: string, check: HealthCheck) => {
    const known = open.get(key);
    if (known) {
      known.check = check;
      return;
    }
    const server = createServer((_request, response) => {
      const { status, headers, body } = answerFor(open.get(key)?.check ?? check, healthy());
      response.writeHead(status, headers).end(body);
    });
    await listen(server, check);
    open.set(key, { server, check });
  };
  return {
    name: 'health check ports',
    list: () => Promise.resolve(Array.from(open, ([key, { check }]) => [key, check] as const)),
    async put(entries) {
      const failures = new Map<string, unknown>();
      for (const [key, check] of entries) {
        refused.delete(key);
        await put(key, check).catch((error: unknown) => {
          failures.set(key, error);
          refused.set(key, cannotListen(check, error));
        });
      }
      report([...refused.values()]);
      if (failures.size > 0) throw new EntryErrors(failures);
    },
    async remove(entries) {
      for (const [key] of entries) {
        const known = open.get(key);
        open.delete(key);
        refused.delete(key);
        if (known) await close(known.server);
      }
      report([...refused.values()]);
    },
  };
}

type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string };

function answerFor({ service, endpoints }: HealthCheck, healthy: boolean): Answer {
  const [namespace, name] = service.split('/');
  const body = { service: { namespace, name }, localEndpoints: endpoints, serviceProxyHealthy: healthy };
  return {
    status: endpoints > 0 && healthy ? 200 : 503,
    headers: {
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-load-balancing-endpoint-weight': String(endpoints),
    },
    body: `${JSON.stringify(body, undefined, '\t')}\n`,
  };
}

function listen(server: Server, { address, port }: HealthCheck): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function cannotListen({ address, port, service }: HealthCheck, error: unknown): Problem {
  return problem({
    object: `Service ${service}`,
    reason: 'HealthCheckPortTaken',
    message: `Cannot answer health checks at ${addressPort(address, port)}: ${messageOf(error)}`,
    advice: `Find who listens there with 'ss -ltnp sport = ${port}', or give the Service another healthCheckNodePort`,
  });
}
