// SPDX-License-Identifier: Apache-2.0
// Who answers for load balancer addresses, as the agent of this node knows it (`stentor vip`): each agent knows of all nodes.

import { messageOf } from '../base/errors.ts';
import { request } from '../base/node-http.ts';
import type { Vips, VipView } from '../page/api.ts';

const MOST_BYTES = 16 << 20;

export function vipsOf(socket: string | undefined): (signal: AbortSignal) => Promise<Vips> {
  return async (signal) => {
    if (socket === undefined)
      return { vips: [], unknown: 'This server is not told of load balancer addresses: --agent-socket says where an agent is' };
    try {
      const rows = JSON.parse(await textAt(socket, '/vips', signal)) as readonly (VipView & { readonly answers?: number })[]; // as: the agent's VipRow
      return { vips: rows.map(({ answers: _, ...vip }) => vip) };
    } catch (error) {
      return { vips: [], unknown: `The agent of this node does not answer: ${messageOf(error)}` };
    }
  };
}

function textAt(socketPath: string, path: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath, path, signal }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.length > MOST_BYTES) asked.destroy(new Error(`it says more than ${MOST_BYTES} bytes`));
    });
    response.on('end', () =>
      response.statusCode === 200 ? resolve(text) : reject(new Error(`it answered ${response.statusCode}: ${text.slice(0, 200)}`)),
    );
    response.on('error', reject);
  });
  asked.on('error', reject).end();
  return promise;
}
