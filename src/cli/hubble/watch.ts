// SPDX-License-Identifier: Apache-2.0
// `hubble watch peers`: the agents that an agent tells a relay of, and how they change.

import { enumName } from '../../flows/flow-enums.ts';
import { RpcError } from '../../grpc/status.ts';
import { notify, PeerChange } from '../../hubble/peer.ts';
import type { ChangeNotification } from '../../hubble/peer.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { harmless } from './colors.ts';
import { interruptible } from './interrupt.ts';
import { serverFlags } from './server-flags.ts';
import { serverError, serverOf } from './server.ts';
import { flagsText, settingsOf } from './settings.ts';

export const help = `Usage: NAME watch peers [FLAGS]

The other agents, as one of them tells a relay, and how they change, until interrupted. A relay has no peers to tell of.

${flagsText(serverFlags)}

Examples:
  NAME watch peers --server unix:///var/run/cilium/hubble.sock
`;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const settings = settingsOf(args, serverFlags, 1);
  const [what = ''] = settings.words;
  if (what !== 'peers' && what !== 'peer') throw new UsageError(`Cannot watch '${what}', wanted watch peers`);
  await using server = await serverOf(settings, { agentSocket: io.socket, agent: true });
  await interruptible(async (signal) => {
    try {
      for await (const batch of server.client.stream(notify, {}, { signal, metadata: server.metadata }))
        io.out(batch.map(peerText).join(''));
    } catch (error) {
      throw error instanceof RpcError ? serverError(error, server) : error;
    }
  });
  return 0;
}

export function peerText({ name = '', address = '', type = 0, tls }: ChangeNotification): string {
  const encrypted = tls ? ` (TLS.ServerName: ${harmless(tls.serverName ?? '')})` : '';
  return `${enumName(PeerChange, type).padEnd(12)} ${harmless(address)} ${harmless(name)}${encrypted}\n`;
}
