// SPDX-License-Identifier: Apache-2.0
// The documents by which clients learn what is served: /api, /apis, one list for each group version, and the same as one
// aggregated document.
import type { Json } from './json.ts';
import { byPriority } from './crd.ts';
import type { Registry, Resource } from './resources.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

type Sub = {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
};

const subresourcesOf = (resource: Resource, version: string): readonly Sub[] => {
  const custom = resource.custom?.get(version);
  const modify = ['get', 'patch', 'update'];
  const subs: Sub[] = [];
  if (custom?.status ?? resource.status) subs.push({ name: 'status', kind: resource.kind, verbs: modify });
  if (custom?.scale ?? resource.scale) subs.push({ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: modify });
  if (resource.id === 'pods')
    subs.push(
      { name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
      { name: 'log', kind: 'Pod', verbs: ['get'] },
      { name: 'binding', kind: 'Binding', verbs: ['create'] },
      { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
    );
  if (resource.id === 'serviceaccounts')
    subs.push({ name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] });
  if (resource.id === 'namespaces') subs.push({ name: 'finalize', kind: 'Namespace', verbs: ['update'] });
  return subs;
};

const verbsOf = (resource: Resource): readonly string[] => (resource.createOnly ? ['create'] : VERBS);

type GroupVersion = { readonly group: string; readonly version: string; readonly resources: readonly Resource[] };

/** Every served group version, preferred versions first within a group. */
export const groupVersions = (registry: Registry): readonly GroupVersion[] => {
  const groups = Map.groupBy(registry.all(), (resource) => resource.group);
  return [...groups].flatMap(([group, resources]) => {
    const versions = [...new Set(resources.flatMap((resource) => resource.versions))].sort(byPriority);
    return versions.map((version) => ({ group, version, resources: resources.filter((resource) => resource.versions.includes(version)) }));
  });
};

const groupVersionText = (group: string, version: string): string => (group === '' ? version : `${group}/${version}`);

const apiGroup = (group: string, versions: readonly string[]): Json => {
  const entries = versions.map((version) => ({ groupVersion: groupVersionText(group, version), version }));
  return { name: group, versions: entries, preferredVersion: entries[0] };
};

/** /api */
export const coreVersions = (): Json => ({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] });

/** /apis */
export const apiGroupList = (registry: Registry): Json => {
  const byGroup = Map.groupBy(
    groupVersions(registry).filter(({ group }) => group !== ''),
    ({ group }) => group,
  );
  const groups = [...byGroup].map(([group, entries]) =>
    apiGroup(
      group,
      entries.map(({ version }) => version),
    ),
  );
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
};

/** /apis/GROUP; undefined when there is no such group. */
export const apiGroupOf = (registry: Registry, group: string): Json => {
  const versions = groupVersions(registry)
    .filter((entry) => entry.group === group)
    .map(({ version }) => version);
  return group === '' || versions.length === 0 ? undefined : { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group, versions) };
};

/** /api/v1 and /apis/GROUP/VERSION; undefined when it is not served. */
export const apiResourceList = (registry: Registry, group: string, version: string): Json => {
  const entry = groupVersions(registry).find((one) => one.group === group && one.version === version);
  if (!entry) return undefined;
  const resources = entry.resources.flatMap((resource) => {
    const { plural, singular, namespaced, kind, shortNames, categories } = resource;
    const main = {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: verbsOf(resource),
      ...(shortNames.length > 0 && { shortNames }),
      ...(categories.length > 0 && { categories }),
    };
    return [
      main,
      ...subresourcesOf(resource, version).map(({ name, ...sub }) => ({ name: `${plural}/${name}`, singularName: '', namespaced, ...sub })),
    ];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersionText(group, version), resources };
};

const aggregatedResource = (resource: Resource, group: string, version: string): Json => ({
  resource: resource.plural,
  responseKind: { group, version, kind: resource.kind },
  scope: resource.namespaced ? 'Namespaced' : 'Cluster',
  singularResource: resource.singular,
  verbs: verbsOf(resource),
  ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
  ...(resource.categories.length > 0 && { categories: resource.categories }),
  subresources: subresourcesOf(resource, version).map((sub) => ({
    subresource: sub.name,
    responseKind: { group: sub.group ?? group, version: sub.version ?? version, kind: sub.kind },
    verbs: sub.verbs,
  })),
});

/** /api or /apis as apidiscovery.k8s.io/v2. */
export const aggregated = (registry: Registry, core: boolean): Json => {
  const byGroup = Map.groupBy(
    groupVersions(registry).filter(({ group }) => (group === '') === core),
    ({ group }) => group,
  );
  const items = [...byGroup].map(([group, entries]) => ({
    metadata: { name: group, creationTimestamp: null }, // null: as the real server writes it
    versions: entries.map(({ version, resources }) => ({
      version,
      freshness: 'Current',
      resources: resources.map((resource) => aggregatedResource(resource, group, version)),
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
};
