// SPDX-License-Identifier: Apache-2.0
// What the operator does while it leads, made anew for each term: nothing is kept from one to the next.
//
//   CiliumIdentities, CiliumEndpoints, pods ─▶ identities/garbage-tables.ts ─▶ what is to be done ─▶ CiliumIdentities, CiliumEndpoints
//   a pass every some minutes ───────────────▶
//   pools, Services, nodes ─▶ lbipam/tables.ts ─▶ addresses ─▶ Services, pools, Events
//   once a minute: certificates.ts ─▶ Secrets of Hubble

import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { engine } from '../base/commit.ts';
import { asyncReconciler } from '../base/reconcile-async.ts';
import { identityMarks, podUids, references } from '../identities/garbage.ts';
import { garbageTables, Subject } from '../identities/garbage-tables.ts';
import type { GarbageTables } from '../identities/garbage-tables.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Term } from '../kube/lease.ts';
import { resources } from '../kube/resources.ts';
import { kubeSource, sink } from '../kube/source.ts';
import type { Source } from '../kube/source.ts';
import type { CiliumEndpoint, CiliumIdentity, Pod } from '../kube/types.ts';
import { keepCertificates } from './hubble-certificates.ts';
import type { OperatorOptions } from './options.ts';
import { endpointTarget, identityTarget } from './targets.ts';
import type { Deeds } from './targets.ts';
import { lbipam } from './lbipam.ts';
import type { Lbipam } from './lbipam.ts';

/** For metrics: what has been counted since the process started, and how many identities there are while we lead. */
export type Counts = Deeds & { passes: number; passesLate: number; identities: number; lbipam?: Lbipam | undefined };

export type TermOptions = {
  readonly log: Log;
  readonly client: KubeClient;
  readonly options: OperatorOptions;
  readonly clock: Clock;
  readonly counts: Counts;
};

const LOOK_MS = 1000;

export async function serveTerm({ client, options, clock, counts, log }: TermOptions, term: Term): Promise<void> {
  const tables = garbageTables(options);
  const now = steady(clock);
  const deeds = { client, term, now, deeds: counts };
  const { lbClasses: classes, identity, namespace } = options;
  const addresses = classes && lbipam({ client, term, clock, classes, identity, namespace });
  counts.lbipam = addresses;
  const written = [
    asyncReconciler(tables.identityWork, identityTarget(deeds)),
    asyncReconciler(tables.endpointRemovals, endpointTarget(deeds)),
    ...(addresses?.reconcilers ?? []),
  ];
  const afterwards = () => {
    counts.identities = tables.marks.size;
    addresses?.derived();
    for (const one of written) one.wake();
  };
  const machine = engine({ derivations: [...tables.derivations, ...(addresses?.derivations ?? [])], walks: [], clock, afterwards });
  const sources = sourcesOf(client, tables, machine.schedule);
  const loops = [...sources, ...(addresses?.sources(machine.schedule) ?? []), ...written].map((one) => one.run(term.signal));
  const { certificatesFor: cluster } = options;
  if (cluster !== undefined) loops.push(keepCertificates({ client, namespace, cluster, clock, log }, term));
  try {
    await Promise.all([...loops, ...passes({ tables, sources, now, counts }, { options, changed: machine.schedule }, term.signal)]);
  } finally {
    machine.close();
    counts.identities = 0;
    counts.lbipam = undefined;
  }
}

function sourcesOf(client: KubeClient, { marks, references: refs, podUids: uids }: GarbageTables, changed: () => void): readonly Source[] {
  const watch = { client, changed };
  const [ofIdentities, ofEndpoints] = [sink(marks.writer('kubernetes'), identityMarks), sink(refs.writer('kubernetes'), references)];
  return [
    kubeSource<CiliumIdentity>({ ...watch, resource: resources.ciliumIdentities, sinks: [ofIdentities] }),
    kubeSource<CiliumEndpoint>({ ...watch, resource: resources.ciliumEndpoints, sinks: [ofEndpoints] }),
    kubeSource<Pod>({ ...watch, resource: resources.pods, sinks: [sink(uids.writer('kubernetes'), podUids)] }),
  ];
}

type Passing = {
  readonly tables: GarbageTables;
  readonly sources: readonly Source[];
  readonly now: () => number;
  readonly counts: Counts;
};

/** One loop for each subject that is looked at. A pass waits until all watches are up to date: ages do not grow while we cannot see. */
function passes(
  { tables, sources, now, counts }: Passing,
  { options, changed }: { readonly options: OperatorOptions; readonly changed: () => void },
  signal: AbortSignal,
): Promise<void>[] {
  const writer = tables.passes.writer('clock');
  const current = () => sources.every(({ status }) => status.synced && status.error === undefined);
  const intervals = { [Subject.identities]: options.identityInterval, [Subject.endpoints]: options.endpointInterval };
  const wanted = Object.values(Subject).filter((one) => intervals[one] > 0);
  const loop = async (subject: Subject) => {
    const intervalMs = intervals[subject];
    while (!signal.aborted) {
      let late = false;
      for (; !current() && !signal.aborted; await pause(Math.min(LOOK_MS, intervalMs), undefined, { signal }).catch(() => {})) {
        if (!late && sources.some(({ status }) => status.error !== undefined)) counts.passesLate++;
        late ||= sources.some(({ status }) => status.error !== undefined);
      }
      if (signal.aborted) return;
      writer.put(subject, { now: now() });
      if (wanted.every((one) => tables.passes.has(one))) writer.complete();
      if (subject === Subject.identities) counts.passes++;
      changed();
      await pause(intervalMs, undefined, { signal }).catch(() => {});
    }
  };
  return wanted.map(loop);
}

/** The time of day that goes on from when we begin, whatever somebody does to the clock. */
function steady(clock: Clock): () => number {
  const begun = clock.now() - clock.monotonic();
  return () => Math.round(begun + clock.monotonic());
}
