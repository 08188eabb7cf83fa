// SPDX-License-Identifier: Apache-2.0
// One question to a server, for the commands that print one answer.

import { RpcError } from '../../grpc/status.ts';
import type { Io } from '../command.ts';
import { serverError, serverOf } from './server.ts';
import type { Server } from './server.ts';
import type { Settings } from './settings.ts';

/** Throws UsageError and ServerError. */
export async function asked<T>(settings: Settings, { socket }: Pick<Io, 'socket'>, question: (server: Server) => Promise<T>): Promise<T> {
  await using server = await serverOf(settings, { agentSocket: socket });
  try {
    return await question(server);
  } catch (error) {
    throw error instanceof RpcError ? serverError(error, server) : error;
  }
}
