// SPDX-License-Identifier: Apache-2.0
// Defaults of the built-in kinds that clients rely on, written into the object in place before admission.
import type { Json } from './json.ts';
import type { Resource } from './resources.ts';

/** Sets each missing field. */
const fill = (object: Json, fields: Readonly<Record<string, Json>>): void => {
  for (const [name, value] of Object.entries(fields)) if (object[name] === undefined) object[name] = structuredClone(value);
};

/** The list at a field, or an empty one. */
const each = (list: Json): readonly Json[] => (Array.isArray(list) ? list : []);

const fillProbe = (probe: Json): void => {
  if (!probe) return;
  fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
  if (probe.httpGet) fill(probe.httpGet, { path: '/', scheme: 'HTTP' });
};

const fillContainer = (container: Json, hostNetwork: boolean): void => {
  const image = String(container.image ?? '');
  const tag = image.includes('@') ? 'digest' : (/:([^/:]+)$/.exec(image)?.[1] ?? 'latest');
  fill(container, {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: tag === 'latest' ? 'Always' : 'IfNotPresent',
  });
  for (const port of each(container.ports)) fill(port, { protocol: 'TCP', ...(hostNetwork && { hostPort: port.containerPort }) });
  for (const env of each(container.env)) if (env.valueFrom?.fieldRef) fill(env.valueFrom.fieldRef, { apiVersion: 'v1' });
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) fillProbe(probe);
};

const fillPodSpec = (spec: Json): void => {
  if (!spec) return;
  fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  });
  if (spec.serviceAccountName !== undefined) fill(spec, { serviceAccount: spec.serviceAccountName });
  for (const container of [...each(spec.initContainers), ...each(spec.containers)]) fillContainer(container, spec.hostNetwork === true);
  for (const volume of each(spec.volumes)) {
    for (const source of [volume.configMap, volume.secret, volume.projected, volume.downwardAPI])
      if (source) fill(source, { defaultMode: 420 });
    if (volume.hostPath) fill(volume.hostPath, { type: '' });
  }
};

const fillService = ({ spec }: Json): void => {
  if (!spec) return;
  fill(spec, { type: 'ClusterIP', sessionAffinity: 'None' });
  if (spec.sessionAffinity === 'ClientIP') fill(spec, { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } } });
  if (spec.type !== 'ExternalName') fill(spec, { internalTrafficPolicy: 'Cluster' });
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer' || each(spec.externalIPs).length > 0)
    fill(spec, { externalTrafficPolicy: 'Cluster' });
  if (spec.type === 'LoadBalancer') fill(spec, { allocateLoadBalancerNodePorts: true });
  for (const port of each(spec.ports)) {
    fill(port, { protocol: 'TCP' });
    if (spec.type !== 'ExternalName') fill(port, { targetPort: port.port });
  }
};

const rolling = (maxUnavailable: Json, maxSurge: Json): Json => ({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable, maxSurge } });

const fillStrategy = (spec: Json, field: string, strategy: Json): void => {
  fill(spec, { [field]: strategy });
  fill(spec[field], { type: strategy.type });
  if (spec[field].type === 'RollingUpdate') {
    fill(spec[field], { rollingUpdate: {} });
    fill(spec[field].rollingUpdate, strategy.rollingUpdate);
  }
};

const fillPod = ({ spec }: Json): void => {
  if (!spec) return;
  fill(spec, { serviceAccountName: 'default', enableServiceLinks: true, preemptionPolicy: 'PreemptLowerPriority', priority: 0 });
  fillPodSpec(spec);
  for (const container of [...each(spec.initContainers), ...each(spec.containers)]) {
    const { limits, requests } = container.resources;
    if (limits) container.resources.requests = { ...limits, ...requests };
  }
};

const fillTemplate = (spec: Json): void => {
  fillPodSpec(spec?.template?.spec);
};

