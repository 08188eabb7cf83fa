// SPDX-License-Identifier: Apache-2.0
// For tests: pools and Services as they are in the API, and what becomes of them.

import type { Ip } from '../base/ip.ts';
import type { CiliumLoadBalancerIPPool, Service } from '../kube/types.ts';
import { allocationsFor } from './allocate.ts';
import type { Allocation } from './allocate.ts';
import { poolRows } from './pool.ts';
import type { PoolRow } from './pool.ts';
import type { Block } from './range.ts';
import { lbServiceRows } from './service.ts';
import type { LbClasses, LbServiceRow } from './service.ts';

const CLASSES: LbClasses = { unnamed: true, named: ['io.cilium/l2-announcer'] };

type PoolSpec = NonNullable<CiliumLoadBalancerIPPool['spec']>;

/** Blocks as '192.0.2.1-192.0.2.9' or '192.0.2.0/28'. The name says the age, too: a before b. */
export function poolOf(
  name: string,
  blocks: readonly string[],
  spec: PoolSpec & { readonly annotations?: Record<string, string> } = {},
): PoolRow {
  const { annotations = {}, ...rest } = spec;
  const listed = blocks.map((text): Block => {
    const [start = '', stop] = text.split('-');
    return text.includes('/') ? { cidr: text } : { start, ...(stop !== undefined && { stop }) };
  });
  const metadata = { name, uid: name, generation: 1, creationTimestamp: `2026-01-01T00:00:0${name.charCodeAt(0) % 10}Z`, annotations };
  for (const [, row] of poolRows({ metadata, spec: { ...rest, blocks: listed } })) return row;
  throw new Error('Cannot read the pool');
}

export type Asked = {
  readonly ips?: string;
  readonly key?: string;
  readonly across?: string;
  readonly port?: number;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly has?: readonly string[];
  readonly spec?: Service['spec'];
  readonly status?: Service['status'];
};

function serviceObject(name: string, asked: Asked = {}): Service {
  const { ips, key, across, port = 80, labels = {}, annotations = {}, has = [], spec, status } = asked;
  const [namespace = '', own = ''] = name.split('/');
  return {
    metadata: {
      namespace,
      name: own,
      uid: name,
      resourceVersion: '1',
      labels,
      annotations: {
        ...annotations,
        ...(ips !== undefined && { 'lbipam.cilium.io/ips': ips }),
        ...(key !== undefined && { 'lbipam.cilium.io/sharing-key': key }),
        ...(across !== undefined && { 'lbipam.cilium.io/sharing-cross-namespace': across }),
      },
    },
    spec: { type: 'LoadBalancer', ipFamilies: ['IPv4'], ports: [{ port }], ...spec },
    status: { loadBalancer: { ingress: has.map((ip) => ({ ip })) }, ...status },
  };
}

export function serviceOf(name: string, asked: Asked = {}, classes: LbClasses = CLASSES): LbServiceRow {
  for (const [, row] of lbServiceRows(serviceObject(name, asked), classes)) return row;
  throw new Error('Cannot read the Service');
}

export function allocated(
  pools: readonly PoolRow[],
  services: readonly LbServiceRow[],
  nodes: ReadonlyMap<Ip, string> = new Map(),
): Map<string, Allocation> {
  return allocationsFor({ pools, services, nodes, decided: () => [] });
}
