// SPDX-License-Identifier: Apache-2.0
// How it is: the relay, the nodes behind it, what was lost, and until when certificates hold.

import { messageOf } from '../base/errors.ts';
import type { Health } from '../page/api.ts';
import type { Lookouts } from './lookouts.ts';
import type { FlowSource, RelayStatus } from './source.ts';

export type Losses = Health['losses'];

type HealthParts = { readonly source: FlowSource; readonly version: string; readonly views: Lookouts; readonly losses: () => Losses };

export async function healthOf({ source, version, views, losses }: HealthParts, signal: AbortSignal): Promise<Health> {
  const [relay, nodes] = await Promise.all([
    source.status(signal).then(
      (status: RelayStatus) => ({ ok: true, ...status }),
      (error: unknown) => ({ ok: false, message: messageOf(error) }),
    ),
    source.nodes(signal).catch(() => []),
  ]);
  return {
    server: { version, uptimeMs: process.uptime() * 1000, rss: process.memoryUsage.rss(), viewers: views.watchers, views: views.views },
    relay: { address: source.address, ...relay },
    nodes: nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    losses: losses(),
    certificates: await source.certificates(nodes),
  };
}
