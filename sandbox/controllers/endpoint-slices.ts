// SPDX-License-Identifier: Apache-2.0
// Keeps the EndpointSlices of each Service with a selector equal to what slices.ts says.
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, Store } from '../api/store.ts';
import { isDeleting, keyFrom, keyText, podsIn, selects, servicesIn } from '../objects.ts';
import type { Labels, Service } from '../objects.ts';
import { itself } from './controller.ts';
import type { Controller } from './controller.ts';
import { MANAGER, slicesFor } from './slices.ts';

const SLICES = 'endpointslices.discovery.k8s.io';

export const endpointSliceController = (store: Store): Controller => ({
  name: 'endpoint slices',
  watches: [
    { resource: 'services', keysFor: itself },
    {
      resource: 'pods',
      keysFor: (pod, { previous }) =>
        servicesIn(store, { namespace: pod.metadata.namespace ?? '' })
          .filter((service) => matches(service, pod.metadata.labels) || matches(service, previous?.metadata.labels))
          .map(({ metadata }) => keyText(metadata)),
    },
    { resource: SLICES, keysFor: (slice) => (isOurs(slice) ? [ownerOf(slice)] : []) },
  ],
  sync(key) {
    const service = store.get('services', keyFrom(key)) as Service | undefined; // as: it is a Service
    const existing = slicesOf(store, key);
    const desired =
      service === undefined || isDeleting(service) || !hasSelector(service) ? [] : slicesFor(service, podsBehind(store, service));
    const wanted = new Set<string>(desired.map((slice) => slice.metadata.name));
    for (const slice of desired)
      put(
        store,
        slice,
        existing.find(({ metadata }) => metadata.name === slice.metadata.name),
      );
    for (const { metadata } of existing) if (!wanted.has(metadata.name)) store.delete(SLICES, metadata);
    return undefined;
  },
});

function put(store: Store, slice: ReturnType<typeof slicesFor>[number], before: KubeObject | undefined): void {
  if (before === undefined) store.create(SLICES, slice);
  else if (!isSame(slice, before)) store.update(SLICES, { ...before, ...slice, metadata: { ...before.metadata, ...slice.metadata } });
}

const isSame = (slice: ReturnType<typeof slicesFor>[number], before: KubeObject): boolean =>
  isDeepStrictEqual(slice.endpoints, before['endpoints']) &&
  isDeepStrictEqual(slice.ports, before['ports'] ?? []) &&
  isDeepStrictEqual(slice.metadata.labels, before.metadata.labels);

const hasSelector = ({ spec }: Service): boolean => Object.keys(spec.selector ?? {}).length > 0 && spec.type !== 'ExternalName';

const matches = (service: Service, labels: Labels | undefined): boolean =>
  labels !== undefined && hasSelector(service) && selects({ matchLabels: service.spec.selector ?? {} }, labels);

const podsBehind = (store: Store, service: Service) =>
  podsIn(store, { namespace: service.metadata.namespace ?? '' }).filter(({ metadata }) => matches(service, metadata.labels));

const isOurs = ({ metadata }: KubeObject): boolean => metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === MANAGER;
const ownerOf = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name']}`;

function slicesOf(store: Store, key: string): readonly KubeObject[] {
  const { namespace = '', name } = keyFrom(key);
  return store.list(SLICES, { namespace, labelSelector: `kubernetes.io/service-name=${name}` }).filter(isOurs);
}