const fillers: Readonly<Record<string, (object: Json) => void>> = {
  pods: fillPod,
  services: fillService,
  namespaces(object) {
    fill(object, { spec: {}, status: {} });
    fill(object.spec, { finalizers: ['kubernetes'] });
    fill(object.status, { phase: 'Active' });
    object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
  },
  nodes(object) {
    fill(object, { spec: {}, status: {} });
  },
  endpoints({ subsets }) {
    for (const subset of each(subsets)) for (const port of each(subset.ports)) fill(port, { protocol: 'TCP' });
  },
  secrets(object) {
    fill(object, { type: 'Opaque' });
    if (!object.stringData) return;
    object.data = { ...object.data };
    for (const [key, text] of Object.entries(object.stringData)) object.data[key] = Buffer.from(String(text)).toString('base64');
    delete object.stringData;
  },
  'endpointslices.discovery.k8s.io'({ ports }) {
    for (const port of each(ports)) fill(port, { name: '', protocol: 'TCP' });
  },
  'networkpolicies.networking.k8s.io'({ spec }) {
    if (!spec) return;
    fill(spec, { policyTypes: each(spec.egress).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'] });
    for (const rule of [...each(spec.ingress), ...each(spec.egress)]) for (const port of each(rule.ports)) fill(port, { protocol: 'TCP' });
  },
  'deployments.apps'({ spec }) {
    if (!spec) return;
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
    fillStrategy(spec, 'strategy', rolling('25%', '25%'));
    fillTemplate(spec);
  },
  'daemonsets.apps'({ spec }) {
    if (!spec) return;
    fill(spec, { revisionHistoryLimit: 10 });
    fillStrategy(spec, 'updateStrategy', rolling(1, 0));
    fillTemplate(spec);
  },
  'replicasets.apps'({ spec }) {
    if (!spec) return;
    fill(spec, { replicas: 1 });
    fillTemplate(spec);
  },
  'statefulsets.apps'({ spec }) {
    if (!spec) return;
    fill(spec, { replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: 'OrderedReady' });
    fillStrategy(spec, 'updateStrategy', { type: 'RollingUpdate', rollingUpdate: { partition: 0 } });
    fillTemplate(spec);
  },
  'jobs.batch'({ spec }) {
    if (!spec) return;
    fill(spec, { parallelism: 1, completions: 1, backoffLimit: 6, completionMode: 'NonIndexed', suspend: false });
    fillTemplate(spec);
  },
  'clusterrolebindings.rbac.authorization.k8s.io'({ subjects, roleRef }) {
    if (roleRef) fill(roleRef, { apiGroup: 'rbac.authorization.k8s.io' });
    for (const subject of each(subjects)) if (subject.kind !== 'ServiceAccount') fill(subject, { apiGroup: 'rbac.authorization.k8s.io' });
  },
  'rolebindings.rbac.authorization.k8s.io'(object) {
    fillers['clusterrolebindings.rbac.authorization.k8s.io']?.(object);
  },
  'customresourcedefinitions.apiextensions.k8s.io'({ spec }) {
    if (!spec?.names) return;
    fill(spec, { conversion: { strategy: 'None' } });
    fill(spec.names, { singular: String(spec.names.kind).toLowerCase(), listKind: `${spec.names.kind}List` });
  },
};

/** What the status of a new object is, whatever its creator wrote; undefined: drop it. Nodes may bring their own. */
export const initialStatus = (resource: Resource, given: Json): Json => {
  if (resource.id === 'nodes') return given ?? {};
  if (resource.id === 'pods') return { phase: 'Pending' };
  if (resource.id === 'namespaces') return { phase: 'Active' };
  if (resource.id === 'services' || resource.id === 'ingresses.networking.k8s.io') return { loadBalancer: {} };
  return resource.custom ? undefined : {};
};

/** Writes the defaults of a built-in kind into the object; other kinds are left alone. Expects decoded types. */
export const setDefaults = (resource: Resource, object: Json): void => fillers[resource.id]?.(object);
