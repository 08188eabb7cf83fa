// SPDX-License-Identifier: Apache-2.0
// Whom to ask when nobody said. In the container of an agent that is a relay, which knows what all nodes saw: the agent knows who serves
// hubble-relay. Where none answers it is that agent, and what it tells is labelled with how many of the nodes that is.
//
//   agent's API: services ─▶ backends of hubble-relay ─ well? ─▶ that one, else the socket of the agent; elsewhere localhost:4245

import { existsSync } from 'node:fs';
import type { NodeListRow, ServiceRow } from '../../agent/api-types.ts';
import { grpcClient } from '../../grpc/client.ts';
import { check, Serving } from '../../grpc/health.ts';
import { RpcError } from '../../grpc/status.ts';
import { AgentError, ask } from '../client.ts';
import { addressIn } from './address.ts';

/** `nodes`: '1/9 nodes', where that is all that it knows. */
export type Nearby = { readonly name: string; readonly nodes?: string };

const ELSEWHERE = 'localhost:4245';
const RELAY = /^[^/]+\/hubble-relay$/;
const PATIENCE_MS = 1500;
const MOST_TRIED = 3;

const socketPath = () => process.env['STENTOR_HUBBLE_SOCKET'] || '/var/run/cilium/hubble.sock';

/** The agent of this node, for what only an agent knows. */
export const nearbyAgent = (): Nearby => ({ name: existsSync(socketPath()) ? `unix://${socketPath()}` : ELSEWHERE });

export async function nearby(agentSocket: string): Promise<Nearby> {
  const agent = nearbyAgent();
  if (agent.name === ELSEWHERE) return agent;
  try {
    const services = await ask<readonly ServiceRow[]>(agentSocket, '/services', PATIENCE_MS);
    for (const name of relaysIn(services)) if (await isWell(name)) return { name };
    const known = await ask<readonly NodeListRow[]>(agentSocket, '/nodes', PATIENCE_MS);
    return known.length > 1 ? { ...agent, nodes: `1/${known.length} nodes` } : agent;
  } catch (error) {
    if (error instanceof AgentError) return agent;
    throw error;
  }
}

/** Asked themselves rather than at the address of their service, which not every process of a node reaches. */
function relaysIn(services: readonly ServiceRow[]): readonly string[] {
  const relays = services.filter(({ service, type }) => RELAY.test(service) && type === 'ClusterIP');
  const backends = relays.flatMap((one) => one.backends).filter(({ state }) => state === 'active');
  return [...new Set(backends.map(({ address }) => address.replace(/\/TCP$/, '')))].slice(0, MOST_TRIED);
}

async function isWell(name: string): Promise<boolean> {
  using client = grpcClient({ address: addressIn(name), connectMs: PATIENCE_MS });
  try {
    return (await client.call(check, {}, { deadlineMs: PATIENCE_MS })).status === Serving.SERVING;
  } catch (error) {
    if (error instanceof RpcError) return false;
    throw error;
  }
}
