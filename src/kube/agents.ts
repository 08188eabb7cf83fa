// SPDX-License-Identifier: Apache-2.0
// Connections to API servers that are kept, with the certificates as they are now.

import type { Agent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext } from 'node:tls';

import { Agent as HttpAgent } from '../base/node-http.ts';
import type { Credentials, KubeAccess } from './config.ts';
import type { Server } from './servers.ts';

export const KEEPALIVE_MS = 15_000; // then a probe each second, ten times (libuv): a dead peer is noticed within half a minute

export type Agents = { (server: Server, credentials: Credentials): Agent; close(): void };

/** One agent for each protocol and name for as long as certificates stay the same; renewed ones are for the next connections. */
export function agents({ insecure }: KubeAccess): Agents {
  const common = { keepAlive: true, keepAliveMsecs: KEEPALIVE_MS, maxFreeSockets: 2 };
  const kept = new Map<string, { readonly mark: string; readonly agent: Agent }>();
  const retire = (agent: Agent) => {
    Object.assign(agent, { keepAlive: false }); // what is in use ends with its request
    for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  };
  const agentFor = ({ url, name }: Server, { ca, cert, key }: Credentials) => {
    const secure = url.startsWith('https:');
    const place = `${secure} ${name}`;
    const mark = [ca, cert, key].join('\n');
    const known = kept.get(place);
    if (known?.mark === mark) return known.agent;
    if (known) retire(known.agent);
    const context = { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
    const agent: Agent = secure
      ? new HttpsAgent({
          ...common,
          secureContext: createSecureContext(context),
          rejectUnauthorized: !insecure,
          ...(name !== undefined && { servername: name }),
        })
      : new HttpAgent(common);
    kept.set(place, { mark, agent });
    return agent;
  };
  const close = () => {
    for (const { agent } of kept.values()) agent.destroy();
    kept.clear();
  };
  return Object.assign(agentFor, { close });
}
