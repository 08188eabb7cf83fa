// SPDX-License-Identifier: Apache-2.0
// The tables of Services that are filled from outside, with what is looked up in them.

import { sameRow } from '../base/same.ts';
import { table } from '../base/table.ts';
import type { Table } from '../base/table.ts';
import { placeText } from './host-ports.ts';
import type { ServiceRow, SliceRow } from './service.ts';

/** Tables that the Kubernetes API fills: made first, because policies about Services read them. */
export type ServiceSources = {
  readonly services: Table<string, ServiceRow>;
  readonly slices: Table<string, SliceRow>;
};

const same = { same: sameRow };

export function serviceSources(): ServiceSources {
  const services = table<string, ServiceRow>('services', {
    ...same,
    indexes: {
      external: ({ external }) => external?.externalIps ?? [],
      checked: ({ external }) => (external?.local === true && external.healthCheckNodePort > 0 ? ['checked'] : []),
      placed: ({ nodes }) => (nodes === undefined ? [] : ['placed']),
      nodePort: ({ ports }) => ports.flatMap(({ nodePort, protocol }) => (nodePort === 0 ? [] : [placeText({ port: nodePort, protocol })])),
      vip: ({ external }) => [...(external?.ingressIps ?? []), ...(external?.externalIps ?? [])],
    },
  });
  const slices = table<string, SliceRow>('slices', { ...same, indexes: { service: (slice) => [slice.service] } });
  return { services, slices };
}
