// SPDX-License-Identifier: Apache-2.0
// Health over HTTP for those who probe: kubelet asks the agent on the loopback address, load balancers and kube-proxy's users ask /healthz
// on kubeProxyReplacementHealthzBindAddr.

import { codeOf, messageOf } from '../base/errors.ts';
import { addressPort, ip } from '../base/ip.ts';
import type { Ip, Port } from '../base/ip.ts';
import { servePages } from '../base/pages.ts';
import type { Answer, Page } from '../base/pages.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';

/** Times are milliseconds since the Unix epoch. `reason` says why it is not healthy. */
export type AgentHealth = {
  readonly healthy: boolean;
  /** When it was last found healthy. */ readonly lastUpdated: number;
  readonly currentTime: number;
  readonly reason: string | undefined;
};

export type HealthOptions = {
  /** Port of the agent's own /healthz on 127.0.0.1 and ::1. */
  readonly healthPort: Port;
  /** Where /healthz and /livez of the kube-proxy replacement are; undefined: nowhere. */
  readonly proxy: { readonly host: Ip; readonly port: Port } | undefined;
  readonly health: () => AgentHealth;
  /** Other pages, at addresses of their own. */
  readonly more?: readonly Listener[];
  /** An address that cannot be listened on is a Problem, not the end; every call replaces the list of the last. */
  readonly report: (problems: readonly Problem[]) => void;
  /** How long after a failure to try again. Default 10 s. */
  readonly retryMs?: number;
};

export type Listener = Page & {
  readonly host: Ip;
  readonly port: Port;
  /** The value that says so. */
  readonly setting: string;
  /** For messages. */
  readonly page: string;
};

/** Serves until disposed. Does not throw: what cannot be served is reported, and tried again. */
export function serveHealth({ healthPort, proxy, health, more = [], report, retryMs }: HealthOptions): Promise<AsyncDisposable> {
  return servePages({
    pages: listenersFor(healthPort, { proxy, health, more }),
    report: (refused) => report(refused.map(({ page, error }) => cannotListen(page, error))),
    ...(retryMs !== undefined && { retryMs }),
  });
}

function listenersFor(
  healthPort: Port,
  { proxy, health, more }: Pick<HealthOptions, 'proxy' | 'health'> & { readonly more: readonly Listener[] },
): readonly Listener[] {
  const loopback = (host: Ip, optional: boolean): Listener => ({
    host,
    port: healthPort,
    setting: 'healthPort',
    page: '/healthz',
    contentType: 'text/plain; charset=utf-8',
    answer: (path) => agentAnswer(path, health()),
    optional,
  });
  const replacement = {
    setting: 'kubeProxyReplacementHealthzBindAddr',
    page: '/healthz',
    contentType: 'application/json',
    answer: (path: string) => proxyAnswer(path, health()),
  };
  return [loopback(ip('127.0.0.1'), false), loopback(ip('::1'), true), ...(proxy ? [{ ...proxy, ...replacement }] : []), ...more];
}

/** kubelet's probe: the status is the answer. */
function agentAnswer(path: string, { healthy, reason }: AgentHealth): Answer {
  if (path !== '/healthz') return { status: 404, body: '' };
  return { status: healthy ? 200 : 503, body: healthy ? '' : `${reason ?? 'not healthy'}\n` };
}

/** As kube-proxy answers (pkg/proxy/healthcheck/proxy_health.go), with times as Go prints them. */
export function proxyAnswer(path: string, { healthy, lastUpdated, currentTime }: AgentHealth): Answer {
  if (path !== '/healthz' && path !== '/livez') return { status: 404, body: '' };
  const updated = healthy ? currentTime : lastUpdated;
  return {
    status: healthy ? 200 : 503,
    body: `{"lastUpdated": ${JSON.stringify(goTime(updated))},"currentTime": ${JSON.stringify(goTime(currentTime))}}`,
  };
}

/** Go's time.Time.String() in UTC: '2025-09-10 12:00:00.5 +0000 UTC'. */
export function goTime(milliseconds: number): string {
  const [date, time = ''] = new Date(milliseconds).toISOString().split('T');
  return `${date} ${time.replace(/\.?0*Z$/, '')} +0000 UTC`;
}

function cannotListen({ host, port, setting, page }: Listener, error: unknown): Problem {
  const inUse = codeOf(error) === 'EADDRINUSE';
  return problem({
    object: `Config ${setting}`,
    reason: inUse ? 'PortInUse' : 'CannotListen',
    message: `Cannot serve ${page} at ${addressPort(host, port)}: ${messageOf(error)}`,
    advice: inUse
      ? `Find who listens there with 'ss -ltnp sport = ${port}' (a kube-proxy that still runs, perhaps), or choose another port in ${setting}`
      : `Choose an address of this node in ${setting}`,
  });
}
