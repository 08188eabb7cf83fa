// SPDX-License-Identifier: Apache-2.0
// The fields of the built-in kinds, as one table. From it come: the check of types and unknown fields (decode.ts), how
// lists merge in strategic merge patches and server-side apply, and the OpenAPI document.
//
//   name:string   int  bool  number  time  intstr (80 or "http")  quantity (2 or "500m")  bytes  map (string → string)
//   name:any      anything        name:Shape  a row of this table        name:T{}  a map of T
//   name:T[]      a list that is replaced whole                          name:T[*] a set: patches add to it
//   name:T[k,l]   a list of objects known by k (strategic merge) and by k and l together (apply)
//   @Shape        the fields of that row stand here
//   …=7           the field's number in protobuf, in which kubectl writes some built-in kinds (protobuf.ts)
import type { Resource } from './resources.ts';

type ListKind = { readonly kind: 'atomic' } | { readonly kind: 'set' } | { readonly kind: 'map'; readonly keys: readonly string[] };

export type Shape = {
  readonly kind: 'shape';
  readonly name: string;
  readonly fields: ReadonlyMap<string, FieldType>;
  /** By protobuf number: the field's name, or the shape whose fields stand here in JSON. */
  readonly numbers: ReadonlyMap<number, string | Shape>;
};

export type FieldType =
  | { readonly kind: 'scalar'; readonly name: string }
  | Shape
  | { readonly kind: 'mapOf'; readonly value: FieldType }
  | { readonly kind: 'list'; readonly of: FieldType; readonly merge: ListKind };

