// SPDX-License-Identifier: Apache-2.0
// The kubelet of one node: registers the Node, runs the pods bound to it, and says whether the node is ready.
import { release } from 'node:os';
import { messageOf } from '../../src/base/errors.ts';
import type { KubeObject, Store } from '../api/store.ts';
import { now, withCondition } from '../conditions.ts';
import type { SandboxNode } from '../node.ts';
import { isActive, isDeleting } from '../objects.ts';
import type { Condition, Node, Pod } from '../objects.ts';
import { pause } from '../until.ts';
import { networkOf, networkStatus } from './cni.ts';
import { recorderFor } from './events.ts';
import { podDir } from './pod-files.ts';
import { startPodWorker } from './pod-worker.ts';
import type { PodWorker, WorkerContext } from './pod-worker.ts';

export type KubeletOptions = Pick<WorkerContext, 'store' | 'node' | 'environment' | 'checkout' | 'credentialsFor' | 'onNetworkAdded'> & {
  readonly podsDir: string;
  readonly signal: AbortSignal;
};

export type Kubelet = {
  readonly node: SandboxNode;
  worker(uid: string): PodWorker | undefined;
  /** Ends the processes of all pods without the API's knowledge: the machine is switched off. */
  close(): Promise<void>;
};

const LEASE_SECONDS = 40;
const LEASE_PERIOD_MS = 10_000;
const READY_PERIOD_MS = 300;
/** Between two calls of STATUS while all is well. */
const STATUS_PERIOD_MS = 5_000;

/** Runs until the signal aborts; pods still run then, until it is closed. */
export function startKubelet(options: KubeletOptions): Kubelet {
  const { store, node, signal } = options;
  const workers = new Map<string, PodWorker>();
  const record = recorderFor(store, 'kubelet', node.name);
  register(store, node);
  void renewLease(store, node.name, signal);
  void watchNetwork(store, node, signal);

  const begin = (pod: Pod) => {
    const { name, namespace, uid } = pod.metadata;
    const dir = podDir(options.podsDir, pod);
    workers.set(uid, startPodWorker(pod, { ...options, dir, record }));
    record(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${node.name}`);
  };
  const end = (pod: Pod, graceSeconds: number) => {
    const worker = workers.get(pod.metadata.uid);
    if (worker === undefined || stopping.has(pod.metadata.uid)) return;
    stopping.add(pod.metadata.uid);
    const gone = () => workers.delete(pod.metadata.uid) && stopping.delete(pod.metadata.uid);
    worker.stop(graceSeconds).then(gone, (error: unknown) => record(pod, 'Warning', 'FailedKillPod', messageOf(error)));
  };
  const stopping = new Set<string>();

  store.watch('pods', signal, ({ type, object }) => {
    const pod = object as Pod; // as: the resource is pods
    if (pod.spec.nodeName !== node.name) return;
    if (type === 'DELETED') end(pod, 0);
    else if (isDeleting(pod) && workers.has(pod.metadata.uid)) end(pod, pod.metadata.deletionGracePeriodSeconds ?? 30);
    else if (isDeleting(pod)) store.delete('pods', pod.metadata, { gracePeriodSeconds: 0 });
    else if (!workers.has(pod.metadata.uid) && isActive(pod)) begin(pod);
  });
  const close = async () => void (await Promise.all([...workers.values()].map((worker) => worker.abandon())));
  return { node, worker: (uid) => workers.get(uid), close };
}

function register(store: Store, { name, ipv4, ipv6 }: SandboxNode): void {
  const labels = {
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
    'kubernetes.io/hostname': name,
    ...(name === 'node1' && { 'node-role.kubernetes.io/control-plane': '' }),
  };
  if (store.get('nodes', { name }) === undefined) store.create('nodes', { metadata: { name, labels }, spec: {} });
  const addresses = [
    { type: 'InternalIP', address: ipv4 },
    { type: 'InternalIP', address: ipv6 },
    { type: 'Hostname', address: name },
  ];
  const resources = { cpu: '2', memory: '4Gi', pods: '110' };
  const nodeInfo = {
    machineID: '',
    systemUUID: '',
    bootID: '',
    operatingSystem: 'linux',
    architecture: labels['kubernetes.io/arch'],
    osImage: 'Stentor sandbox',
    kernelVersion: release(),
    containerRuntimeVersion: 'sandbox://1',
    kubeletVersion: 'v1.34.0',
    kubeProxyVersion: '',
  };
  store.patchStatus(
    'nodes',
    { name },
    { addresses, capacity: resources, allocatable: resources, nodeInfo, conditions: readyConditions(undefined, NOT_YET) },
  );
}

const NOT_YET = 'cni plugin not initialized';

/** The node is ready when a CNI configuration is there and its plugins can serve; `problem` says why it is not. */
function readyConditions(before: readonly Condition[] | undefined, problem: string | undefined): readonly Condition[] {
  const ready: Condition =
    problem === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : {
          type: 'Ready',
          status: 'False',
          reason: 'KubeletNotReady',
          message: `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: ${problem}`,
        };
  const enough = (type: string, reason: string, message: string): Condition => ({ type, status: 'False', reason, message });
  return [
    enough('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    enough('DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    enough('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    ready,
  ].reduce<readonly Condition[]>((all, condition) => withCondition(all, { ...condition }), before ?? []);
}

async function watchNetwork(store: Store, node: SandboxNode, signal: AbortSignal): Promise<void> {
  let before: string | undefined = NOT_YET;
  let asked = 0;
  while (!signal.aborted) {
    const asks: boolean = performance.now() - asked > (before === undefined ? STATUS_PERIOD_MS : 0);
    if (asks) asked = performance.now();
    const problem: string | undefined = await networkOf(node).then(
      (list) => (asks ? networkStatus(node, list).then(() => undefined, messageOf) : before),
      () => NOT_YET,
    );
    const stored = store.get('nodes', { name: node.name }) as Node | undefined; // as: the resource is nodes
    if (problem !== before && stored !== undefined && !signal.aborted) {
      store.patchStatus('nodes', { name: node.name }, { conditions: readyConditions(stored.status?.conditions, problem) });
      before = problem;
    }
    await pause(READY_PERIOD_MS, signal);
  }
}

async function renewLease(store: Store, name: string, signal: AbortSignal): Promise<void> {
  const resource = 'leases.coordination.k8s.io';
  const key = { namespace: 'kube-node-lease', name };
  while (!signal.aborted) {
    const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: `${now().slice(0, -1)}.000000Z` };
    const stored: KubeObject | undefined = store.get(resource, key);
    if (stored === undefined) store.create(resource, { metadata: key, spec });
    else store.patch(resource, key, { spec });
    await pause(LEASE_PERIOD_MS, signal);
  }
}
