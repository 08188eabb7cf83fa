// SPDX-License-Identifier: Apache-2.0
// Objects from YAML files into the API.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { StentorError } from '../src/base/errors.ts';
import type { Json } from './api/json.ts';
import type { ResourceName, Store } from './api/store.ts';

const RESOURCES: Readonly<Record<string, ResourceName>> = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  ConfigMap: 'configmaps',
  Secret: 'secrets',
  Service: 'services',
  Pod: 'pods',
  Deployment: 'deployments.apps',
  DaemonSet: 'daemonsets.apps',
  CustomResourceDefinition: 'customresourcedefinitions.apiextensions.k8s.io',
  CiliumIdentity: 'ciliumidentities.cilium.io',
  CiliumEndpoint: 'ciliumendpoints.cilium.io',
  CiliumLocalRedirectPolicy: 'ciliumlocalredirectpolicies.cilium.io',
  CiliumLoadBalancerIPPool: 'ciliumloadbalancerippools.cilium.io',
  CiliumL2AnnouncementPolicy: 'ciliuml2announcementpolicies.cilium.io',
  Gateway: 'gateways.gateway.networking.k8s.io',
  HTTPRoute: 'httproutes.gateway.networking.k8s.io',
};

/** The objects of a file in sandbox/manifests, in their order. */
export async function manifest(file: string): Promise<readonly Json[]> {
  return documents(join(import.meta.dirname, 'manifests', file));
}

/** The objects of a file in sandbox/seed, which is a user's. */
export async function seed(file: string): Promise<readonly Json[]> {
  return documents(join(import.meta.dirname, 'seed', file));
}

/** The kinds that the chart brings along. */
export async function definitions(): Promise<readonly Json[]> {
  const directory = join(import.meta.dirname, '..', 'chart', 'crds');
  return (await Promise.all((await readdir(directory)).toSorted().map((file) => documents(join(directory, file))))).flat();
}

async function documents(path: string): Promise<readonly Json[]> {
  return parseAllDocuments(await readFile(path, 'utf8')).map((document) => document.toJS());
}

/** Creates objects; what exists already is an error. */
export function createAll(store: Store, objects: readonly Json[]): void {
  for (const object of objects) {
    const resource = RESOURCES[object.kind];
    if (resource === undefined)
      throw new StentorError('UNKNOWN_KIND', `Cannot create a ${object.kind}: no manifest of the sandbox had one before`);
    store.create(resource, object);
  }
}

/** The ConfigMaps from which agents and operators read their values: the file as it is, and with garbage collection that does not wait. */
export async function valuesConfigMaps(file: string): Promise<readonly Json[]> {
  const text = await readFile(file, 'utf8');
  const times = ['identityGCInterval: 1s', 'identityHeartbeatTimeout: 2s', 'endpointGCInterval: 1s'];
  const hasty = text.replace(/^operator:$/m, ['operator:', ...times].join('\n  '));
  return Object.entries({ 'stentor-values': text, 'stentor-operator-values': hasty }).map(([name, values]) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'kube-system' },
    data: { 'values.yaml': values },
  }));
}
