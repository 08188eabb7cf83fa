// SPDX-License-Identifier: Apache-2.0
// The engine with everything that it keeps equal to its tables: in the kernel at once, in Kubernetes in loops of their own.

import { systemClock } from '../base/clock.ts';
import { engine } from '../base/commit.ts';
import type { Engine } from '../base/commit.ts';
import { asyncReconciler } from '../base/reconcile-async.ts';
import type { AsyncReconciler } from '../base/reconcile-async.ts';
import { eventsTarget } from '../kube/events.ts';
import type { Ground } from './ground.ts';
import { identityObjects } from './identities.ts';
import type { IdentityObjects } from './identities.ts';
import { l2Objects } from './l2-objects.ts';
import { reconcilersOf } from './reconcilers.ts';
import type { Reconcilers } from './reconcilers.ts';
import type { AgentTables } from './tables.ts';
import { troublesOf } from './troubles.ts';

export type AgentTargets = Reconcilers & {
  readonly machine: Engine;
  readonly objects: IdentityObjects;
  /** Those that answer later: attachments, Events, and the objects that the agent writes. */
  readonly slow: readonly AsyncReconciler[];
  /** Calls `report` after every commit. */
  readonly afterwards: (report: () => void) => void;
};

export function agentTargets(ground: Ground, tables: AgentTables): AgentTargets {
  const { client, self, problems, options, config } = ground;
  const { kubeProxyReplacement, nodePort } = config;
  const protectedPorts = kubeProxyReplacement && nodePort.protectRange ? nodePort : undefined;
  const kernel = reconcilersOf({ ...ground, ...tables, state: options.state, protectedPorts });
  const events = eventsTarget({ client, controller: 'stentor-agent', instance: self, fallback: `Node ${self}` });
  const objects = identityObjects(client, tables, self);
  const written = [kernel.attachments, ...(ground.config.l2announcements ? l2Objects(client, tables.l2) : []), ...Object.values(objects)];
  const slow = [...written, asyncReconciler(problems.table, events)];
  const endpoints = tables.endpoints.endpoints;
  const troubles = troublesOf({ reconcilers: [...kernel.walks.flat(), ...written], endpoints, clock: systemClock });
  const reports = [() => problems.report('targets', troubles())];
  const afterwards = () => {
    for (const report of reports) report();
    for (const one of slow) one.wake();
  };
  const machine = engine({ derivations: tables.derivations, walks: kernel.walks, clock: systemClock, afterwards });
  return { ...kernel, machine, objects, slow, afterwards: (report) => reports.push(report) };
}
