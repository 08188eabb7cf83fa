// SPDX-License-Identifier: Apache-2.0
// The kinds of objects that the API serves. Built-in kinds are the rows of one table; custom kinds come and go with
// their CustomResourceDefinitions (crd.ts). Everything that differs between kinds and is plain data is here.
import type { Json } from './json.ts';

export type ScalePaths = { readonly spec: string; readonly status: string; readonly selector?: string };

export type PrinterColumn = {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly jsonPath: string;
};

/** What a CRD says about one of its versions. */
export type CustomVersion = {
  readonly schema: Json;
  readonly columns: readonly PrinterColumn[] | undefined;
  readonly status: boolean;
  readonly scale: ScalePaths | undefined;
};

export type Resource = {
  /** plural, or plural.group */
  readonly id: string;
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Served versions, preferred first. */
  readonly versions: readonly string[];
  readonly storageVersion: string;
  /** Main writes ignore the status, and writes to /status ignore the rest. */
  readonly status: boolean;
  readonly scale: ScalePaths | undefined;
  /** metadata.generation counts changes of anything but metadata and status. */
  readonly generation: boolean;
  /** Only POST: an answer, nothing stored (SelfSubjectAccessReview). */
  readonly createOnly: boolean;
  /** Serves the objects of another resource in another shape (events.events.k8s.io). */
  readonly viewOf: string | undefined;
  /** By version; undefined for built-in kinds. */
  readonly custom: ReadonlyMap<string, CustomVersion> | undefined;
};

type Row = Partial<Omit<Resource, 'id' | 'group' | 'custom' | 'singular'>> & {
  readonly plural: string;
  readonly kind: string;
  readonly version?: string;
};

const resourceOf = (group: string, row: Row): Resource => {
  const version = row.version ?? 'v1';
  return {
    id: group === '' ? row.plural : `${row.plural}.${group}`,
    group,
    plural: row.plural,
    singular: row.kind.toLowerCase(),
    kind: row.kind,
    shortNames: row.shortNames ?? [],
    categories: row.categories ?? [],
    namespaced: row.namespaced ?? true,
    versions: [version],
    storageVersion: version,
    status: row.status ?? false,
    scale: row.scale,
    generation: row.generation ?? false,
    createOnly: row.createOnly ?? false,
    viewOf: row.viewOf,
    custom: undefined,
  };
};

const all = ['all'];
const scale = { spec: '.spec.replicas', status: '.status.replicas', selector: '.spec.selector' };
const workload = { status: true, generation: true, categories: all };

