// SPDX-License-Identifier: Apache-2.0
// Calls the CNI plugins of a node: the real programs, in the node's namespaces, with the node's configuration.
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { StentorError } from '../../src/base/errors.ts';
import type { Json } from '../api/json.ts';
import type { SandboxNode } from '../node.ts';
import type { Pod } from '../objects.ts';
import { mustRun, run } from '../run.ts';
import type { Ran } from '../run.ts';
import { BadNetworkConfig, configFile, networkList, pluginInput } from './cni-config.ts';
import type { NetworkList } from './cni-config.ts';

const CONFIG_DIR = '/etc/cni/net.d';
const PLUGIN_DIR = '/opt/cni/bin';
const PLUGIN_TIMEOUT_MS = 60_000;
const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The network of one pod. */
export type PodNetwork = {
  /** The path of the network namespace as the node sees it. */
  readonly netns: string;
  readonly containerId: string;
  readonly result: Json;
};

export class PluginFailed extends StentorError {
  constructor(type: string, command: string, message: string) {
    super('PLUGIN_FAILED', `plugin type="${type}" failed (${command.toLowerCase()}): ${message}`);
  }
}

/** The node's network configuration as it is now. Throws BadNetworkConfig when there is none. */
export async function networkOf(node: SandboxNode): Promise<NetworkList> {
  const file = configFile(await readdir(node.path(CONFIG_DIR)).catch(() => []));
  if (file === undefined) throw new BadNetworkConfig(`no network config found in ${CONFIG_DIR}: cni plugin not initialized`);
  return networkList(await readFile(node.path(`${CONFIG_DIR}/${file}`), 'utf8'), `${CONFIG_DIR}/${file}`);
}

/** Creates a named network namespace on the node, with its loopback up. Returns its path on the node. */
export async function createNetns(node: SandboxNode): Promise<string> {
  const name = `cni-${randomUUID()}`;
  await mustRun(node.enter(['sh', '-c', `ip netns add ${name} && ip -n ${name} link set lo up`], ['--net', '--mount']));
  return `/run/netns/${name}`;
}

export async function deleteNetns(node: SandboxNode, path: string): Promise<void> {
  await run(node.enter(['ip', 'netns', 'del', path.slice('/run/netns/'.length)], ['--net', '--mount']));
}

type Call = {
  readonly node: SandboxNode;
  readonly pod: Pod;
  readonly netns: string;
  readonly containerId: string;
  /** Ends a plugin that has not answered. */
  readonly signal?: AbortSignal;
};

/** ADD through all plugins of the list; the last result counts. Throws PluginFailed. */
export async function addToNetwork(call: Call, list: NetworkList): Promise<PodNetwork> {
  let result: Json;
  for (const plugin of list.plugins) result = await callPlugin('ADD', call, plugin.type, pluginInput(list, plugin, result));
  return { netns: call.netns, containerId: call.containerId, result };
}

/** DEL through all plugins in reverse. Throws PluginFailed; may be repeated. */
export async function deleteFromNetwork(call: Call, list: NetworkList, result: Json): Promise<void> {
  for (const plugin of list.plugins.toReversed()) await callPlugin('DEL', call, plugin.type, pluginInput(list, plugin, result));
}

/** STATUS of all plugins, where the list's version has it. Throws PluginFailed with what keeps one from serving. */
export async function networkStatus(node: SandboxNode, list: NetworkList): Promise<void> {
  if (list.cniVersion !== '1.1.0') return;
  for (const plugin of list.plugins) {
    const env = { PATH: SEARCH_PATH, CNI_COMMAND: 'STATUS', CNI_PATH: PLUGIN_DIR };
    const input = JSON.stringify(pluginInput(list, plugin));
    const ran = await run(node.enter([`${PLUGIN_DIR}/${plugin.type}`], ['--net', '--mount']), { env, input, timeoutMs: PLUGIN_TIMEOUT_MS });
    if (ran.code !== 0) throw new PluginFailed(plugin.type, 'STATUS', messageIn(ran));
  }
}

async function callPlugin(command: string, { node, pod, netns, containerId, signal }: Call, type: string, input: Json): Promise<Json> {
  const { name, namespace, uid } = pod.metadata;
  const args = {
    IgnoreUnknown: '1',
    K8S_POD_NAMESPACE: namespace,
    K8S_POD_NAME: name,
    K8S_POD_INFRA_CONTAINER_ID: containerId,
    K8S_POD_UID: uid,
  };
  const env = {
    PATH: SEARCH_PATH,
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: Object.entries(args)
      .map(([key, value]) => `${key}=${value}`)
      .join(';'),
    CNI_PATH: PLUGIN_DIR,
  };
  const program = node.enter([`${PLUGIN_DIR}/${type}`], ['--net', '--mount']);
  const ran = await run(program, { env, input: JSON.stringify(input), timeoutMs: PLUGIN_TIMEOUT_MS, ...(signal && { signal }) });
  const output = parsed(ran.stdout);
  if (ran.code === 0 && (command === 'DEL' || output !== undefined)) return output;
  throw new PluginFailed(type, command, messageIn(ran));
}

function messageIn({ code, stdout, stderr }: Ran): string {
  const output = parsed(stdout);
  if (output?.msg === undefined) return stderr.trim() || stdout.trim() || `exit code ${code}`;
  return [output.msg, output.details].filter(Boolean).join('; ');
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
