// SPDX-License-Identifier: Apache-2.0
// What is looked at again and again, each in its turn: all targets, programs on uplinks, conntrack, how full maps are, endpoints whose pod
// is gone.

import { totalmem } from 'node:os';
import { systemClock } from '../base/clock.ts';
import { refreshInTurn } from '../base/refresh.ts';
import type { Flows } from './flows.ts';
import type { Ground } from './ground.ts';
import { conntrackSweep } from './conntrack-sweep.ts';
import type { Sweep } from './conntrack-sweep.ts';
import { diskWatch } from './disk.ts';
import type { Disk } from './disk.ts';
import { mapUsage } from './map-usage.ts';
import type { MapUsage } from './map-usage.ts';
import { orphans } from './orphans.ts';
import type { AgentSources } from './sources.ts';
import type { AgentTables } from './tables.ts';
import type { AgentTargets } from './targets.ts';

/** Who knows how full the maps are, and whether the disk takes what is written. */
export type Watched = { readonly usage: MapUsage; readonly sweep: Sweep; readonly disk: Disk };

export function watched(
  { datapath, problems, options }: Ground,
  { endpoints, l2 }: AgentTables,
  { walks, machine }: AgentTargets,
  flows: Pick<Flows, 'forgotten'> | undefined,
): Watched {
  const vips = () => Array.from(l2.owners.entries(), ([, { ip }]) => ip);
  const forgotten = flows?.forgotten;
  const map = datapath.map('conntrack');
  const sweep = conntrackSweep({ map, endpoints: endpoints.endpoints, vips, clock: systemClock, forgotten });
  const reconcilers = new Map(walks.flat().map((one) => [one.name, one]));
  const entriesOf = (name: string) => (name === 'conntrack' ? sweep.last?.entries : reconcilers.get(name)?.status.entries);
  const report: Parameters<typeof diskWatch>[0]['report'] = (rows) => {
    problems.report('disk', rows);
    machine.schedule();
  };
  const disk = diskWatch({ directory: options.state, report });
  return { disk, sweep, usage: mapUsage({ maps: datapath.maps, entriesOf, memoryBytes: totalmem(), clock: systemClock }) };
}

export type RoundsOptions = {
  readonly ground: Ground;
  readonly tables: AgentTables;
  readonly targets: AgentTargets;
  readonly sources: AgentSources;
  readonly watched: Watched;
  /** Asks for an agent that begins anew, for which maps are made larger. */
  readonly renew: (why: string) => void;
};

/** Runs until `signal` aborts. */
export function rounds(
  { ground, tables, targets, sources, watched: { usage, sweep, disk }, renew }: RoundsOptions,
  signal: AbortSignal,
): Promise<void> {
  const { machine, walks, attachments } = targets;
  const { log, problems, options } = ground;
  const endOrphans = orphans({ endpoints: sources.endpoints, pods: tables.known.pods, log });
  const done = (act: () => void) => ({ pending: 0, look: () => (act(), true) });
  const measure = () => {
    const { grow, problems: full } = usage.look();
    problems.report('map usage', full);
    if (grow.length > 0) renew(`to make ${grow.join(', ')} larger`);
  };
  const orphansEnd = () => {
    if (endOrphans()) machine.schedule();
  };
  // the last: what is reported after a commit may come from elsewhere than tables, as whether an API server answers again
  const reconcilers = [
    ...walks.flat(),
    done(() => attachments.refresh()),
    sweep,
    done(measure),
    done(() => disk.look()),
    done(orphansEnd),
    done(machine.schedule),
  ];
  return refreshInTurn({ reconcilers, changed: machine.schedule, clock: systemClock, roundMs: options.refreshMs }, signal);
}
