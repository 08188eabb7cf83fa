// SPDX-License-Identifier: Apache-2.0
// A pod's way into its node's network, and out of it again.
import { randomBytes } from 'node:crypto';
import { messageOf } from '../../src/base/errors.ts';
import { keyText } from '../objects.ts';
import type { Pod } from '../objects.ts';
import { pause } from '../until.ts';
import { addToNetwork, createNetns, deleteFromNetwork, deleteNetns, networkOf } from './cni.ts';
import type { PodNetwork } from './cni.ts';
import type { WorkerContext } from './pod-worker.ts';

/** A network namespace with what the node's CNI plugins put into it. Throws what they said, with nothing left behind. */
export async function connect(pod: Pod, context: WorkerContext, signal: AbortSignal): Promise<PodNetwork> {
  const { node, onNetworkAdded } = context;
  const list = await networkOf(node);
  const netns = await createNetns(node);
  const call = { node, pod, netns, containerId: randomBytes(32).toString('hex'), signal };
  const started = performance.now();
  try {
    const network = await addToNetwork(call, list);
    onNetworkAdded(performance.now() - started);
    return network;
  } catch (error) {
    await deleteFromNetwork(call, list, undefined).catch(() => undefined); // as a runtime does: best effort, the error counts
    await deleteNetns(node, netns);
    throw error;
  }
}

const MOST_TRIES = 8;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;

/** DEL is repeated as long as it may help: the agent may be restarting. */
export async function disconnect(pod: Pod, context: WorkerContext, network: PodNetwork): Promise<void> {
  const { node, signal } = context;
  const { netns, containerId, result } = network;
  let delay = FIRST_RETRY_MS;
  for (let tries = 1; tries <= MOST_TRIES && !signal.aborted; tries++) {
    try {
      await deleteFromNetwork({ node, pod, netns, containerId, signal }, await networkOf(node), result);
      break;
    } catch (error) {
      context.record(pod, 'Warning', 'FailedKillPod', `error killing pod ${keyText(pod.metadata)}: ${messageOf(error)}`);
    }
    await pause(delay, signal);
    delay = Math.min(delay * 2, LONGEST_RETRY_MS);
  }
  await deleteNetns(node, netns);
}
