// SPDX-License-Identifier: Apache-2.0
// One pod on its node, from its network to its last process.
//
//   network (CNI ADD, again until it works) ─▶ volumes ─▶ init containers ─▶ containers ─▶ ... ─▶ stop ─▶ CNI DEL ─▶ gone
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/base/errors.ts';
import { removeCgroup } from '../cgroup.ts';
import { now } from '../conditions.ts';
import type { SandboxNode } from '../node.ts';
import { podAt } from '../objects.ts';
import type { Container, Pod } from '../objects.ts';
import type { Store } from '../api/store.ts';
import { pause } from '../until.ts';
import { addressesIn } from './cni-config.ts';
import type { PodNetwork } from './cni.ts';
import { startContainerLoop } from './container-loop.ts';
import type { ContainerLoop, LoopContext } from './container-loop.ts';
import { commandOf, environmentOf, hostnameOf } from './environment.ts';
import type { Recorder } from './events.ts';
import type { ContainerOptions } from './process.ts';
import { logFile } from './pod-files.ts';
import { connect, disconnect } from './pod-network.ts';
import { notStarted, podStatus } from './status.ts';
import type { PodRecord } from './status.ts';
import { containerMounts, podMounts, volumePaths } from './volumes.ts';
import type { Credentials, Mount } from './volumes.ts';

export type WorkerContext = {
  readonly store: Store;
  readonly node: SandboxNode;
  /** Of this pod: its files and logs. */
  readonly dir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly checkout: string;
  readonly record: Recorder;
  /** Of the kubelet. */
  readonly signal: AbortSignal;
  credentialsFor(namespace: string, serviceAccount: string): Credentials;
  /** Milliseconds of a successful CNI ADD. */
  onNetworkAdded(milliseconds: number): void;
};

export type PodWorker = {
  container(name: string | undefined): ContainerLoop | undefined;
  /** Ends the pod: processes, network, files, and the object in the API if it is still there. */
  stop(graceSeconds: number): Promise<void>;
  /** Ends the pod's processes and waits for everything in progress; what else there is goes with its node. */
  abandon(): Promise<void>;
};

const OUTSIDE = 'sandbox.stentor.dev/outside-node-cgroup';
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;

export function startPodWorker(pod: Pod, context: WorkerContext): PodWorker {
  const stopping = new AbortController();
  const state: PodState = {
    pod,
    context,
    signal: stopping.signal,
    startTime: now(),
    podIps: [],
    network: undefined,
    init: new Map(),
    containers: new Map(),
    dirty: false,
  };
  const starting = start(state).catch((error: unknown) => context.record(pod, 'Warning', 'FailedSync', messageOf(error)));
  return {
    container: (name) => {
      const all = [...state.containers, ...state.init];
      return (name === undefined ? all[0] : all.find(([candidate]) => candidate === name))?.[1];
    },
    stop: async (graceSeconds) => {
      stopping.abort();
      await Promise.all([...state.containers.values(), ...state.init.values()].map((container) => container.stop(graceSeconds)));
      await starting;
      await tearDown(state);
    },
    abandon: async () => {
      stopping.abort();
      await Promise.all([...state.containers.values(), ...state.init.values()].map((container) => container.stop(0)));
      await starting;
    },
  };
}

type PodState = {
  readonly pod: Pod;
  readonly context: WorkerContext;
  readonly signal: AbortSignal;
  readonly startTime: string;
  podIps: readonly string[];
  network: PodNetwork | undefined;
  readonly init: Map<string, ContainerLoop>;
  readonly containers: Map<string, ContainerLoop>;
  /** A status report is on its way. */
  dirty: boolean;
};

async function start(state: PodState): Promise<void> {
  const { pod, context, signal } = state;
  const { node, dir } = context;
  report(state);
  if (pod.spec.hostNetwork === true) state.podIps = [node.ipv4, node.ipv6];
  else await repeat(state, 'FailedCreatePodSandBox', 'Failed to create pod sandbox: ', () => joinNetwork(state));
  report(state);
  let shared: readonly Mount[] = [];
  let volumes: ReadonlyMap<string, string> = new Map();
  await repeat(state, 'FailedMount', 'MountVolume.SetUp failed: ', async () => {
    const credentials = context.credentialsFor(pod.metadata.namespace ?? '', pod.spec.serviceAccountName ?? 'default');
    shared = await podMounts(pod, state.podIps, dir, credentials);
    volumes = await volumePaths(context.store, node, pod, dir);
    for (const container of pod.spec.containers) await containerMounts(node, container, volumes);
  });
  const prepare = (container: Container) => (restarts: number, id: string) =>
    optionsFor(state, container, { restarts, id, shared, volumes });
  for (const container of pod.spec.initContainers ?? []) {
    if (signal.aborted) return;
    const policy = pod.spec.restartPolicy === 'Never' ? 'Never' : 'OnFailure';
    const loop = loopFor(state, container, policy, prepare(container));
    state.init.set(container.name, loop);
    if ((await loop.done) !== 0) return;
  }
  if (signal.aborted) return;
  for (const container of pod.spec.containers)
    state.containers.set(container.name, loopFor(state, container, pod.spec.restartPolicy ?? 'Always', prepare(container)));
  report(state);
}

