// SPDX-License-Identifier: Apache-2.0
// Times of CNI ADD on a node, by the plugin that its configuration names, without the cost of making network namespaces.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { networkOf } from '../sandbox/kubelet/cni.ts';
import { pluginInput } from '../sandbox/kubelet/cni-config.ts';
import type { SandboxNode } from '../sandbox/node.ts';
import { mustRun } from '../sandbox/run.ts';
import type { PluginCall, PluginCalls, PluginOutcome } from './cni-calls.ts';

/** Milliseconds of VERSION, which needs nothing but the plugin's process; of ADDs one by one, of ADDs so many at once, and how long the latter took together. */
export type AddTimes = {
  readonly floor: readonly number[];
  readonly alone: readonly number[];
  readonly together: readonly number[];
  readonly allMs: number;
  readonly failures: readonly string[];
};

const WORKER = join(import.meta.dirname, 'cni-calls.ts');

/** Adds `alone` pods one by one, then `together` at once, and removes them all again. */
export async function addTimes(node: SandboxNode, alone: number, together: number): Promise<AddTimes> {
  const names = Array.from({ length: alone + together }, () => `bench-${randomUUID().slice(0, 8)}`);
  await batch(
    node,
    names.map((name) => `netns add ${name}`),
  );
  try {
    const calls = async (command: string, chosen: readonly string[]) => Promise.all(chosen.map((name) => callOf(node, command, name)));
    const floor = await runCalls(node, { calls: await calls('VERSION', names.slice(0, alone)), atOnce: 1 });
    const first = await runCalls(node, { calls: await calls('ADD', names.slice(0, alone)), atOnce: 1 });
    const second = await runCalls(node, { calls: await calls('ADD', names.slice(alone)), atOnce: together });
    const gone = await runCalls(node, { calls: await calls('DEL', names), atOnce: 4 });
    const failures = [floor, first, second, gone].flatMap((outcome) => outcome.failures);
    return { floor: floor.times, alone: first.times, together: second.times, allMs: Math.max(...second.times), failures };
  } finally {
    await batch(
      node,
      names.map((name) => `netns del ${name}`),
    );
  }
}

async function runCalls(node: SandboxNode, work: PluginCalls): Promise<PluginOutcome> {
  return JSON.parse(await mustRun(node.command([process.execPath, WORKER]), { input: JSON.stringify(work), timeoutMs: 120_000 }));
}

const batch = (node: SandboxNode, lines: readonly string[]): Promise<string> =>
  mustRun(node.enter(['ip', '-batch', '-'], ['--net', '--mount']), { input: `${lines.join('\n')}\n`, timeoutMs: 60_000 });

async function callOf(node: SandboxNode, command: string, name: string): Promise<PluginCall> {
  const list = await networkOf(node);
  const [plugin] = list.plugins;
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: command,
    CNI_CONTAINERID: name,
    CNI_NETNS: `/run/netns/${name}`,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${name}`,
    CNI_PATH: '/opt/cni/bin',
  };
  return { program: `/opt/cni/bin/${plugin.type}`, env, input: JSON.stringify(pluginInput(list, plugin)) };
}
