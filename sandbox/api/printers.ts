// SPDX-License-Identifier: Apache-2.0
// The columns of `kubectl get` for the built-in kinds, as users know them. Priority 1 shows with -o wide.
import { age, count, created, list, name, NONE, pairs, since, text } from './cells.ts';
import type { Column } from './cells.ts';
import type { Json, KubeObject } from './json.ts';
import { podColumns } from './pod-printer.ts';
import { selectorText } from './selectors.ts';

const selector = text('Selector', ({ spec }) => selectorText(spec?.selector) || NONE, true);
const containers = text('Containers', ({ spec }) => list(spec?.template?.spec?.containers?.map((container: Json) => container.name)), true);
const images = text('Images', ({ spec }) => list(spec?.template?.spec?.containers?.map((container: Json) => container.image)), true);

const nodeStatus = ({ spec, status }: KubeObject): string => {
  const ready = status?.conditions?.find((condition: Json) => condition.type === 'Ready');
  const word = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown';
  return spec?.unschedulable ? `${word},SchedulingDisabled` : word;
};

const nodeRoles = ({ metadata }: KubeObject): string => {
  const prefix = 'node-role.kubernetes.io/';
  return list(
    Object.keys(metadata.labels ?? {})
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .sort(),
  );
};
const nodeAddress =
  (type: string): Column['cell'] =>
  ({ status }) =>
    status?.addresses?.find((address: Json) => address.type === type)?.address ?? NONE;

const node: readonly Column[] = [
  name,
  text('Status', nodeStatus),
  text('Roles', nodeRoles),
  age,
  text('Version', ({ status }) => status?.nodeInfo?.kubeletVersion ?? ''),
  text('Internal-IP', nodeAddress('InternalIP'), true),
  text('External-IP', nodeAddress('ExternalIP'), true),
  text('OS-Image', ({ status }) => status?.nodeInfo?.osImage || '<unknown>', true),
  text('Kernel-Version', ({ status }) => status?.nodeInfo?.kernelVersion || '<unknown>', true),
  text('Container-Runtime', ({ status }) => status?.nodeInfo?.containerRuntimeVersion || '<unknown>', true),
];

const externalIp = ({ spec, status }: KubeObject): string => {
  const outside: readonly string[] = spec.externalIPs ?? [];
  if (spec.type === 'ExternalName') return spec.externalName;
  if (spec.type !== 'LoadBalancer') return list(outside);
  const given = (status?.loadBalancer?.ingress ?? []).map((ingress: Json) => ingress.ip ?? ingress.hostname);
  const both = [...given, ...outside];
  return both.length > 0 ? both.join(',') : '<pending>';
};

const service: readonly Column[] = [
  name,
  text('Type', ({ spec }) => spec.type),
  text('Cluster-IP', ({ spec }) => spec.clusterIP || NONE),
  text('External-IP', externalIp),
  text('Port(s)', ({ spec }) =>
    list(
      spec.ports?.map((port: Json) => (port.nodePort ? `${port.port}:${port.nodePort}/${port.protocol}` : `${port.port}/${port.protocol}`)),
    ),
  ),
  age,
  text('Selector', ({ spec }) => pairs(spec.selector), true),
];

const some = (items: readonly Json[], limit: number): string =>
  items.length <= limit ? list(items) : `${items.slice(0, limit).join(',')} + ${items.length - limit} more...`;

const slice: readonly Column[] = [
  name,
  text('AddressType', (object) => object['addressType']),
  text('Ports', (object) =>
    object['ports']?.length
      ? some(
          object['ports'].map((port: Json) => port.port ?? '*'),
          3,
        )
      : '<unset>',
  ),
  text('Endpoints', (object) =>
    object['endpoints']?.length
      ? some(
          object['endpoints'].flatMap((endpoint: Json) => endpoint.addresses),
          3,
        )
      : '<unset>',
  ),
  age,
];

const endpoints = ({ subsets = [] }: KubeObject): string =>
  some(
    subsets.flatMap(({ addresses = [], ports = [] }: Json) =>
      addresses.flatMap(({ ip }: Json) =>
        ports.length === 0 ? [ip] : ports.map(({ port }: Json) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)),
      ),
    ),
    3,
  );

const eventObject = (event: KubeObject): string =>
  `${String(event['involvedObject']?.kind).toLowerCase()}/${event['involvedObject']?.name}`;
const eventSource = (event: KubeObject): string =>
  [event['source']?.component ?? event['reportingComponent'], event['source']?.host].filter(Boolean).join(', ');

const event: readonly Column[] = [
  text('Last Seen', (object) =>
    since(object['series']?.lastObservedTime ?? object['lastTimestamp'] ?? object['eventTime'] ?? object.metadata.creationTimestamp),
  ),
  text('Type', (object) => object['type'] ?? ''),
  text('Reason', (object) => object['reason'] ?? ''),
  text('Object', eventObject),
  text('Subobject', (object) => object['involvedObject']?.fieldPath ?? '', true),
  text('Source', eventSource, true),
  text('Message', (object) => String(object['message'] ?? '').trim()),
  text('First Seen', (object) => since(object['firstTimestamp'] ?? object['eventTime'] ?? object.metadata.creationTimestamp), true),
  { ...count('Count', (object) => object['series']?.count ?? object['count'] ?? 1), wide: true },
  { ...name, wide: true },
];