const table = {
  Meta: `name:string=1 namespace:string=3 generateName:string=2 uid:string=5 resourceVersion:string=6 generation:int=7 creationTimestamp:time=8
    deletionTimestamp:time=9 deletionGracePeriodSeconds:int=10 labels:map=11 annotations:map=12 finalizers:string[*]=14 selfLink:string=4
    ownerReferences:OwnerReference[uid]=13 managedFields:any[]=17`,
  OwnerReference: `apiVersion:string=5 kind:string=1 name:string=3 uid:string=4 controller:bool=6 blockOwnerDeletion:bool=7`,
  LocalReference: `name:string=1`,
  ObjectReference: `kind:string=1 namespace:string=2 name:string=3 uid:string=4 apiVersion:string=5 resourceVersion:string=6 fieldPath:string=7`,
  Subject: `kind:string=1 apiGroup:string=2 name:string=3 namespace:string=4`,
  RoleRef: `apiGroup:string=1 kind:string=2 name:string=3`,
  LabelSelector: `matchLabels:map=1 matchExpressions:Requirement[]=2`,
  Requirement: `key:string=1 operator:string=2 values:string[]=3`,
  Condition: `type:string status:string reason:string message:string observedGeneration:int lastTransitionTime:time lastUpdateTime:time
    lastProbeTime:time lastHeartbeatTime:time`,

  Namespace: `spec:NamespaceSpec=2 status:NamespaceStatus=3`,
  NamespaceSpec: `finalizers:string[]=1`,
  NamespaceStatus: `phase:string=1 conditions:Condition[type]=2`,
  Node: `spec:NodeSpec=2 status:NodeStatus=3`,
  NodeSpec: `podCIDR:string=1 podCIDRs:string[*]=7 providerID:string=3 unschedulable:bool=4 taints:Taint[]=5 configSource:any=6 externalID:string=2`,
  Taint: `key:string=1 value:string=2 effect:string=3 timeAdded:time=4`,
  NodeStatus: `capacity:quantity{}=1 allocatable:quantity{}=2 phase:string=3 conditions:Condition[type]=4 addresses:NodeAddress[type]=5
    daemonEndpoints:any=6 nodeInfo:NodeInfo=7 images:any[]=8 volumesInUse:string[]=9 volumesAttached:any[]=10 config:any=11 runtimeHandlers:any[]=12
    features:any=13`,
  NodeAddress: `type:string=1 address:string=2`,
  NodeInfo: `machineID:string=1 systemUUID:string=2 bootID:string=3 kernelVersion:string=4 osImage:string=5 containerRuntimeVersion:string=6
    kubeletVersion:string=7 kubeProxyVersion:string=8 operatingSystem:string=9 architecture:string=10 swap:any`,

  Pod: `spec:PodSpec=2 status:PodStatus=3`,
  PodSpec: `containers:Container[name]=2 initContainers:Container[name]=20 ephemeralContainers:Container[name]=34 volumes:Volume[name]=1
    restartPolicy:string=3 terminationGracePeriodSeconds:int=4 activeDeadlineSeconds:int=5 dnsPolicy:string=6 dnsConfig:DnsConfig=26
    nodeSelector:map=7 serviceAccountName:string=8 serviceAccount:string=9 automountServiceAccountToken:bool=21 nodeName:string=10
    hostNetwork:bool=11 hostPID:bool=12 hostIPC:bool=13 hostUsers:bool=37 shareProcessNamespace:bool=27 securityContext:PodSecurityContext=14
    imagePullSecrets:LocalReference[name]=15 hostname:string=16 subdomain:string=17 hostnameOverride:string affinity:any=18 schedulerName:string=19
    tolerations:Toleration[]=22 hostAliases:HostAlias[ip]=23 priorityClassName:string=24 priority:int=25 readinessGates:any[]=28
    runtimeClassName:string=29 enableServiceLinks:bool=30 preemptionPolicy:string=31 overhead:quantity{}=32
    topologySpreadConstraints:Spread[topologyKey,whenUnsatisfiable]=33 setHostnameAsFQDN:bool=35 os:LocalReference=36
    schedulingGates:LocalReference[name]=38 resourceClaims:any[name]=39 resources:Resources=40`,
  DnsConfig: `nameservers:string[]=1 searches:string[]=2 options:NameValue[]=3`,
  NameValue: `name:string=1 value:string=2`,
  PodSecurityContext: `seLinuxOptions:any=1 windowsOptions:any=8 runAsUser:int=2 runAsGroup:int=6 runAsNonRoot:bool=3 supplementalGroups:int[]=4
    supplementalGroupsPolicy:string=12 fsGroup:int=5 sysctls:NameValue[]=7 fsGroupChangePolicy:string=9 seccompProfile:any=10 appArmorProfile:any=11
    seLinuxChangePolicy:string=13`,
  Toleration: `key:string=1 operator:string=2 value:string=3 effect:string=4 tolerationSeconds:int=5`,
  HostAlias: `ip:string=1 hostnames:string[]=2`,
  Spread: `maxSkew:int=1 topologyKey:string=2 whenUnsatisfiable:string=3 labelSelector:LabelSelector=4 minDomains:int=5 nodeAffinityPolicy:string=6
    nodeTaintsPolicy:string=7 matchLabelKeys:string[]=8`,
  Container: `name:string=1 image:string=2 command:string[]=3 args:string[]=4 workingDir:string=5 ports:ContainerPort[containerPort,protocol]=6
    envFrom:any[]=19 env:EnvVar[name]=7 resources:Resources=8 resizePolicy:any[]=23 restartPolicy:string=24 restartPolicyRules:any[]
    volumeMounts:VolumeMount[mountPath]=9 volumeDevices:any[devicePath]=21 livenessProbe:Probe=10 readinessProbe:Probe=11 startupProbe:Probe=22
    lifecycle:Lifecycle=12 terminationMessagePath:string=13 terminationMessagePolicy:string=20 imagePullPolicy:string=14
    securityContext:SecurityContext=15 stdin:bool=16 stdinOnce:bool=17 tty:bool=18 targetContainerName:string`,
  ContainerPort: `name:string=1 hostPort:int=2 containerPort:int=3 protocol:string=4 hostIP:string=5`,
  EnvVar: `name:string=1 value:string=2 valueFrom:EnvSource=3`,
  EnvSource: `fieldRef:FieldRef=1 resourceFieldRef:any=2 configMapKeyRef:KeyRef=3 secretKeyRef:KeyRef=4 fileKeyRef:any`,
  FieldRef: `apiVersion:string=1 fieldPath:string=2`,
  KeyRef: `@LocalReference=1 key:string=2 optional:bool=3`,
  Resources: `limits:quantity{}=1 requests:quantity{}=2 claims:any[name]=3`,
  VolumeMount: `name:string=1 readOnly:bool=2 recursiveReadOnly:string=7 mountPath:string=3 subPath:string=4 mountPropagation:string=5
    subPathExpr:string=6`,
  Probe: `@ProbeHandler=1 initialDelaySeconds:int=2 timeoutSeconds:int=3 periodSeconds:int=4 successThreshold:int=5 failureThreshold:int=6
    terminationGracePeriodSeconds:int=7`,
  ProbeHandler: `exec:ExecAction=1 httpGet:HttpGet=2 tcpSocket:TcpSocket=3 grpc:any=4`,
  ExecAction: `command:string[]=1`,
  HttpGet: `path:string=1 port:intstr=2 host:string=3 scheme:string=4 httpHeaders:NameValue[]=5`,
  TcpSocket: `port:intstr=1 host:string=2`,
  Lifecycle: `postStart:Handler=1 preStop:Handler=2 stopSignal:string`,
  Handler: `exec:ExecAction=1 httpGet:HttpGet=2 tcpSocket:TcpSocket=3 sleep:any=4`,
  SecurityContext: `capabilities:Capabilities=1 privileged:bool=2 seLinuxOptions:any=3 windowsOptions:any=10 runAsUser:int=4 runAsGroup:int=8
    runAsNonRoot:bool=5 readOnlyRootFilesystem:bool=6 allowPrivilegeEscalation:bool=7 procMount:string=9 seccompProfile:any=11 appArmorProfile:any=12`,
  Capabilities: `add:string[]=1 drop:string[]=2`,
  Volume: `name:string=1 @VolumeSource=2`,
  VolumeSource: `hostPath:HostPath=1 emptyDir:any=2 secret:any=6 nfs:any=7 iscsi:any=8 persistentVolumeClaim:any=10 downwardAPI:any=16 fc:any=17
    configMap:any=19 projected:any=26 csi:any=28 ephemeral:any=29 image:any=30`,
  HostPath: `path:string=1 type:string=2`,
  PodStatus: `phase:string conditions:Condition[type] message:string reason:string nominatedNodeName:string hostIP:string hostIPs:IpEntry[]
    podIP:string podIPs:IpEntry[ip] startTime:time initContainerStatuses:ContainerStatus[] containerStatuses:ContainerStatus[]
    ephemeralContainerStatuses:ContainerStatus[] qosClass:string resize:string resourceClaimStatuses:any[] observedGeneration:int`,
  IpEntry: `ip:string`,
  ContainerStatus: `name:string state:any lastState:any ready:bool restartCount:int image:string imageID:string containerID:string started:bool
    allocatedResources:quantity{} resources:any volumeMounts:any[] user:any allocatedResourcesStatus:any[] stopSignal:string`,
  PodTemplate: `metadata:Meta=1 spec:PodSpec=2`,

  Service: `spec:ServiceSpec=2 status:ServiceStatus=3`,
  ServiceSpec: `ports:ServicePort[port,protocol]=1 selector:map=2 clusterIP:string=3 clusterIPs:string[]=18 type:string=4 externalIPs:string[]=5
    sessionAffinity:string=7 loadBalancerIP:string=8 loadBalancerSourceRanges:string[]=9 externalName:string=10 externalTrafficPolicy:string=11
    healthCheckNodePort:int=12 publishNotReadyAddresses:bool=13 sessionAffinityConfig:any=14 ipFamilies:string[]=19 ipFamilyPolicy:string=17
    allocateLoadBalancerNodePorts:bool=20 loadBalancerClass:string=21 internalTrafficPolicy:string=22 trafficDistribution:string=23`,
  ServicePort: `name:string=1 protocol:string=2 appProtocol:string=6 port:int=3 targetPort:intstr=4 nodePort:int=5`,
  ServiceStatus: `loadBalancer:LoadBalancerStatus=1 conditions:Condition[type]=2`,
  LoadBalancerStatus: `ingress:any[]=1`,
  Endpoints: `subsets:any[]=2`,
  ReplicationController: `spec:any=2 status:any=3`,
  ConfigMap: `immutable:bool=4 data:map=2 binaryData:bytes{}=3`,
  Secret: `immutable:bool=5 data:bytes{}=2 stringData:map=4 type:string=3`,
  ServiceAccount: `secrets:ObjectReference[name]=2 imagePullSecrets:LocalReference[]=3 automountServiceAccountToken:bool=4`,
  Event: `involvedObject:ObjectReference=2 reason:string=3 message:string=4 source:any=5 firstTimestamp:time=6 lastTimestamp:time=7 count:int=8
    type:string=9 eventTime:time=10 series:any=11 action:string=12 related:any=13 reportingComponent:string=14 reportingInstance:string=15`,
  LimitRange: `spec:any=2`,
  ResourceQuota: `spec:QuotaSpec=2 status:any=3`,
  QuotaSpec: `hard:quantity{}=1 scopes:string[]=2 scopeSelector:any=3`,

  Deployment: `spec:DeploymentSpec=2 status:DeploymentStatus=3`,
  DeploymentSpec: `replicas:int=1 selector:LabelSelector=2 template:PodTemplate=3 strategy:Strategy=4 minReadySeconds:int=5
    revisionHistoryLimit:int=6 paused:bool=7 progressDeadlineSeconds:int=9`,
  Strategy: `type:string=1 rollingUpdate:RollingUpdate=2`,
  RollingUpdate: `maxUnavailable:intstr=1 maxSurge:intstr=2 partition:int`,
  DeploymentStatus: `observedGeneration:int=1 replicas:int=2 updatedReplicas:int=3 readyReplicas:int=7 availableReplicas:int=4
    unavailableReplicas:int=5 terminatingReplicas:int conditions:Condition[type]=6 collisionCount:int=8`,
  DaemonSet: `spec:DaemonSetSpec=2 status:DaemonSetStatus=3`,
  DaemonSetSpec: `selector:LabelSelector=1 template:PodTemplate=2 updateStrategy:Strategy=3 minReadySeconds:int=4 revisionHistoryLimit:int=6`,
  DaemonSetStatus: `currentNumberScheduled:int=1 numberMisscheduled:int=2 desiredNumberScheduled:int=3 numberReady:int=4 observedGeneration:int=5
    updatedNumberScheduled:int=6 numberAvailable:int=7 numberUnavailable:int=8 collisionCount:int=9 conditions:Condition[type]=10`,
  ReplicaSet: `spec:ReplicaSetSpec=2 status:ReplicaSetStatus=3`,
  ReplicaSetSpec: `replicas:int=1 minReadySeconds:int=4 selector:LabelSelector=2 template:PodTemplate=3`,
  ReplicaSetStatus: `replicas:int=1 fullyLabeledReplicas:int=2 readyReplicas:int=4 availableReplicas:int=5 terminatingReplicas:int
    observedGeneration:int=3 conditions:Condition[type]=6`,
  StatefulSet: `spec:StatefulSetSpec=2 status:any=3`,
  StatefulSetSpec: `replicas:int=1 selector:LabelSelector=2 template:PodTemplate=3 volumeClaimTemplates:any[]=4 serviceName:string=5
    podManagementPolicy:string=6 updateStrategy:Strategy=7 revisionHistoryLimit:int=8 minReadySeconds:int=9
    persistentVolumeClaimRetentionPolicy:any=10 ordinals:any=11`,
  ControllerRevision: `data:any=2 revision:int=3`,
  Job: `spec:JobSpec=2 status:any=3`,
  JobSpec: `parallelism:int=1 completions:int=2 activeDeadlineSeconds:int=3 podFailurePolicy:any=11 successPolicy:any=16 backoffLimit:int=7
    backoffLimitPerIndex:int=12 maxFailedIndexes:int=13 selector:LabelSelector=4 manualSelector:bool=5 template:PodTemplate=6
    ttlSecondsAfterFinished:int=8 completionMode:string=9 suspend:bool=10 podReplacementPolicy:string=14 managedBy:string=15`,
  CronJob: `spec:CronJobSpec=2 status:any=3`,
  CronJobSpec: `schedule:string=1 timeZone:string=8 startingDeadlineSeconds:int=2 concurrencyPolicy:string=3 suspend:bool=4 jobTemplate:JobTemplate=5
    successfulJobsHistoryLimit:int=6 failedJobsHistoryLimit:int=7`,
  JobTemplate: `metadata:Meta=1 spec:JobSpec=2`,

  EndpointSlice: `addressType:string=4 endpoints:Endpoint[]=2 ports:EndpointPort[]=3`,
  Endpoint: `addresses:string[]=1 conditions:EndpointConditions=2 hostname:string=3 targetRef:ObjectReference=4 deprecatedTopology:map=5
    nodeName:string=6 zone:string=7 hints:any=8`,
  EndpointConditions: `ready:bool=1 serving:bool=2 terminating:bool=3`,
  EndpointPort: `name:string=1 protocol:string=3 port:int=2 appProtocol:string=4`,
  NetworkPolicy: `spec:NetworkPolicySpec=2`,
  NetworkPolicySpec: `podSelector:LabelSelector=1 ingress:IngressRule[]=2 egress:EgressRule[]=3 policyTypes:string[]=4`,
  IngressRule: `ports:PolicyPort[]=1 from:Peer[]=2`,
  EgressRule: `ports:PolicyPort[]=1 to:Peer[]=2`,
  PolicyPort: `protocol:string=1 port:intstr=2 endPort:int=3`,
  Peer: `podSelector:LabelSelector=1 namespaceSelector:LabelSelector=2 ipBlock:IpBlock=3`,
  IpBlock: `cidr:string=1 except:string[]=2`,
  Ingress: `spec:IngressSpec=2 status:any=3`,
  IngressSpec: `ingressClassName:string=4 defaultBackend:IngressBackend=1 tls:IngressTls[]=2 rules:IngressHostRule[]=3`,
  IngressHostRule: `host:string=1 @IngressRuleValue=2`,
  IngressRuleValue: `http:IngressHttp=1`,
  IngressHttp: `paths:IngressPath[]=1`,
  IngressPath: `path:string=1 pathType:string=3 backend:IngressBackend=2`,
  IngressBackend: `service:IngressService=4 resource:any=3`,
  IngressService: `name:string=1 port:IngressPort=2`,
  IngressPort: `name:string=1 number:int=2`,
  IngressTls: `hosts:string[]=1 secretName:string=2`,
  IngressClass: `spec:any=2`,
  Lease: `spec:LeaseSpec=2`,
  LeaseSpec: `holderIdentity:string=1 leaseDurationSeconds:int=2 acquireTime:time=3 renewTime:time=4 leaseTransitions:int=5 strategy:string=6
    preferredHolder:string=7`,
  PriorityClass: `value:int=2 globalDefault:bool=3 description:string=4 preemptionPolicy:string=5`,
  PodDisruptionBudget: `spec:PdbSpec=2 status:any=3`,
  PdbSpec: `minAvailable:intstr=1 selector:LabelSelector=2 maxUnavailable:intstr=3 unhealthyPodEvictionPolicy:string=4`,
  ClusterRole: `rules:PolicyRule[]=2 aggregationRule:any=3`,
  Role: `rules:PolicyRule[]=2`,
  PolicyRule: `verbs:string[]=1 apiGroups:string[]=2 resources:string[]=3 resourceNames:string[]=4 nonResourceURLs:string[]=5`,
  ClusterRoleBinding: `subjects:Subject[]=2 roleRef:RoleRef=3`,
  RoleBinding: `subjects:Subject[]=2 roleRef:RoleRef=3`,
  CustomResourceDefinition: `spec:CrdSpec status:any`,
  CrdSpec: `group:string names:CrdNames scope:string versions:CrdVersion[name] conversion:any preserveUnknownFields:bool`,
  CrdNames: `plural:string singular:string shortNames:string[] kind:string listKind:string categories:string[]`,
  CrdVersion: `name:string served:bool storage:bool deprecated:bool deprecationWarning:string schema:any subresources:any
    additionalPrinterColumns:any[] selectableFields:any[]`,

  SelfSubjectAccessReview: `spec:AccessSpec=2 status:any=3`,
  AccessSpec: `resourceAttributes:ResourceAttributes=1 nonResourceAttributes:NonResourceAttributes=2`,
  ResourceAttributes: `namespace:string=1 verb:string=2 group:string=3 version:string=4 resource:string=5 subresource:string=6 name:string=7
    fieldSelector:any=8 labelSelector:any=9`,
  NonResourceAttributes: `path:string=1 verb:string=2`,
  SelfSubjectRulesReview: `spec:RulesSpec=2 status:any=3`,
  RulesSpec: `namespace:string=1`,
  SelfSubjectReview: `status:any=2`,
  TokenRequest: `spec:TokenSpec=2 status:any=3`,
  TokenSpec: `audiences:string[]=1 boundObjectRef:any=3 expirationSeconds:int=4`,
  Eviction: `deleteOptions:DeleteOptions=2`,
  DeleteOptions: `gracePeriodSeconds:int=1 preconditions:Preconditions=2 orphanDependents:bool=3 propagationPolicy:string=4 dryRun:string[]=5
    ignoreStoreReadErrorWithClusterBreakingPotential:bool=6`,
  Preconditions: `uid:string=1 resourceVersion:string`,
  Binding: `target:ObjectReference=2`,
} as const;

