// SPDX-License-Identifier: Apache-2.0
// Endpoints whose DEL never came, as after a crash of the container runtime. Only what two witnesses call gone is ended: the Kubernetes
// API, heard completely, has no such pod, and the pod's network namespace is no more. Each is asked twice, a look apart.

import { existsSync } from 'node:fs';
import type { Log } from '../base/log.ts';
import type { Table, Writer } from '../base/table.ts';
import type { EndpointRow } from '../endpoints/endpoint.ts';
import type { PodRow } from '../identities/facts.ts';

export type OrphansOptions = {
  readonly endpoints: Writer<string, EndpointRow>;
  /** Pods of this node. */
  readonly pods: Table<string, PodRow>;
  readonly log: Log;
  readonly exists?: (path: string) => boolean;
};

/** One look; true if it ended somebody. */
export function orphans({ endpoints, pods, log, exists = existsSync }: OrphansOptions): () => boolean {
  let suspects = new Set<string>();
  const isOrphan = ({ namespace, pod, uid, netns }: EndpointRow) =>
    uid !== '' && netns !== '' && pods.get(`${namespace}/${pod}`)?.uid !== uid && !exists(netns);
  return () => {
    if (!pods.complete) return false;
    const found = Array.from(endpoints.table.entries()).filter(([, row]) => isOrphan(row));
    const gone = found.filter(([key]) => suspects.has(key));
    for (const [key, { namespace, pod, addresses }] of gone) {
      endpoints.delete(key);
      log.warn('Ended an endpoint whose pod is gone without a DEL', { pod: `${namespace}/${pod}`, addresses });
    }
    suspects = new Set(found.map(([key]) => key));
    return gone.length > 0;
  };
}
