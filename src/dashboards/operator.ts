// SPDX-License-Identifier: Apache-2.0
// What is done once for the cluster.

import { one, orNone, overall } from './panel.ts';
import type { Dashboard } from './panel.ts';

const { rate, gauge, quantile } = overall;
const INSTANCE = ['instance'];

export const operatorDashboard: Dashboard = {
  file: 'cilium-operator-dashboard',
  uid: '1GC0TT4Wz',
  title: 'Cilium: operator',
  about:
    'Of several operators the one that holds the Lease works. Without one nothing is removed and no Service gets an address; all else goes on. ' +
    'What the metrics mean: `docs/operate.md`, "The operator".',
  rows: [
    {
      title: 'Who works',
      panels: [
        {
          title: 'Operators that lead',
          about: 'One. At 0 nobody holds the Lease: look at the logs of the operators.',
          kind: 'number',
          unit: 'none',
          queries: one(gauge('sum', 'stentor_operator_leads'), ''),
          badBelow: 1,
        },
        {
          title: 'Problems',
          about: 'What somebody has to repair. `stentor problems` has the advice.',
          kind: 'number',
          unit: 'none',
          queries: one('sum(stentor_operator_problems) or vector(0)', ''),
          badFrom: 1,
        },
        {
          title: 'Services without their address',
          about: 'Events of the Service say why.',
          kind: 'number',
          unit: 'none',
          queries: one(gauge('max', 'cilium_operator_lbipam_services_unsatisfied'), ''),
          badFrom: 1,
        },
        {
          title: 'Leads',
          about: 'Which of them.',
          kind: 'lines',
          unit: 'none',
          queries: one(gauge('max', 'stentor_operator_leads', { by: INSTANCE }), '{{instance}}'),
        },
        {
          title: 'Problems by reason',
          about: 'Of pools and Services.',
          kind: 'lines',
          unit: 'none',
          queries: one(orNone(gauge('sum', 'stentor_operator_problems', { by: ['reason'] }), 'reason'), '{{reason}}'),
        },
        {
          title: 'Time to decide',
          about: 'From the moment that a change of a pool or Service is heard until its addresses are decided: 99 of 100 are faster.',
          kind: 'lines',
          unit: 's',
          queries: one(quantile(0.99, 'cilium_operator_lbipam_event_processing_time_seconds', { by: ['resource'] }), '{{resource}}'),
        },
      ],
    },
    {
      title: 'Addresses of load balancers',
      panels: [
        {
          title: 'Addresses left by pool',
          about: 'At 0 the next Service stays <pending>.',
          kind: 'lines',
          unit: 'short',
          queries: one(gauge('max', 'cilium_operator_lbipam_ips_available', { by: ['pool'] }), '{{pool}}'),
        },
        {
          title: 'Services',
          about: 'That get their addresses here, and those that lack one.',
          kind: 'lines',
          unit: 'none',
          queries: [
            { query: gauge('max', 'cilium_operator_lbipam_services_matching'), legend: 'all' },
            { query: gauge('max', 'cilium_operator_lbipam_services_unsatisfied'), legend: 'without their address' },
            { query: gauge('max', 'stentor_operator_lbipam_addresses_kept'), legend: 'addresses that no pool gives any more' },
          ],
        },
        {
          title: 'Pools in conflict',
          about: 'They overlap an older one, and give nothing.',
          kind: 'lines',
          unit: 'none',
          queries: one(gauge('max', 'cilium_operator_lbipam_conflicting_pools'), 'pools'),
        },
      ],
    },
    {
      title: 'What is cleaned up',
      panels: [
        {
          title: 'Identities',
          about: 'alive: there are. deleted: this process has removed, as nobody used them.',
          kind: 'lines',
          unit: 'none',
          queries: one(gauge('max', 'cilium_operator_identity_gc_entries', { by: ['status'] }), '{{status}}'),
        },
        {
          title: 'Passes over identities',
          about: 'fail: one that had to wait for a watch that failed.',
          kind: 'lines',
          unit: 'cps',
          queries: one(rate('cilium_operator_identity_gc_runs', { by: ['outcome'] }), '{{outcome}}'),
        },
        {
          title: 'CiliumEndpoints removed',
          about: 'Their pod is gone. fail: the API refused.',
          kind: 'lines',
          unit: 'cps',
          queries: one(rate('cilium_operator_endpoint_gc_objects', { by: ['outcome'] }), '{{outcome}}'),
        },
      ],
    },
    {
      title: 'The process',
      panels: [
        {
          title: 'CPU',
          about: 'Seconds a second: 1 is a core.',
          kind: 'lines',
          unit: 'short',
          width: 12,
          queries: one(rate('cilium_operator_process_cpu_seconds_total', { by: INSTANCE }), '{{instance}}'),
        },
        {
          title: 'Memory',
          about: 'Resident.',
          kind: 'lines',
          unit: 'bytes',
          width: 12,
          queries: one(gauge('sum', 'cilium_operator_process_resident_memory_bytes', { by: INSTANCE }), '{{instance}}'),
        },
      ],
    },
  ],
};