const builtIn: readonly Resource[] = Object.entries({
  '': [
    { plural: 'namespaces', kind: 'Namespace', shortNames: ['ns'], namespaced: false, status: true },
    { plural: 'nodes', kind: 'Node', shortNames: ['no'], namespaced: false, status: true },
    { plural: 'pods', kind: 'Pod', shortNames: ['po'], categories: all, status: true, generation: true },
    { plural: 'services', kind: 'Service', shortNames: ['svc'], categories: all, status: true },
    { plural: 'endpoints', kind: 'Endpoints', shortNames: ['ep'] },
    { plural: 'replicationcontrollers', kind: 'ReplicationController', shortNames: ['rc'], ...workload, scale },
    { plural: 'configmaps', kind: 'ConfigMap', shortNames: ['cm'] },
    { plural: 'secrets', kind: 'Secret' },
    { plural: 'serviceaccounts', kind: 'ServiceAccount', shortNames: ['sa'] },
    { plural: 'events', kind: 'Event', shortNames: ['ev'] },
    { plural: 'limitranges', kind: 'LimitRange', shortNames: ['limits'] },
    { plural: 'resourcequotas', kind: 'ResourceQuota', shortNames: ['quota'], status: true },
  ],
  'events.k8s.io': [{ plural: 'events', kind: 'Event', shortNames: ['ev'], viewOf: 'events' }],
  apps: [
    { plural: 'deployments', kind: 'Deployment', shortNames: ['deploy'], ...workload, scale },
    { plural: 'daemonsets', kind: 'DaemonSet', shortNames: ['ds'], ...workload },
    { plural: 'replicasets', kind: 'ReplicaSet', shortNames: ['rs'], ...workload, scale },
    { plural: 'statefulsets', kind: 'StatefulSet', shortNames: ['sts'], ...workload, scale },
    { plural: 'controllerrevisions', kind: 'ControllerRevision' },
  ],
  batch: [
    { plural: 'jobs', kind: 'Job', ...workload },
    { plural: 'cronjobs', kind: 'CronJob', shortNames: ['cj'], ...workload },
  ],
  'discovery.k8s.io': [{ plural: 'endpointslices', kind: 'EndpointSlice', generation: true }],
  'networking.k8s.io': [
    { plural: 'networkpolicies', kind: 'NetworkPolicy', shortNames: ['netpol'], generation: true },
    { plural: 'ingresses', kind: 'Ingress', shortNames: ['ing'], status: true, generation: true },
    { plural: 'ingressclasses', kind: 'IngressClass', namespaced: false, generation: true },
  ],
  'coordination.k8s.io': [{ plural: 'leases', kind: 'Lease' }],
  'scheduling.k8s.io': [{ plural: 'priorityclasses', kind: 'PriorityClass', shortNames: ['pc'], namespaced: false, generation: true }],
  policy: [{ plural: 'poddisruptionbudgets', kind: 'PodDisruptionBudget', shortNames: ['pdb'], status: true, generation: true }],
  'rbac.authorization.k8s.io': [
    { plural: 'clusterroles', kind: 'ClusterRole', namespaced: false },
    { plural: 'clusterrolebindings', kind: 'ClusterRoleBinding', namespaced: false },
    { plural: 'roles', kind: 'Role' },
    { plural: 'rolebindings', kind: 'RoleBinding' },
  ],
  'authorization.k8s.io': [
    { plural: 'selfsubjectaccessreviews', kind: 'SelfSubjectAccessReview', namespaced: false, createOnly: true },
    { plural: 'selfsubjectrulesreviews', kind: 'SelfSubjectRulesReview', namespaced: false, createOnly: true },
  ],
  'authentication.k8s.io': [{ plural: 'selfsubjectreviews', kind: 'SelfSubjectReview', namespaced: false, createOnly: true }],
  'apiextensions.k8s.io': [
    {
      plural: 'customresourcedefinitions',
      kind: 'CustomResourceDefinition',
      shortNames: ['crd', 'crds'],
      namespaced: false,
      status: true,
      generation: true,
      categories: ['api-extensions'],
    },
  ],
} satisfies Record<string, readonly Row[]>).flatMap(([group, rows]) => rows.map((row) => resourceOf(group, row)));

/** The one registry of a server. Reads see a CRD as soon as its creation has returned. */
export type Registry = {
  all(): readonly Resource[];
  byId(id: string): Resource | undefined;
  /** The resource served at /apis/GROUP/VERSION/PLURAL. */
  served(group: string, version: string, plural: string): Resource | undefined;
  byKind(group: string, kind: string): Resource | undefined;
  /** Adds or replaces a custom resource. */
  put(resource: Resource): void;
  remove(id: string): void;
  /** Grows with every change: discovery documents are cached by it. */
  revision(): number;
};

export const createRegistry = (): Registry => {
  const byId = new Map(builtIn.map((resource) => [resource.id, resource]));
  let revision = 1;
  return {
    all: () => [...byId.values()],
    byId: (id) => byId.get(id),
    served(group, version, plural) {
      const resource = byId.get(group === '' ? plural : `${plural}.${group}`);
      return resource?.versions.includes(version) ? resource : undefined;
    },
    byKind: (group, kind) => [...byId.values()].find((resource) => resource.group === group && resource.kind === kind),
    put(resource) {
      byId.set(resource.id, resource);
      revision += 1;
    },
    remove(id) {
      byId.delete(id);
      revision += 1;
    },
    revision: () => revision,
  };
};

export const apiVersionOf = (resource: Resource, version = resource.storageVersion): string =>
  resource.group === '' ? version : `${resource.group}/${version}`;
