// SPDX-License-Identifier: Apache-2.0
// Hubble's services of this node: on a socket in the file system for whoever is on it, and on a port for relays, who have to show a
// certificate and are shown one. Where one of them cannot be had that is a Problem, and is tried again; the agent goes on.

import { chmodSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { Table } from '../base/table.ts';
import { addressPort, familyOf } from '../base/ip.ts';
import { agentEvents } from '../flows/agent-events.ts';
import type { AgentEvents } from '../flows/agent-events.ts';
import { AgentEventType } from '../flows/flow-enums.ts';
import type { FlowRing } from '../flows/flow-ring.ts';
import type { CallCounts } from '../grpc/call-metrics.ts';
import { healthHandlers } from '../grpc/health.ts';
import type { Handler } from '../grpc/handler.ts';
import { reflectionHandlers } from '../grpc/reflection.ts';
import { grpcServer } from '../grpc/server.ts';
import type { GrpcServer } from '../grpc/server.ts';
import { peerName, serverNameOf } from '../hubble/peer.ts';
import type { PeerRow } from '../hubble/peer.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { IdentitySecret } from '../kube/identity-secret.ts';
import type { NodeRow } from '../nodes/node.ts';
import type { Config } from './config.ts';
import { historyHandlers } from './history-service.ts';
import type { FlowHistory } from './history.ts';
import { observerHandlers } from './observer.ts';
import { peerHandlers } from './peer-service.ts';
import type { Peers } from './peer-service.ts';
import { freeSocketPath } from './unix-socket.ts';
import { version } from './version.ts';

export type HubbleOptions = {
  readonly config: Pick<Config, 'hubble' | 'clusterName'>;
  readonly self: string;
  readonly ring: FlowRing;
  /** What the ring has not any more; undefined: nothing. */
  readonly past?: FlowHistory;
  readonly nodes: Table<string, NodeRow>;
  /** Pods of this node. */
  readonly endpoints: Table<string, EndpointRow>;
  /** Undefined: the port is not encrypted. */
  readonly identity: IdentitySecret | undefined;
  /** Where calls are counted. */
  readonly counts?: CallCounts;
  readonly clock: Clock;
  readonly log: Log;
  readonly report: (problems: readonly Problem[]) => void;
  /** Called after every change of a table. */
  readonly afterwards: (look: () => void) => void;
};

/** The name by which clients ask for health. */
const HEALTH_NAME = 'hubble.server.Observer';
const RETRY_MS = 10_000;
const EVENTS = 1000;
const NO_CERTIFICATE_MS = 60_000;

/** Serves until `signal`; comes back at once. */
export function serveHubble(options: HubbleOptions, signal: AbortSignal): void {
  const { config, log, identity, counts } = options;
  const handlers = handlersOf(options, signal);
  const failed = (path: string, error: unknown) => log.error('A call of Hubble failed', { path, error: messageOf(error) });
  const said = new Map<string, Problem>();
  const report = (place: string, what: Problem | undefined) => {
    if (what) said.set(place, what);
    else if (!said.delete(place)) return;
    options.report([...said.values()]);
  };
  const { socketPath } = config.hubble;
  void keepListening(
    {
      server: () => grpcServer({ handlers, failed, counts }),
      listen: (server) => onSocket(server, socketPath),
      place: 'hubble.socketPath',
      where: socketPath,
      report,
    },
    signal,
  );
  const where = placeIn(config.hubble.listenAddress);
  const onPort = {
    listen: (server: GrpcServer) => server.listen(where),
    place: 'hubble.listenAddress',
    where: config.hubble.listenAddress,
    report,
  };
  if (!identity) return void keepListening({ ...onPort, server: () => grpcServer({ handlers, failed, counts }) }, signal);
  let server: GrpcServer | undefined;
  const changed = () => {
    const tls = identity.identity;
    if (!tls) return;
    log.info('Hubble has a certificate', { until: identity.until });
    if (server) return server.identify(tls);
    void keepListening(
      { ...onPort, server: () => (server = grpcServer({ handlers, failed, counts, tls: identity.identity ?? tls })) },
      signal,
    );
  };
  void identity.run(changed, signal);
  void watchCertificate(identity, { auto: config.hubble.tlsAuto, report: (what) => report('certificate', what) }, signal);
}

function handlersOf(options: HubbleOptions, signal: AbortSignal): readonly Handler[] {
  const { config, self, clock, identity, ring, past } = options;
  const events = agentEvents(EVENTS);
  tellDeeds(events, options);
  const nodeName = `${config.clusterName}/${self}`;
  const certificate = () => identity?.until;
  const services = [
    ...observerHandlers({ ring, past, events, nodeName, version: `stentor v${version()}`, clock, certificate }, signal),
    ...peerHandlers(peersOf(options)),
    ...historyHandlers(past),
    ...healthHandlers((service) => (service === '' || service === HEALTH_NAME ? true : undefined)),
  ];
  return [...services, ...reflectionHandlers(services)];
}

const nanoseconds = (clock: Clock): bigint => BigInt(Math.round(clock.now())) * 1_000_000n;

/** That it started, and from then on pods that come and go. */
function tellDeeds(events: AgentEvents, { clock, endpoints, afterwards }: HubbleOptions): void {
  const time = nanoseconds(clock);
  events.add(time, { type: AgentEventType.AGENT_STARTED, notification: { kind: 'agentStart', time } });
  const changes = endpoints.changes();
  changes.take();
  afterwards(() => {
    if (changes.pending === 0) return;
    for (const [key, before] of changes.take()) {
      const after = endpoints.get(key);
      const about = after ?? before;
      if (!about || (before && after)) continue;
      const type = after ? AgentEventType.ENDPOINT_CREATED : AgentEventType.ENDPOINT_DELETED;
      const { id, namespace, pod: podName } = about;
      events.add(nanoseconds(clock), { type, notification: { kind: 'endpointUpdate', id: BigInt(id), podName, namespace } });
    }
  });
}

type Listening = {
  readonly server: () => GrpcServer;
  readonly listen: (server: GrpcServer) => Promise<void>;
  /** The value that says where. */
  readonly place: string;
  readonly where: string;
  readonly report: (place: string, what: Problem | undefined) => void;
};

async function keepListening({ server: make, listen, place, where, report }: Listening, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const server = make();
    try {
      await listen(server);
      report(place, undefined);
      await new Promise((resolve) => (signal.aborted ? resolve(undefined) : signal.addEventListener('abort', resolve, { once: true })));
    } catch (error) {
      report(place, cannotListen(place, where, error));
      await pause(RETRY_MS, undefined, { signal }).catch(() => {});
    }
    await server[Symbol.asyncDispose]();
  }
}

