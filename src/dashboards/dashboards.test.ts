// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dashboardFiles, dashboards, mistakesOf } from './dashboards.ts';
import type { Dashboard } from './panel.ts';
import { mistakesIn } from './promql.ts';
import { registry } from './registry.ts';

const known = registry();

describe('a query is refused', () => {
  const cases: readonly (readonly [why: string, query: string, said: RegExp, legend?: string])[] = [
    ['whose metric nobody has', 'sum(rate(cilium_endpoint_regenerations_total[1m]))', /no metric 'cilium_endpoint_regenerations_total'/],
    ['whose metric is misspelt in half of it', 'stentor_problems or stentor_problem', /no metric 'stentor_problem'/],
    ['that asks for a label which the metric has not', 'sum(cilium_version{pod="x"})', /'cilium_version' has no label 'pod'/],
    ['that asks so in the second matcher', 'sum(rate(hubble_drop_total{reason="X",source=~"a"}[1m]))', /no label 'source'/],
    ['that groups by one', 'sum by (direction) (rate(cilium_drop_count_total[1m]))', /has a label 'direction' to group by/],
    ['that groups by le where there are no buckets', 'sum by (le) (stentor_problems)', /a label 'le'/],
    [
      'whose legend names what it is not grouped by',
      'sum by (reason) (stentor_problems)',
      /the legend names 'node'/,
      '{{reason}} {{node}}',
    ],
    ['that draws a counter', 'sum(cilium_drop_count_total)', /is a counter, and stands in/],
    ['that takes the rate of a gauge', 'sum(rate(stentor_problems[1m]))', /is a gauge, and stands in 'rate\(\)'/],
    ['that takes a histogram for a number', 'rate(hubble_http_request_duration_seconds[1m])', /no metric/],
    ['that asks for buckets of a counter', 'rate(hubble_drop_total_bucket[1m])', /no metric 'hubble_drop_total_bucket'/],
    ['with a function that dashboards do not use', 'predict_linear(stentor_problems[1h], 60)', /'predict_linear\(\)' is no PromQL/],
    ['that is no PromQL', 'sum(stentor_problems) ; drop', /'; drop' is no PromQL/],
  ];
  for (const [why, query, said, legend = ''] of cases) it(why, () => assert.match(mistakesIn(query, legend, known).join('\n'), said));
});

it('queries that ask for what there is are taken', () => {
  for (const query of [
    'sum by (le, method) (rate(hubble_http_request_duration_seconds_bucket{reporter="server",le="1"}[$__rate_interval]))',
    'max by (node, instance) (cilium_bpf_map_pressure{map_name="conntrack",node=~"$node"}) > 0.5',
    'sum(rate(hubble_flows_processed_total[1m])) and on (instance) stentor_relay_peer_service_connected or vector(0)',
    'rate(hubble_http_requests_total{status!=""}[5m])',
  ])
    assert.deepEqual(mistakesIn(query, '', known), [], query);
});

describe('dashboards', () => {
  it('name only metrics and labels that are declared', () => {
    for (const one of dashboards) assert.deepEqual(mistakesOf(one, known), [], one.title);
  });

  it('that narrow to nodes of a metric which nobody has are refused', () => {
    const [first] = dashboards;
    const broken: Dashboard = { ...(first ?? assert.fail('There is none')), nodesOf: 'cilium_agent_up' };
    assert.match(mistakesOf(broken, known).join('\n'), /'cilium_agent_up' to know nodes by/);
  });

  it('are told apart: file, uid, title; and in each the titles of panels', () => {
    for (const key of ['file', 'uid', 'title'] as const) {
      const all = dashboards.map((one) => one[key]);
      assert.equal(new Set(all).size, all.length, key);
    }
    for (const { title, rows } of dashboards) {
      const titles = rows.flatMap(({ panels }) => panels.map((panel) => panel.title));
      assert.equal(new Set(titles).size, titles.length, title);
    }
  });

  it('say of each panel what is seen, and bring it to a place of its own', () => {
    for (const [file, text] of dashboardFiles()) {
      const { panels } = JSON.parse(text);
      const taken = new Set<string>();
      for (const { id, type, title, description, gridPos } of panels) {
        if (type !== 'row' && type !== 'text') assert.ok(title.length > 2 && description.length > 2, `${file}: ${title}`);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(x < 24 && !taken.has(`${x} ${y}`), `${file}: panel ${id} (${title}) stands on another`);
            taken.add(`${x} ${y}`);
          }
      }
      assert.equal(new Set(panels.map(({ id }: { readonly id: number }) => id)).size, panels.length, file);
    }
  });

  it('take their data from the Prometheus that is chosen', () => {
    for (const [file, text] of dashboardFiles()) {
      const { templating, panels } = JSON.parse(text);
      assert.equal(templating.list[0].name, 'DS_PROMETHEUS', file);
      for (const { datasource, targets = [] } of panels) if (targets.length > 0) assert.equal(datasource.uid, '${DS_PROMETHEUS}', file);
    }
  });
});
