// SPDX-License-Identifier: Apache-2.0
// Tells a relay which agents there are, first all of them and then what changes. A relay that reads slowly is told the sum of it.

import { streaming } from '../grpc/handler.ts';
import type { Handler } from '../grpc/handler.ts';
import { notify, peerChanges } from '../hubble/peer.ts';
import type { PeerRow } from '../hubble/peer.ts';
import { changed } from './observer.ts';

export type Peers = {
  rows(): readonly PeerRow[];
  /** Calls `listener` when they may be others than before, until the returned function is called. */
  listen(listener: () => void): () => void;
};

export const peerHandlers = (peers: Peers): readonly Handler[] => [
  streaming(notify, async function* (_, { signal }) {
    let told: readonly PeerRow[] = [];
    while (!signal.aborted) {
      const rows = peers.rows();
      const changes = peerChanges(told, rows);
      told = rows;
      if (changes.length > 0) yield changes;
      else await changed(peers, signal);
    }
  }),
];