function cannotListen(place: string, where: string, error: unknown): Problem {
  const inUse = codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'SocketInUse';
  return problem({
    object: `Config ${place}`,
    reason: inUse ? 'PortInUse' : 'CannotListen',
    message: `Cannot serve flows at ${where}: ${messageOf(error)}`,
    advice: inUse ? `Find who listens there with 'ss -lxtnp', or choose another place in ${place}` : `Choose another place in ${place}`,
  });
}

async function onSocket(server: GrpcServer, path: string): Promise<void> {
  await freeSocketPath(path);
  await server.listen({ path });
  chmodSync(path, 0o600);
}

/** ':4244', '0.0.0.0:4244', '[::1]:4244'. */
function placeIn(text: string): { readonly host?: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { ...(host !== '' && { host }), port: Number(text.slice(colon + 1)) };
}

/** Every node is taken to have an agent that listens where this one does. */
function peersOf({ config, nodes, identity, afterwards }: HubbleOptions): Peers {
  const { clusterName, hubble } = config;
  const { port } = placeIn(hubble.listenAddress);
  const listeners = new Set<() => void>();
  const changes = nodes.changes();
  afterwards(() => {
    if (changes.pending === 0) return;
    changes.take();
    for (const listener of listeners) listener();
  });
  return {
    rows: () =>
      Array.from(nodes.entries()).flatMap(([, { name, addresses }]): readonly PeerRow[] => {
        const address = addresses.find((one) => familyOf(one) === 4) ?? addresses[0];
        if (address === undefined) return [];
        const serverName = identity ? serverNameOf(clusterName, name) : undefined;
        return [{ name: peerName(clusterName, name), address: addressPort(address, port), serverName }];
      }),
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

const OPERATORS =
  'Look whether an operator runs and leads: it makes and renews the Secrets hubble-server-certs and hubble-relay-client-certs';
const YOURS =
  'Make the Secrets hubble-server-certs and hubble-relay-client-certs anew: hubble.tls.auto.enabled is false; with true the operator does it';

type Watching = { readonly auto: boolean; readonly report: (what: Problem | undefined) => void };

/** Says after a while that there is no certificate, or that it has ended. */
async function watchCertificate(identity: IdentitySecret, { auto, report }: Watching, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(NO_CERTIFICATE_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const ended = identity.until !== undefined && identity.until < Date.now();
    const missing = identity.identity === undefined;
    const why = ended ? `it ended at ${new Date(identity.until ?? 0).toISOString()}` : (identity.trouble ?? '');
    report(
      ended || missing
        ? problem({
            object: 'Config hubble.tls.enabled',
            reason: 'NoHubbleCertificate',
            message: `No relay gets the flows of this node, as it has no certificate: ${why}`,
            advice: auto ? OPERATORS : YOURS,
          })
        : undefined,
    );
  }
}
