// SPDX-License-Identifier: Apache-2.0
// For each key that drives the chart two files of values, one with it and one without, that have to make different objects.

import { stringify } from 'yaml';
import { valueRows } from '../../src/agent/values-schema.ts';
import type { ValueRow } from '../../src/agent/values-schema.ts';

export type Sample = { readonly path: string; readonly without: string; readonly given: string };
type Flat = Readonly<Record<string, unknown>>;

/** Everything that can be switched on, so that a key of any part shows. */
const everything: Flat = {
  'hubble.relay.enabled': true,
  'hubble.ui.enabled': true,
  'hubble.ui.ingress.enabled': true,
  'hubble.metrics.enabled': ['drop'],
  'hubble.export.dynamic.enabled': true,
  'hubble.metrics.serviceMonitor.enabled': true,
  'hubble.metrics.dashboards.enabled': true,
  'hubble.relay.prometheus.serviceMonitor.enabled': true,
  'operator.prometheus.serviceMonitor.enabled': true,
  'operator.dashboards.enabled': true,
};

/** What a key needs beside it to show. */
const company: Readonly<Record<string, Flat>> = {
  'hubble.serviceMonitor.enabled': { 'hubble.metrics.serviceMonitor.enabled': false },
  'hubble.dashboards.enabled': { 'hubble.metrics.dashboards.enabled': false },
  'hubble.ui.service.nodePort': { 'hubble.ui.service.type': 'NodePort' },
  'hubble.relay.service.nodePort': { 'hubble.relay.service.type': 'NodePort' },
};

/** Of keys that no rule gives one. */
const special: Flat = {
  'securityContext.seLinuxOptions': { level: 's1' },
  'hubble.export.dynamic.config': { content: [{ name: 'a' }] },
  'hubble.ui.ingress.hosts': ['a.example.com'],
  'image.digest': `sha256:${'0'.repeat(64)}`,
};
const LISTS = /(tolerations|extraEnv|topologySpreadConstraints|relabelings|metricRelabelings|imagePullSecrets|ingress\.tls)$/i;

/** Keys of dashboards that only show where there are some. */
const isOfDashboards = (path: string): boolean => /(^|\.)dashboards\./.test(path);

/** `dashboards`: whether there are any. */
export function samples(dashboards = false): readonly Sample[] {
  return valueRows
    .filter(([path, , , state, drives]) => state === 'acts' && drives === 'chart' && (dashboards || !isOfDashboards(path)))
    .map(([path, ...row]) => {
      const beside = { ...everything, ...company[path] };
      const { [path]: already, ...without } = beside;
      const value = special[path] ?? otherThan([path, ...row], already);
      return { path, without: stringify(nested(without)), given: stringify(nested({ ...without, [path]: value })) };
    });
}

function otherThan([path, type, byDefault]: ValueRow, already: unknown): unknown {
  if (already !== undefined) return already;
  if (typeof type !== 'string') return type.find((word) => word !== byDefault);
  switch (type) {
    case 'boolean':
    case 'switch':
      return byDefault !== true;
    case 'number':
    case 'port':
      return 31_234;
    case 'duration':
      return '17s';
    case 'any':
      return LISTS.test(path) ? [{ name: 'sample', key: 'sample' }] : path.endsWith('mage') ? { override: 'a/b:c' } : { sample: 'sample' };
    case 'texts':
      return ['NET_ADMIN'];
    case 'text':
    case 'cidr':
    case 'cidrs':
    case 'address:port':
      return 'sample';
  }
}

/** `{'a.b': 1}` as `{a: {b: 1}}`. */
function nested(flat: Flat): unknown {
  const folders = Map.groupBy(Object.entries(flat), ([path]) => path.split('.')[0] ?? '');
  return Object.fromEntries(
    Array.from(folders, ([name, rows]) => {
      const [first] = rows;
      if (first && first[0] === name) return [name, first[1]];
      return [name, nested(Object.fromEntries(rows.map(([path, value]) => [path.slice(name.length + 1), value])))];
    }),
  );
}
