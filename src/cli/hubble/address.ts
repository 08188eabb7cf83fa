// SPDX-License-Identifier: Apache-2.0
// How a server is called on a command line.

import type { ServerAddress } from '../../grpc/client.ts';
import { UsageError } from '../command.ts';

export const DEFAULT_PORT = 4245;

/** 'host:port', 'tls://host:port', 'unix:///path'; a host alone is asked at the port of a relay. Throws UsageError. */
export function addressIn(name: string): ServerAddress {
  const path = /^unix:(?:\/\/)?(\/.+)$/.exec(name)?.[1];
  if (path !== undefined) return { path };
  const [, six, host = six, port] = /^(?:tls:\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^/:[\]]+))(?::(\d{1,5}))?$/.exec(name) ?? [];
  if (host === undefined || Number(port ?? 0) > 65535)
    throw new UsageError(`Cannot ask the server '${name}', wanted host:port, tls://host:port or unix:///path`);
  return { host, port: Number(port ?? DEFAULT_PORT) };
}
