// SPDX-License-Identifier: Apache-2.0
// A pod's status from what its kubelet knows. Pure.
import { withCondition } from '../conditions.ts';
import type { Json } from '../api/json.ts';
import type { Condition, Container, Pod } from '../objects.ts';

export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message?: string }
  | { readonly kind: 'running'; readonly startedAt: string }
  | { readonly kind: 'ended'; readonly exitCode: number; readonly startedAt: string; readonly finishedAt: string; readonly reason: string };

export type ContainerRecord = {
  readonly name: string;
  readonly state: ContainerState;
  /** How the run before this one ended. */
  readonly last?: ContainerState;
  readonly restarts: number;
  /** The startup probe has succeeded, or there is none. */
  readonly started: boolean;
  readonly ready: boolean;
  /** Of the current or most recent run. */
  readonly id: string;
};

export type PodRecord = {
  readonly startTime: string;
  readonly hostIps: readonly string[];
  readonly podIps: readonly string[];
  readonly init: readonly ContainerRecord[];
  readonly containers: readonly ContainerRecord[];
  /** Will ended containers be started again? */
  readonly restarts: boolean;
};

export const notStarted = (container: Container, reason: string): ContainerRecord => ({
  name: container.name,
  state: { kind: 'waiting', reason },
  restarts: 0,
  started: false,
  ready: false,
  id: '',
});

export function podStatus(pod: Pod, record: PodRecord): Json {
  const { hostIps, podIps } = record;
  return {
    phase: phaseOf(record),
    startTime: record.startTime,
    hostIP: hostIps[0],
    hostIPs: hostIps.map((ip) => ({ ip })),
    ...(podIps.length > 0 && { podIP: podIps[0], podIPs: podIps.map((ip) => ({ ip })) }),
    qosClass: 'BestEffort',
    conditions: conditionsOf(pod, record),
    containerStatuses: statusesOf(pod.spec.containers, record.containers),
    ...(record.init.length > 0 && { initContainerStatuses: statusesOf(pod.spec.initContainers ?? [], record.init) }),
  };
}

function phaseOf({ containers, init, restarts }: PodRecord): string {
  const ended = containers.filter(({ state }) => state.kind === 'ended');
  if (ended.length === containers.length && !restarts) return ended.every(succeeded) ? 'Succeeded' : 'Failed';
  if (!restarts && init.some((record) => record.state.kind === 'ended' && !succeeded(record))) return 'Failed';
  return containers.some(({ state, restarts: count }) => state.kind === 'running' || state.kind === 'ended' || count > 0)
    ? 'Running'
    : 'Pending';
}

const succeeded = ({ state }: ContainerRecord): boolean => state.kind === 'ended' && state.exitCode === 0;

function conditionsOf(pod: Pod, record: PodRecord): readonly Condition[] {
  const unready = record.containers.filter(({ ready }) => !ready).map(({ name }) => name);
  const initialised = record.init.every(succeeded);
  const ready: Omit<Condition, 'type'> =
    unready.length === 0
      ? { status: 'True' }
      : { status: 'False', reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const conditions: readonly Condition[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'PodReadyToStartContainers', status: record.podIps.length > 0 ? 'True' : 'False' },
    { type: 'Initialized', status: initialised ? 'True' : 'False' },
    { type: 'ContainersReady', ...ready },
    { type: 'Ready', ...ready },
  ];
  return conditions.reduce<readonly Condition[]>((all, condition) => withCondition(all, condition), pod.status?.conditions ?? []);
}

function statusesOf(containers: readonly Container[], records: readonly ContainerRecord[]): Json[] {
  return records.map((record) => ({
    name: record.name,
    image: containers.find(({ name }) => name === record.name)?.image ?? '',
    imageID: '',
    ...(record.id !== '' && { containerID: `sandbox://${record.id}` }),
    state: stateOf(record.state),
    lastState: record.last === undefined ? {} : stateOf(record.last),
    restartCount: record.restarts,
    started: record.started,
    ready: record.ready,
  }));
}

function stateOf(state: ContainerState): Json {
  const { kind, ...fields } = state;
  return { [kind === 'ended' ? 'terminated' : kind]: fields };
}
