// SPDX-License-Identifier: Apache-2.0
// Whom to ask when nobody said. In the container of an agent that is the relay, which knows what all nodes saw: the agent knows the
// address of its service. Where no relay answers it is that agent, and what it tells is labelled with how many of the nodes that is.
//
//   agent's API: services ─▶ hubble-relay 10.96.0.7:80 ─ well? ─▶ relay, else the socket of the agent; elsewhere localhost:4245

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

const socketPath = () => process.env['STENTOR_HUBBLE_SOCKET'] || '/var/run/cilium/hubble.sock';

/** The agent of this node, for what only an agent knows. */
export const nearbyAgent = (): Nearby => ({ name: existsSync(socketPath()) ? `unix://${socketPath()}` : ELSEWHERE });

export async function nearby(agentSocket: string): Promise<Nearby> {
  const agent = nearbyAgent();
  if (agent.name === ELSEWHERE) return agent;
  try {
    const services = await ask<readonly ServiceRow[]>(agentSocket, '/services', PATIENCE_MS);
    const relay = services.find(({ service, type, backends }) => RELAY.test(service) && type === 'ClusterIP' && backends.length > 0);
    const name = relay?.frontend.split('/')[0];
    if (name !== undefined && (await isWell(name))) return { name };
    const known = await ask<readonly NodeListRow[]>(agentSocket, '/nodes', PATIENCE_MS);
    return known.length > 1 ? { ...agent, nodes: `1/${known.length} nodes` } : agent;
  } catch (error) {
    if (error instanceof AgentError) return agent;
    throw error;
  }
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