const hosts = ({ spec }: KubeObject): string => list(spec?.rules?.map((rule: Json) => rule.host).filter(Boolean)).replace(NONE, '*');
const subjects =
  (kind: string): Column['cell'] =>
  (object) =>
    (object['subjects'] ?? [])
      .filter((subject: Json) => subject.kind === kind)
      .map((subject: Json) => (subject.namespace ? `${subject.namespace}/${subject.name}` : subject.name))
      .join(', ');
const binding: readonly Column[] = [
  name,
  text('Role', ({ roleRef }) => `${roleRef?.kind}/${roleRef?.name}`),
  age,
  text('Users', subjects('User'), true),
  text('Groups', subjects('Group'), true),
  text('ServiceAccounts', subjects('ServiceAccount'), true),
];
const keys = (...fields: readonly string[]): Column =>
  count('Data', (object) => fields.reduce((sum, one) => sum + Object.keys(object[one] ?? {}).length, 0));

/** By resource id. Kinds without a row show Name and Age. */
export const printers: Readonly<Record<string, readonly Column[]>> = {
  pods: podColumns,
  nodes: node,
  services: service,
  events: event,
  namespaces: [name, text('Status', ({ status }) => status?.phase ?? ''), age],
  endpoints: [name, text('Endpoints', endpoints), age],
  configmaps: [name, keys('data', 'binaryData'), age],
  secrets: [name, text('Type', (object) => object['type']), keys('data'), age],
  serviceaccounts: [name, count('Secrets', (object) => object['secrets']?.length ?? 0), age],
  'endpointslices.discovery.k8s.io': slice,
  'deployments.apps': [
    name,
    text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas}`),
    count('Up-to-date', ({ status }) => status?.updatedReplicas ?? 0),
    count('Available', ({ status }) => status?.availableReplicas ?? 0),
    age,
    containers,
    images,
    selector,
  ],
  'daemonsets.apps': [
    name,
    count('Desired', ({ status }) => status?.desiredNumberScheduled ?? 0),
    count('Current', ({ status }) => status?.currentNumberScheduled ?? 0),
    count('Ready', ({ status }) => status?.numberReady ?? 0),
    count('Up-to-date', ({ status }) => status?.updatedNumberScheduled ?? 0),
    count('Available', ({ status }) => status?.numberAvailable ?? 0),
    text('Node Selector', ({ spec }) => pairs(spec.template?.spec?.nodeSelector)),
    age,
    containers,
    images,
    selector,
  ],
  'replicasets.apps': [
    name,
    count('Desired', ({ spec }) => spec.replicas ?? 0),
    count('Current', ({ status }) => status?.replicas ?? 0),
    count('Ready', ({ status }) => status?.readyReplicas ?? 0),
    age,
    containers,
    images,
    selector,
  ],
  'statefulsets.apps': [
    name,
    text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas}`),
    age,
    containers,
    images,
  ],
  'jobs.batch': [
    name,
    text('Status', ({ status }) => status?.conditions?.find((condition: Json) => condition.status === 'True')?.type ?? 'Running'),
    text('Completions', ({ spec, status }) => `${status?.succeeded ?? 0}/${spec.completions ?? 1}`),
    age,
    containers,
    images,
  ],
  'leases.coordination.k8s.io': [name, text('Holder', ({ spec }) => spec?.holderIdentity ?? ''), age],
  'networkpolicies.networking.k8s.io': [name, text('Pod-Selector', ({ spec }) => selectorText(spec?.podSelector) || NONE), age],
  'ingresses.networking.k8s.io': [
    name,
    text('Class', ({ spec }) => spec?.ingressClassName ?? NONE),
    text('Hosts', hosts),
    text('Address', ({ status }) => (status?.loadBalancer?.ingress ?? []).map((one: Json) => one.ip ?? one.hostname).join(',')),
    text('Ports', ({ spec }) => (spec?.tls?.length ? '80, 443' : '80')),
    age,
  ],
  'ingressclasses.networking.k8s.io': [name, text('Controller', ({ spec }) => spec?.controller ?? ''), text('Parameters', () => NONE), age],
  'priorityclasses.scheduling.k8s.io': [
    name,
    count('Value', (object) => object['value'] ?? 0),
    text('Global-Default', (object) => String(object['globalDefault'] ?? false)),
    age,
  ],
  'poddisruptionbudgets.policy': [
    name,
    text('Min Available', ({ spec }) => String(spec?.minAvailable ?? 'N/A')),
    text('Max Unavailable', ({ spec }) => String(spec?.maxUnavailable ?? 'N/A')),
    count('Allowed Disruptions', ({ status }) => status?.disruptionsAllowed ?? 0),
    age,
  ],
  'roles.rbac.authorization.k8s.io': [name, created],
  'clusterroles.rbac.authorization.k8s.io': [name, created],
  'rolebindings.rbac.authorization.k8s.io': binding,
  'clusterrolebindings.rbac.authorization.k8s.io': binding,
  'customresourcedefinitions.apiextensions.k8s.io': [name, created],
};

/** For kinds that nobody wrote columns for. */
export const plainColumns: readonly Column[] = [name, age];
