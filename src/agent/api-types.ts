// SPDX-License-Identifier: Apache-2.0
// What the agent tells over its socket, and who inside the agent knows it. Times are milliseconds since the Unix epoch.

import type { Problem } from '../base/problem.ts';
import type { Lopsided } from '../services/lopsided.ts';
import type { Question } from '../trace/ends.ts';
import type { Trace } from '../trace/packet.ts';

export const API_SOCKET = '/var/run/cilium/cilium.sock';

/** `message` says why when `ok` is false, and what (a version, a path) when it is true. */
export type Health = { readonly ok: boolean; readonly message: string };

export type DeviceRow = {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Reaches the other nodes. */ readonly directRouting: boolean;
};
/** An interface of the node; those of pods are left out. `reason` follows "chosen because" or "ignored because". */
export type InterfaceReason = { readonly name: string; readonly uplink: boolean; readonly reason: string };
export type IpamRange = { readonly prefix: string; readonly allocated: number; readonly capacity: number };
export type AllocationRow = { readonly address: string; readonly owner: string };
/** A source or a reconciler. `failures` counts those since the last success. */
export type ControllerRow = {
  readonly name: string;
  readonly lastSuccess: number | undefined;
  readonly lastError: number | undefined;
  readonly failures: number;
  readonly message: string | undefined;
};
/** `entries` is undefined where nobody counts, `fullIn` (seconds) where the map does not fill. */
export type MapRow = {
  readonly name: string;
  readonly entries: number | undefined;
  readonly capacity: number;
  readonly fullIn: number | undefined;
};
/** What the last look through conntrack found. */
export type FlowsReport = {
  readonly time: number;
  /** Two for a flow. */
  readonly entries: number;
  /** Who has opened most of them: 'namespace/name', or an address. */
  readonly talkers: readonly { readonly name: string; readonly flows: number }[];
  /** How many ports each address has for each destination. */
  readonly portsEach: number;
  /** Where most of them are in use: which address has how many towards '203.0.113.10:80/TCP', and who holds most. */
  readonly ports: readonly {
    readonly address: string;
    readonly destination: string;
    readonly ports: number;
    readonly most: { readonly name: string; readonly ports: number };
  }[];
};

export type StatusReport = {
  readonly time: number;
  readonly version: string;
  readonly node: string;
  readonly agent: Health;
  /** message when ok: '1.33 (v1.33.1) [linux/amd64]'. */
  readonly kubernetes: Health;
  /** message when ok: the path of the configuration. */
  readonly cni: Health;
  readonly kubeProxyReplacement: boolean;
  /** Only the node's own sockets are translated, those of pods are not. */
  readonly socketLbHostOnly: boolean;
  readonly devices: readonly DeviceRow[];
  readonly interfaces: readonly InterfaceReason[];
  /** Of pods. */
  readonly mtu: { readonly mtu: number; readonly reason: string };
  /** Largest whole packets by way and family, and why. */
  readonly mtuBudget: readonly { readonly way: string; readonly ipv4: number; readonly ipv6: number; readonly reason: string }[];
  readonly ipam: readonly IpamRange[];
  readonly allocations: readonly AllocationRow[];
  readonly masquerade: { readonly ipv4: boolean; readonly ipv6: boolean; /** Destinations without. */ readonly except: readonly string[] };
  readonly controllers: readonly ControllerRow[];
  readonly maps: readonly MapRow[];
  /** Undefined until conntrack has been looked through. */
  readonly flows: FlowsReport | undefined;
  readonly problems: number;
};

/** A word of the list of states that users know. */
export type BackendState = 'active' | 'terminating' | 'terminating-not-serving' | 'quarantined' | 'maintenance';
export type BackendRow = {
  readonly slot: number;
  /** '10.244.1.5:8080/TCP', '[fd00::5]:8080/TCP'. */ readonly address: string;
  readonly state: BackendState;
};
export type ServiceRow = {
  readonly id: number;
  /** 'namespace/name'. */
  readonly service: string;
  /** '10.96.0.1:443/TCP', with '/i' for the internal scope. */
  readonly frontend: string;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIPs' | 'HostPort' | 'LocalRedirect';
  readonly backends: readonly BackendRow[];
};

/** A CiliumLocalRedirectPolicy on this node. */
export type RedirectRow = {
  /** 'namespace/name'. */
  readonly policy: string;
  /** Undefined: it redirects an address. */
  readonly service: string | undefined;
  /** Which ports it names. */
  readonly ports: 'all' | 'named' | 'one';
  readonly frontends: readonly {
    /** '10.96.0.10:53/UDP'. */ readonly frontend: string;
    /** Without any, nobody is redirected. */ readonly backends: readonly { readonly address: string; readonly pod: string | undefined }[];
  }[];
};