function loopFor(state: PodState, container: Container, restartPolicy: string, prepare: LoopContext['prepare']): ContainerLoop {
  const { pod, context, podIps } = state;
  return startContainerLoop({
    node: context.node,
    container,
    podIp: podIps[0] ?? '',
    restartPolicy,
    isInit: pod.spec.initContainers?.includes(container) ?? false,
    graceSeconds: pod.spec.terminationGracePeriodSeconds ?? 30,
    prepare,
    onChange: () => report(state),
    event: (type, reason, message) => context.record(pod, type, reason, message),
  });
}

/** Until it succeeds or the pod is stopped; each failure is an Event. */
async function repeat(state: PodState, reason: string, prefix: string, action: () => Promise<void>): Promise<void> {
  for (let delay = FIRST_RETRY_MS; !state.signal.aborted; delay = Math.min(delay * 2, LONGEST_RETRY_MS)) {
    try {
      await action();
      return;
    } catch (error) {
      state.context.record(state.pod, 'Warning', reason, prefix + messageOf(error));
    }
    await pause(delay, state.signal);
  }
}

async function joinNetwork(state: PodState): Promise<void> {
  state.network = await connect(state.pod, state.context, state.signal);
  state.podIps = addressesIn(state.network.result);
}

type Run = {
  readonly restarts: number;
  readonly id: string;
  readonly shared: readonly Mount[];
  readonly volumes: ReadonlyMap<string, string>;
};

async function optionsFor(state: PodState, container: Container, { restarts, id, shared, volumes }: Run): Promise<ContainerOptions> {
  const { pod, context, podIps, network } = state;
  const { node, store, dir } = context;
  const configValue = (name: string, key: string) =>
    store.get('configmaps', { namespace: pod.metadata.namespace ?? '', name })?.['data']?.[key];
  const environment = environmentOf(pod, container, {
    hostIps: [node.ipv4, node.ipv6],
    podIps,
    environment: context.environment,
    configValue,
  });
  const command = commandOf(container, environment);
  if (command.length === 0) throw new Error(`container "${container.name}" has no command, and there are no images to have one`);
  return {
    node,
    netns: network?.netns,
    cgroup: join(cgroupOf(state), `${container.name}-${id.slice(0, 8)}`),
    hostname: hostnameOf(pod),
    directory: container.workingDir ?? context.checkout,
    mounts: [...shared, ...(await containerMounts(node, container, volumes))],
    environment,
    command,
    logFile: logFile(dir, container.name, restarts),
  };
}

const cgroupOf = ({ pod, context }: PodState): string =>
  join(
    pod.metadata.annotations?.[OUTSIDE] === 'true' ? context.node.outsideCgroup : join(context.node.cgroup, 'kubepods'),
    `pod${pod.metadata.uid}`,
  );

/** Tells the API soon, once for all changes of this turn. */
function report(state: PodState): void {
  if (state.dirty) return;
  state.dirty = true;
  setImmediate(() => {
    state.dirty = false;
    const { pod, context } = state;
    const stored = podAt(context.store, pod.metadata);
    if (stored?.metadata.uid !== pod.metadata.uid) return;
    context.store.patchStatus('pods', pod.metadata, podStatus(stored, recordOf(state)));
  });
}

function recordOf({ pod, context, startTime, podIps, init, containers }: PodState): PodRecord {
  const reason = podIps.length === 0 || init.size < (pod.spec.initContainers ?? []).length ? 'PodInitializing' : 'ContainerCreating';
  return {
    startTime,
    hostIps: [context.node.ipv4, context.node.ipv6],
    podIps,
    init: (pod.spec.initContainers ?? []).map(
      (container) => init.get(container.name)?.record() ?? notStarted(container, 'PodInitializing'),
    ),
    containers: pod.spec.containers.map((container) => containers.get(container.name)?.record() ?? notStarted(container, reason)),
    restarts: pod.spec.restartPolicy !== 'Never' && pod.spec.restartPolicy !== 'OnFailure',
  };
}

async function tearDown(state: PodState): Promise<void> {
  const { pod, context, network } = state;
  await removeCgroup(cgroupOf(state));
  if (network !== undefined) await disconnect(pod, context, network);
  await rm(context.dir, { recursive: true, force: true });
  if (podAt(context.store, pod.metadata)?.metadata.uid === pod.metadata.uid)
    context.store.delete('pods', pod.metadata, { gracePeriodSeconds: 0 });
}
