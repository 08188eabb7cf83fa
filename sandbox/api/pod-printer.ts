// SPDX-License-Identifier: Apache-2.0
// The columns of a pod: its status is the most telling word that its containers have to offer.
import { age, byText, name, NONE, since, text } from './cells.ts';
import type { Column } from './cells.ts';
import type { Json, KubeObject } from './json.ts';

const waitingReason = (status: Json): string | undefined => {
  const { waiting, terminated } = status.state ?? {};
  if (waiting?.reason) return waiting.reason;
  if (!terminated) return undefined;
  return terminated.reason || (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`);
};

const initReason = (pod: KubeObject): string | undefined => {
  const statuses: readonly Json[] = pod['status']?.initContainerStatuses ?? [];
  const index = statuses.findIndex(
    (status) =>
      !(status.state?.terminated?.exitCode === 0 || (status.started && status.restartCount !== undefined && status.state?.running)),
  );
  const status = statuses[index];
  if (!status) return undefined;
  const reason = waitingReason(status);
  return reason && reason !== 'PodInitializing' ? `Init:${reason}` : `Init:${index}/${pod['spec'].initContainers?.length ?? 0}`;
};

const podReason = (pod: KubeObject): string => {
  const status = pod['status'] ?? {};
  if (pod.metadata.deletionTimestamp) return status.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
  const init = initReason(pod);
  if (init) return init;
  const statuses: readonly Json[] = status.containerStatuses ?? [];
  const reason = statuses.map(waitingReason).find((one) => one !== undefined) ?? status.reason ?? status.phase ?? 'Unknown';
  const running = statuses.some((one) => one.ready && one.state?.running);
  if (reason !== 'Completed' || !running) return reason;
  return status.conditions?.some((one: Json) => one.type === 'Ready' && one.status === 'True') ? 'Running' : 'NotReady';
};

const podRestarts = (pod: KubeObject): string => {
  const statuses: readonly Json[] = pod['status']?.containerStatuses ?? [];
  const total = statuses.reduce((sum, status) => sum + (status.restartCount ?? 0), 0);
  const last = statuses
    .map((status) => status.lastState?.terminated?.finishedAt)
    .filter(Boolean)
    .map(String)
    .toSorted(byText)
    .at(-1);
  return total > 0 && last ? `${total} (${since(last)} ago)` : String(total);
};

export const podColumns: readonly Column[] = [
  name,
  text(
    'Ready',
    ({ spec, status }) =>
      `${(status?.containerStatuses ?? []).filter((one: Json) => one.ready && one.state?.running).length}/${spec.containers.length}`,
  ),
  text('Status', podReason),
  text('Restarts', podRestarts),
  age,
  text('IP', ({ status }) => status?.podIP ?? NONE, true),
  text('Node', ({ spec }) => spec.nodeName ?? NONE, true),
  text('Nominated Node', ({ status }) => status?.nominatedNodeName ?? NONE, true),
  text('Readiness Gates', ({ spec }) => (spec.readinessGates ? `0/${spec.readinessGates.length}` : NONE), true),
];