const scalars = new Set(['string', 'int', 'bool', 'number', 'time', 'intstr', 'quantity', 'bytes', 'any']);
const shapes = new Map<string, Shape>();

const typeOf = (text: string): FieldType => {
  const list = /^(\w+)\[(.*)\]$/.exec(text);
  if (list) {
    const [, of = '', keys = ''] = list;
    const merge: ListKind = keys === '' ? { kind: 'atomic' } : keys === '*' ? { kind: 'set' } : { kind: 'map', keys: keys.split(',') };
    return { kind: 'list', of: typeOf(of), merge };
  }
  if (text === 'map') return { kind: 'mapOf', value: { kind: 'scalar', name: 'string' } };
  if (text.endsWith('{}')) return { kind: 'mapOf', value: typeOf(text.slice(0, -2)) };
  if (scalars.has(text)) return { kind: 'scalar', name: text };
  return shapeNamed(text);
};

const shapeNamed = (name: string): Shape => {
  const known = shapes.get(name);
  if (known) return known;
  const fields = new Map<string, FieldType>();
  const numbers = new Map<number, string | Shape>();
  const shape = { kind: 'shape', name, fields, numbers } as const;
  shapes.set(name, shape); // before its fields: a shape may contain itself
  const text = (table as Record<string, string>)[name]; // as: looked up by a name out of the table's own text
  if (text === undefined) throw new Error(`The table of shapes has no row ${name}`);
  for (const field of text.split(/\s+/)) {
    const [, inlined, label = '', type = '', number] = /^(?:@(\w+)|(\w+):(.+?))(?:=(\d+))?$/.exec(field) ?? [];
    if (inlined === undefined) fields.set(label, typeOf(type));
    else for (const [inner, innerType] of shapeNamed(inlined).fields) fields.set(inner, innerType);
    if (number !== undefined) numbers.set(Number(number), inlined === undefined ? label : shapeNamed(inlined));
  }
  return shape;
};

const roots = new Map<string, Shape>();

/** The shape of the whole object of a kind in the table, with apiVersion, kind and metadata; undefined for other kinds. */
export const rootShape = (kind: string): Shape | undefined => {
  const known = roots.get(kind);
  if (known || !Object.hasOwn(table, kind)) return known;
  const own = shapeNamed(kind);
  const envelope: readonly (readonly [string, FieldType])[] = [
    ['apiVersion', { kind: 'scalar', name: 'string' }],
    ['kind', { kind: 'scalar', name: 'string' }],
    ['metadata', shapeNamed('Meta')],
  ];
  const root = {
    kind: 'shape',
    name: kind,
    fields: new Map([...envelope, ...own.fields]),
    numbers: new Map<number, string | Shape>([[1, 'metadata'], ...own.numbers]),
  } as const;
  roots.set(kind, root);
  return root;
};

/** The shape of a stored built-in kind; undefined for custom resources. */
export const shapeOf = (resource: Resource): Shape | undefined =>
  resource.custom || resource.createOnly || resource.viewOf !== undefined ? undefined : rootShape(resource.kind);