/** An address that is announced on the LAN, or should be, as this node knows it. */
export type VipRow = {
  readonly ip: string;
  /** 'namespace/name'. */
  readonly services: readonly string[];
  readonly policies: readonly string[];
  /** Undefined: nobody answers. */
  readonly owner: string | undefined;
  readonly interfaces: readonly string[];
  readonly macs: readonly string[];
  /** As far as this agent has seen it. */
  readonly since: number | undefined;
  /** Who answered before. */
  readonly from: string | undefined;
  /** Why this owner, or none. */
  readonly why: string;
  /** How often this node has answered; undefined: it does not. */
  readonly answers: number | undefined;
  /** Of clients, in flows that this node knew when it looked last; undefined: it knew none. */
  readonly packets: number | undefined;
  /** Ports of which one client has most connections, and thereby one backend. */
  readonly lopsided: readonly Lopsided[];
  /** Nodes that ask for it on the LAN as a client does, and whether they find it at its owner; empty: nobody does. */
  /** `missing`: what does not answer though the link address is found. */
  readonly reachable: readonly { readonly from: string; readonly found: boolean; readonly missing?: string }[];
  /** Nodes that answer, too, as after a split. */
  readonly alsoClaimed: readonly string[];
  /** 0: cannot, 1: better than nobody, 2: can; `why` follows "it". */
  readonly candidates: readonly { readonly node: string; readonly level: 0 | 1 | 2; readonly why: string | undefined }[];
};

export type Enforcement = 'Disabled' | 'Enabled' | 'Disabled (Audit)' | 'Enabled (Audit)';
export type EndpointRow = {
  readonly id: number;
  /** 'namespace/name'. */
  readonly pod: string;
  readonly policyIngress: Enforcement;
  readonly policyEgress: Enforcement;
  readonly identity: number | undefined;
  /** 'k8s:app=cart'. */
  readonly labels: readonly string[];
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly state: string;
};

type NodeFamily = { readonly address: string | undefined; /** Of its pods. */ readonly cidr: string | undefined };
export type NodeListRow = {
  /** 'cluster/node'. */
  readonly name: string;
  readonly ipv4: NodeFamily;
  readonly ipv6: NodeFamily;
  readonly source: 'local' | 'custom-resource';
};
export type IpRow = {
  readonly prefix: string;
  readonly identity: number;
  readonly labels: readonly string[];
  readonly source: 'local' | 'custom-resource' | 'generated';
  /** Address of the node behind which it is. */
  readonly host: string | undefined;
};

export type TraceAnswer = { readonly kind: 'trace'; readonly trace: Trace } | { readonly kind: 'misunderstood'; readonly message: string };

export type TableSummary = {
  readonly name: string;
  readonly rows: number;
  /** False while its source has not finished its first list. */ readonly complete: boolean;
};
export type TableRow = { readonly key: string; readonly row: unknown };
/** An entry that a target has and should not, or should have and has not, or has with another value. */
export type DifferenceRow = {
  readonly target: string;
  readonly key: string;
  readonly kind: 'missing' | 'extra' | 'different';
  readonly wanted: string | undefined;
  readonly found: string | undefined;
};
export type ProblemRow = Omit<Problem, 'kind'>;

export type DropRow = {
  readonly time: number;
  readonly reason: string;
  /** '10.244.1.5:41234'; without a port where the protocol has none. */
  readonly source: string;
  readonly destination: string;
  readonly protocol: string;
  readonly interface: string;
  /** The local pod it concerns, 'namespace/name'. */
  readonly pod: string | undefined;
};

/** Who knows. Functions are called for each request and read tables as they are at that moment. */
export type Providers = {
  status(): StatusReport | Promise<StatusReport>;
  services(): readonly ServiceRow[];
  redirects(): readonly RedirectRow[];
  vips(): readonly VipRow[];
  endpoints(): readonly EndpointRow[];
  nodes(): readonly NodeListRow[];
  ips(): readonly IpRow[] | Promise<readonly IpRow[]>;
  /** Walks a packet through the tables as they are now; nothing is sent. */
  trace(question: Question): TraceAnswer;
  tables(): readonly TableSummary[];
  /** Undefined: there is no such table. */
  table(name: string): readonly TableRow[] | undefined;
  /** Reads the targets themselves. */
  differences(): readonly DifferenceRow[] | Promise<readonly DifferenceRow[]>;
  /** Of this agent, and what the operator says. */
  problems(): readonly ProblemRow[] | Promise<readonly ProblemRow[]>;
  /** The most recent, oldest first. */
  drops(): readonly DropRow[];
  /** Calls `listener` for each drop from now on until `signal` ends. */
  followDrops(listener: (row: DropRow) => void, signal: AbortSignal): void;
};
