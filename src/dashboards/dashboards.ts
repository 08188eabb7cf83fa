// SPDX-License-Identifier: Apache-2.0
// All dashboards. Which value of the chart wants one follows from its file: hubble-* is hubble.metrics.dashboards.enabled, cilium-operator-*
// is operator.dashboards.enabled, any other cilium-* is dashboards.enabled.

import { agentDashboard } from './agent.ts';
import { dnsDashboard } from './dns.ts';
import { grafanaJson } from './grafana.ts';
import { httpDashboard } from './http.ts';
import { hubbleDashboard } from './hubble.ts';
import { operatorDashboard } from './operator.ts';
import type { Dashboard } from './panel.ts';
import { mistakesIn } from './promql.ts';
import { registry } from './registry.ts';
import type { Registry } from './registry.ts';
import { vipsDashboard } from './vips.ts';

export const dashboards: readonly Dashboard[] = [
  agentDashboard,
  vipsDashboard,
  operatorDashboard,
  hubbleDashboard,
  dnsDashboard,
  httpDashboard,
];

/** What its panels name that there is not, a sentence each. */
export function mistakesOf({ title, rows, nodesOf }: Dashboard, known: Registry): readonly string[] {
  const panels = rows.flatMap((row) => row.panels);
  const asked = panels.flatMap((panel) => panel.queries.map((one) => ({ ...one, where: `${title} / ${panel.title}` })));
  const wrong = asked.flatMap(({ query, legend, where }) =>
    mistakesIn(query, legend, known).map((mistake) => `${where}: ${mistake}, in: ${query}`),
  );
  return nodesOf === undefined || known.has(nodesOf) ? wrong : [...wrong, `${title}: there is no metric '${nodesOf}' to know nodes by`];
}

/** Files by name. Throws where a panel names what there is not. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  const known = registry();
  const mistakes = dashboards.flatMap((one) => mistakesOf(one, known));
  if (mistakes.length > 0) throw new TypeError(`Cannot make dashboards:\n${mistakes.join('\n')}`);
  return new Map(dashboards.map((one) => [`${one.file}.json`, grafanaJson(one)]));
}
