// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import type { EndpointSlice, Service } from '../kube/types.ts';
import { serviceRows, sliceRows } from '../services/service.ts';
import type { ServiceRow, SliceRow } from '../services/service.ts';
import { policyRows } from './policy.ts';
import type { PolicyRow } from './policy.ts';
import { vipsFor } from './vips.ts';

const A = '192.168.0.220';

type Spec = Service['spec'] & object;
type Endpoints = EndpointSlice['endpoints'] & object;

/** A Service of type LoadBalancer that has an address. */
function balanced(name: string, spec: Spec = {}, labels: Readonly<Record<string, string>> = {}): Service {
  return {
    metadata: { namespace: 'shop', name, labels },
    spec: { type: 'LoadBalancer', clusterIPs: ['10.96.0.7'], ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress: [{ ip: A }] } },
  };
}

function vip(
  services: readonly Service[],
  policies: Readonly<Record<string, object>>,
  endpoints: Readonly<Record<string, Endpoints>> = {},
) {
  const tables = {
    services: table<string, ServiceRow>('services', {
      indexes: { vip: ({ external }) => [...(external?.ingressIps ?? []), ...(external?.externalIps ?? [])] },
    }),
    slices: table<string, SliceRow>('slices', { indexes: { service: (slice) => [slice.service] } }),
    policies: table<string, PolicyRow>('policies'),
  };
  const serviceWriter = tables.services.writer('test');
  const sliceWriter = tables.slices.writer('test');
  const policyWriter = tables.policies.writer('test');
  for (const one of services) for (const row of serviceRows(one, '')) if (!('kind' in row)) serviceWriter.put(...row);
  for (const [name, spec] of Object.entries(policies))
    for (const row of policyRows({ metadata: { name }, spec })) if (!('kind' in row)) policyWriter.put(...row);
  for (const [name, list] of Object.entries(endpoints)) {
    const slice = {
      metadata: { namespace: 'shop', name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: list,
    };
    for (const row of sliceRows(slice)) if (!('kind' in row)) sliceWriter.put(...row);
  }
  return [...vipsFor(ip(A), tables)][0]?.[1];
}

const balancers = { all: { loadBalancerIPs: true } };

describe('the addresses that are announced', () => {
  it('are those of load balancers by loadBalancerIPs, and external ones by externalIPs', () => {
    assert.deepEqual(vip([balanced('web')], { all: { loadBalancerIPs: true }, other: { externalIPs: true } })?.policies, ['all']);
    const external: Service = { metadata: { namespace: 'shop', name: 'old' }, spec: { clusterIPs: ['10.96.0.8'], externalIPs: [A] } };
    assert.deepEqual(vip([external], { all: { loadBalancerIPs: true }, other: { externalIPs: true } })?.policies, ['other']);
  });

  it('are known without a policy, too, so that somebody can say what is missing', () => {
    assert.deepEqual(vip([balanced('web')], {})?.policies, []);
  });

  it('have one row where Services share them', () => {
    const shared = vip([balanced('web'), balanced('api', {}, { app: 'api' })], {
      api: { loadBalancerIPs: true, serviceSelector: { matchLabels: { app: 'api' } } },
    });
    assert.deepEqual([shared?.services, shared?.policies], [['shop/api', 'shop/web'], ['api']]);
  });

  it('are left to others where loadBalancerClass says so', () => {
    assert.equal(vip([balanced('web', { loadBalancerClass: 'example.com/other' })], balancers), undefined);
    assert.ok(vip([balanced('web', { loadBalancerClass: 'io.cilium/l2-announcer' })], balancers));
  });

  it('of externalTrafficPolicy Local name the nodes that can serve, ready ones first', () => {
    const local = (endpoints: Endpoints) =>
      vip([balanced('web', { externalTrafficPolicy: 'Local' })], balancers, { web: endpoints })?.local;
    const ready = { addresses: ['10.244.1.5'], nodeName: 'node1', conditions: { ready: true } };
    const ending = { addresses: ['10.244.2.5'], nodeName: 'node2', conditions: { ready: false, serving: true, terminating: true } };
    const failing = { addresses: ['10.244.3.5'], nodeName: 'node3', conditions: { ready: false, serving: false } };
    assert.deepEqual(local([ready, ending, failing]), [['node1']]);
    assert.deepEqual(local([ending, failing]), [['node2']]);
    assert.deepEqual(local([failing]), []); // nobody can: it stays where it is, and refuses
    assert.deepEqual(vip([balanced('web')], balancers, { web: [ready] })?.local, []);
  });

  it('name the nodes that annotations let serve', () => {
    const one = balanced('web');
    const placed = { ...one, metadata: { ...one.metadata, annotations: { 'service.cilium.io/node-selector': 'zone=a' } } };
    assert.deepEqual(vip([placed], balancers)?.exposed, [[{ key: 'zone', operator: 'In', values: ['a'] }]]);
    assert.equal(vip([one], balancers)?.exposed, undefined);
  });
});
