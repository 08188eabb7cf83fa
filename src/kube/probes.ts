// SPDX-License-Identifier: Apache-2.0
// Whether API servers that failed are back.

import { messageOf } from '../base/errors.ts';
import { LEFT_ALONE_MS } from './servers.ts';
import type { Server, Servers } from './servers.ts';

export type Probes = {
  /** Sees to it that those that fail now are asked before long. */
  later(): void;
  stop(): void;
};

/** Asks those that failed whether they are back: watches stay where they are for minutes, and nothing else would say so. */
export function probing(servers: Servers, ask: (server: Server) => Promise<void>): Probes {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const again = async () => {
    const failing = servers.failing();
    for (const server of servers.inOrder().filter(({ url }) => failing.has(url)))
      await ask(server).then(
        () => servers.recovered(server),
        (error: unknown) => servers.failed(server, messageOf(error)),
      );
    timer = undefined;
    later();
  };
  const later = () => {
    if (timer === undefined && !stopped && servers.failing().size > 0) timer = setTimeout(() => void again(), LEFT_ALONE_MS).unref();
  };
  return {
    later,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
