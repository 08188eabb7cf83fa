// SPDX-License-Identifier: Apache-2.0
// DELs that cni/shim.c left on disk while there was no agent, one file each in the form of a request. Whoever reads the queue listens
// already: a plugin that wrote a file and then finds an agent asks it, and takes the file away itself.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { cniRequest } from '../endpoints/cni-protocol.ts';
import type { AttachmentName, DelRequest } from '../endpoints/cni-protocol.ts';
import type { CniReply } from '../endpoints/cni-reply.ts';

export type CniQueue = {
  /** Does every DEL and removes its file; what stays is a Problem. */
  replay(handle: (request: DelRequest) => Promise<CniReply>): Promise<{ readonly done: number; readonly problems: readonly Problem[] }>;
  /** The container is added anew: an older DEL must not end it. */
  forget(attachment: AttachmentName): void;
};

/** The queue beside the socket at `socketPath`. */
export function cniQueue(socketPath: string): CniQueue {
  const directory = join(dirname(socketPath), 'deleteQueue');
  return {
    async replay(handle) {
      const problems: Problem[] = [];
      let done = 0;
      for (const name of filesIn(directory)) {
        const path = join(directory, name);
        const trouble = await replayOne(path, handle);
        if (trouble === undefined) done++;
        else problems.push(undone(path, trouble));
      }
      return { done, problems };
    },
    forget: ({ containerId, ifName }) => rmSync(join(directory, `${containerId}@${ifName}`), { force: true }),
  };
}

/** Files whose plugin was killed while it wrote begin with a dot; their runtime asks again. */
function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function replayOne(path: string, handle: (request: DelRequest) => Promise<CniReply>): Promise<string | undefined> {
  const request = cniRequest(readFileSync(path));
  if (request.kind === 'refused') return request.failure.message;
  if (request.kind !== 'del') return `it asks for ${request.kind.toUpperCase()}, wanted DEL`;
  const reply = await handle(request);
  if (reply.kind === 'failed') return reply.failure.message;
  rmSync(path, { force: true });
  return undefined;
}

function undone(path: string, trouble: string): Problem {
  return problem({
    object: `File ${path}`,
    reason: 'UndoneDelete',
    message: `Cannot do the DEL that was left here while there was no agent: ${trouble}`,
    advice: 'Restart the agent to try it again; if nothing of the container is left on the node, delete the file',
  });
}
