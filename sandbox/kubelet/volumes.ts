// SPDX-License-Identifier: Apache-2.0
// Files that a pod's containers see: its volumes, its credentials, its resolv.conf and hosts.
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { StentorError } from '../../src/base/errors.ts';
import type { Store } from '../api/store.ts';
import { CLUSTER } from '../layout.ts';
import type { SandboxNode } from '../node.ts';
import type { Container, Pod, Volume } from '../objects.ts';
import { hostnameOf } from './environment.ts';

/** One bind mount: `source` as the node sees it, `target` in the container. */
export type Mount = { readonly source: string; readonly target: string; readonly readOnly: boolean };

/** The pod has to wait for, or do without, one of its volumes. */
export class MountFailed extends StentorError {
  constructor(message: string) {
    super('MOUNT_FAILED', message);
  }
}

/** What every pod of a cluster gets mounted without asking. */
export type Credentials = { readonly token: string; readonly ca: string };

const CREDENTIALS_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Parts of the file system that each node has for itself: mount points may be made there. */
const PRIVATE = ['/etc', '/opt', '/run', '/var/run', '/var/lib'];

/** Writes the pod's files under `dir` and returns the mounts that all of its containers share. */
export async function podMounts(pod: Pod, podIps: readonly string[], dir: string, credentials: Credentials): Promise<readonly Mount[]> {
  const account = join(dir, 'serviceaccount');
  await writeFiles(account, { token: credentials.token, 'ca.crt': credentials.ca, namespace: pod.metadata.namespace ?? '' });
  const mounts: Mount[] = [{ source: account, target: CREDENTIALS_DIR, readOnly: true }];
  if (usesClusterDns(pod)) {
    await writeFiles(dir, { 'resolv.conf': resolvConf(pod) });
    mounts.push({ source: join(dir, 'resolv.conf'), target: '/etc/resolv.conf', readOnly: false });
  }
  if (pod.spec.hostNetwork !== true) {
    await writeFiles(dir, { hosts: hostsFile(pod, podIps) });
    mounts.push({ source: join(dir, 'hosts'), target: '/etc/hosts', readOnly: false });
  }
  return mounts;
}

const usesClusterDns = ({ spec }: Pod): boolean =>
  spec.dnsPolicy === 'ClusterFirstWithHostNet' || (spec.hostNetwork !== true && spec.dnsPolicy !== 'Default');

const resolvConf = ({ metadata }: Pod): string =>
  [
    `search ${metadata.namespace}.svc.${CLUSTER.domain} svc.${CLUSTER.domain} ${CLUSTER.domain}`,
    `nameserver ${CLUSTER.dnsIp}`,
    'options ndots:5 timeout:2',
    '',
  ].join('\n');

const hostsFile = (pod: Pod, podIps: readonly string[]): string =>
  ['127.0.0.1 localhost', '::1 localhost', ...podIps.map((ip) => `${ip} ${hostnameOf(pod)}`), ''].join('\n');

/** Makes the pod's volumes ready; returns their paths on the node by name. Throws MountFailed. */
export async function volumePaths(store: Store, node: SandboxNode, pod: Pod, dir: string): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) paths.set(volume.name, await volumePath(store, node, pod, { volume, dir }));
  return paths;
}

async function volumePath(store: Store, node: SandboxNode, pod: Pod, { volume, dir }: { volume: Volume; dir: string }): Promise<string> {
  const path = join(dir, 'volumes', volume.name);
  if (volume.hostPath) return hostPath(node, volume.hostPath);
  if (volume.configMap) await writeFiles(path, configFiles(store, pod, volume.configMap));
  else if (volume.emptyDir) await mkdir(path, { recursive: true });
  else throw new MountFailed(`Cannot mount volume "${volume.name}": the sandbox knows configMap, hostPath and emptyDir`);
  return path;
}

async function hostPath(node: SandboxNode, { path, type = '' }: { readonly path: string; readonly type?: string }): Promise<string> {
  if (type === 'DirectoryOrCreate') await makeMountPoint(node, path);
  const found = await stat(node.path(path)).catch(() => undefined);
  if (!found && type !== 'FileOrCreate') throw new MountFailed(`hostPath type check failed: ${path} does not exist on ${node.name}`);
  return path;
}

function configFiles(store: Store, pod: Pod, { name, optional, items }: NonNullable<Volume['configMap']>): Record<string, string> {
  const data = store.get('configmaps', { namespace: pod.metadata.namespace ?? '', name })?.['data'];
  if (data === undefined && optional !== true) throw new MountFailed(`configmap "${name}" not found`);
  if (items === undefined) return data ?? {};
  return Object.fromEntries(items.map(({ key, path }) => [path, data?.[key] ?? '']));
}

/** The volume mounts of one container. Throws MountFailed where a mount point would have to be made on the machine. */
export async function containerMounts(
  node: SandboxNode,
  container: Container,
  paths: ReadonlyMap<string, string>,
): Promise<readonly Mount[]> {
  const mounts: Mount[] = [];
  for (const { name, mountPath, subPath = '', readOnly = false } of container.volumeMounts ?? []) {
    const path = paths.get(name);
    if (path === undefined)
      throw new MountFailed(`Cannot mount "${name}" in container "${container.name}": the pod has no volume of that name`);
    await makeMountPoint(node, mountPath, subPath === '' ? mountPath : dirname(mountPath));
    mounts.push({ source: join(path, subPath), target: mountPath, readOnly });
  }
  return mounts;
}

async function makeMountPoint(node: SandboxNode, path: string, directory = path): Promise<void> {
  const exists = await stat(node.path(path)).then(
    () => true,
    () => false,
  );
  if (exists) return;
  const clean = normalize(directory);
  if (!PRIVATE.some((prefix) => clean === prefix || clean.startsWith(`${prefix}/`)))
    throw new MountFailed(
      `Cannot mount at ${path}: there are no images, so it must exist on this machine or lie under ${PRIVATE.join(', ')}`,
    );
  await mkdir(node.path(clean), { recursive: true });
}

async function writeFiles(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}
