// SPDX-License-Identifier: Apache-2.0
// The parts that we read of the Kubernetes objects that we read. Everything that the API may leave out is optional; nothing
// here is checked against what arrives, so whoever reads a field that matters checks it.
// Shapes: Kubernetes API reference v1.33, core/v1, discovery.k8s.io/v1.

export type Labels = Readonly<Record<string, string>>;

export type Metadata = {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly ownerReferences?: readonly OwnerReference[];
};

export type OwnerReference = { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };

export type KubeObject = { readonly apiVersion?: string; readonly kind?: string; readonly metadata: Metadata };

export type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly observedGeneration?: number;
};

export type Taint = { readonly key: string; readonly value?: string; readonly effect: string };

export type Node = KubeObject & {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly unschedulable?: boolean;
    readonly taints?: readonly Taint[];
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly Condition[];
  };
};

export type Namespace = KubeObject & { readonly status?: { readonly phase?: string } };

export type ServicePort = {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly nodePort?: number;
  readonly appProtocol?: string;
};

export type Service = KubeObject & {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly externalName?: string;
    readonly externalTrafficPolicy?: string;
    readonly internalTrafficPolicy?: string;
    readonly healthCheckNodePort?: number;
    readonly ipFamilies?: readonly string[];
    readonly ipFamilyPolicy?: string;
    readonly loadBalancerClass?: string;
    readonly loadBalancerIP?: string;
    readonly loadBalancerSourceRanges?: readonly string[];
    readonly ports?: readonly ServicePort[];
    readonly publishNotReadyAddresses?: boolean;
    readonly selector?: Labels;
    readonly sessionAffinity?: string;
    readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } };
    readonly trafficDistribution?: string;
  };
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string; readonly ipMode?: string }[];
    };
    readonly conditions?: readonly Condition[];
  };
};

export type EndpointPort = { readonly name?: string; readonly protocol?: string; readonly port?: number; readonly appProtocol?: string };

export type Endpoint = {
  readonly addresses?: readonly string[];
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly zone?: string;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string; readonly uid?: string };
  readonly hints?: { readonly forZones?: readonly { readonly name: string }[]; readonly forNodes?: readonly { readonly name: string }[] };
};

export type EndpointSlice = KubeObject & {
  readonly addressType?: string;
  readonly endpoints?: readonly Endpoint[];
  readonly ports?: readonly EndpointPort[];
};

export type ContainerPort = {
  readonly name?: string;
  readonly containerPort: number;
  readonly hostPort?: number;
  readonly hostIP?: string;
  readonly protocol?: string;
};

export type Container = { readonly name: string; readonly ports?: readonly ContainerPort[] };

export type Pod = KubeObject & {
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly serviceAccountName?: string;
    readonly containers?: readonly Container[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly hostIP?: string;
    readonly conditions?: readonly Condition[];
  };
};

/** cilium.io/v2, as is what follows. */
export type CiliumIdentity = KubeObject & { readonly 'security-labels'?: Labels };

export type CiliumEndpoint = KubeObject & {
  readonly status?: {
    /** Of the endpoint, on its node. */
    readonly id?: number;
    readonly identity?: { readonly id?: number; readonly labels?: readonly string[] };
    readonly networking?: {
      readonly addressing?: readonly { readonly ipv4?: string; readonly ipv6?: string }[];
      /** An address of its node. */
      readonly node?: string;
    };
    readonly state?: string;
    readonly 'external-identifiers'?: Readonly<Record<string, string>>;
  };
};

export type CiliumNode = KubeObject & {
  readonly spec?: {
    readonly addresses?: readonly { readonly type?: string; readonly ip?: string }[];
    readonly ipam?: { readonly podCIDRs?: readonly string[] };
  };
};

/** meta/v1. */
export type LabelSelector = {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key?: string; readonly operator?: string; readonly values?: readonly string[] }[];
};

/** cilium.io/v2alpha1. */
export type CiliumL2AnnouncementPolicy = KubeObject & {
  readonly spec?: {
    readonly serviceSelector?: LabelSelector | null; // null: as the CRD allows
    readonly nodeSelector?: LabelSelector | null; // null: as the CRD allows
    readonly interfaces?: readonly string[];
    readonly externalIPs?: boolean;
    readonly loadBalancerIPs?: boolean;
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
};

/** cilium.io/v2, and v2alpha1 likewise. */
export type CiliumLoadBalancerIPPool = KubeObject & {
  readonly spec?: {
    readonly allowFirstLastIPs?: string;
    readonly blocks?: readonly { readonly cidr?: string; readonly start?: string; readonly stop?: string }[];
    readonly disabled?: boolean;
    readonly serviceSelector?: LabelSelector | null; // null: as the CRD allows
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
};

/** A port as text, as the CRD has it. */
export type RedirectPort = { readonly port?: string; readonly protocol?: string; readonly name?: string };

/** cilium.io/v2. */
export type CiliumLocalRedirectPolicy = KubeObject & {
  readonly spec?: {
    readonly redirectFrontend?: {
      readonly addressMatcher?: { readonly ip?: string; readonly toPorts?: readonly RedirectPort[] };
      readonly serviceMatcher?: { readonly serviceName?: string; readonly namespace?: string; readonly toPorts?: readonly RedirectPort[] };
    };
    readonly redirectBackend?: { readonly localEndpointSelector?: LabelSelector; readonly toPorts?: readonly RedirectPort[] };
    readonly skipRedirectFromBackend?: boolean;
    readonly description?: string;
  };
};

export type Lease = KubeObject & {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
};

/** `data`: base64. */
export type Secret = KubeObject & { readonly type?: string; readonly data?: Readonly<Record<string, string>> };
