// SPDX-License-Identifier: Apache-2.0
// Runs the checks in their order and prints a line for each.
import { messageOf } from '../../src/base/errors.ts';
import type { Cluster } from '../cluster.ts';
import { CROSS, TICK } from '../progress.ts';
import type { Progress } from '../progress.ts';
import type { Cni } from '../up.ts';
import { announcementChecks } from './announcements.ts';
import { balancerChecks } from './balancers.ts';
import type { Check } from './check.ts';
import { commandChecks } from './commands.ts';
import { flowChecks } from './flows-of-all.ts';
import { requestChecks } from './flow-lines.ts';
import { gatewayChecks } from './gateway.ts';
import { hostPortChecks } from './host-ports.ts';
import { hubbleChecks } from './hubble.ts';
import { identityChecks } from './identities.ts';
import { lifeCycleChecks } from './life-cycle.ts';
import { insideChecks } from './inside.ts';
import { loadBalancerIpChecks } from './load-balancer-ips.ts';
import { maglevChecks } from './maglev.ts';
import { operatorChecks } from './operators.ts';
import { outsideChecks } from './outside.ts';
import { placementChecks } from './placement.ts';
import { placesOf } from './places.ts';
import { podChecks } from './pods.ts';
import { redirectChecks } from './redirects.ts';
import { restartChecks } from './restart.ts';
import { seedAddressChecks } from './seed-address.ts';
import { serviceKindChecks } from './service-kinds.ts';
import { serviceChecks } from './services.ts';
import { sizeChecks } from './sizes.ts';
import { stateChecks } from './state.ts';
import { uplinkChecks } from './uplinks.ts';
import { valueChecks } from './values.ts';
import { vantageChecks } from './vantage.ts';
import { webPageChecks } from './web-page.ts';
import { wireModeChecks } from './wire-modes.ts';
import { wireChecks } from './wire.ts';

export type CheckOptions = { readonly cni: Cni; readonly progress: Progress; readonly signal: AbortSignal };

export type CheckResult = { readonly failed: number; readonly summary: string };

const CHECKS: readonly Check[] = [
  ...podChecks,
  ...requestChecks,
  ...vantageChecks,
  ...serviceChecks,
  ...serviceKindChecks,
  ...outsideChecks,
  ...wireChecks,
  ...maglevChecks,
  ...loadBalancerIpChecks,
  ...hostPortChecks,
  ...placementChecks,
  ...wireModeChecks,
  ...sizeChecks,
  ...stateChecks,
  ...identityChecks,
  ...redirectChecks,
  ...commandChecks,
  ...hubbleChecks,
  ...uplinkChecks,
  ...valueChecks,
  ...operatorChecks,
  ...flowChecks,
  ...balancerChecks,
  ...insideChecks,
  ...seedAddressChecks,
  ...announcementChecks,
  ...webPageChecks,
  ...gatewayChecks,
  ...lifeCycleChecks,
  ...restartChecks,
];

export async function runChecks(cluster: Cluster, { cni, progress, signal }: CheckOptions): Promise<CheckResult> {
  const context = { cluster, places: placesOf(cluster), signal };
  let passed = 0;
  let failed = 0;
  for (const check of CHECKS.filter(({ needs }) => cni === 'agent' || needs === 'pods')) {
    signal.throwIfAborted();
    const started = performance.now();
    const took = () => `${Math.round(performance.now() - started)} ms`;
    try {
      const detail = await check.run(context);
      progress.line(`${TICK} ${check.name} (${took()}${detail === undefined ? '' : `; ${detail}`})`);
      passed++;
    } catch (error) {
      progress.line(`${CROSS} ${check.name} (${took()})\n    ${messageOf(error)}`);
      failed++;
    }
  }
  progress.line(`CNI ADD: ${quantiles(cluster.networkAdds)}`);
  return { failed, summary: `${passed} passed, ${failed} failed` };
}

function quantiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (fraction: number) => `${(sorted[Math.min(Math.floor(sorted.length * fraction), sorted.length - 1)] ?? 0).toFixed(1)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)} of ${sorted.length}`;
}
