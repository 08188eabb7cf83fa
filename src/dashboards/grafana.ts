// SPDX-License-Identifier: Apache-2.0
// A dashboard as Grafana reads it (schema 39, Grafana 10 and later).

import type { Dashboard, Panel, Query } from './panel.ts';

const WIDTH = 24;
const HEIGHTS = { lines: 8, stacked: 8, bars: 8, number: 4 } as const;
/** The variable under which dashboards for Cilium choose a Prometheus. */
const DATASOURCE = { type: 'prometheus', uid: '${DS_PROMETHEUS}' };

export function grafanaJson(dashboard: Dashboard): string {
  const { uid, title, about, nodesOf } = dashboard;
  return `${JSON.stringify(
    {
      uid,
      title,
      tags: ['cilium', 'stentor'],
      schemaVersion: 39,
      editable: true,
      graphTooltip: 1,
      refresh: '30s',
      time: { from: 'now-1h', to: 'now' },
      timezone: 'browser',
      links: [{ type: 'dashboards', title: 'More', tags: ['stentor'], asDropdown: true, includeVars: false, keepTime: true }],
      templating: { list: [datasource, ...(nodesOf === undefined ? [] : [nodes(nodesOf)])] },
      panels: [words(about), ...panelsOf(dashboard)],
    },
    undefined,
    2,
  )}\n`;
}

const datasource = {
  name: 'DS_PROMETHEUS',
  label: 'Prometheus',
  type: 'datasource',
  query: 'prometheus',
  hide: 0,
};

/** All of them, and those without the label too, until some are chosen. */
const nodes = (metric: string) => ({
  name: 'node',
  label: 'Node',
  type: 'query',
  datasource: DATASOURCE,
  query: { query: `label_values(${metric}, node)`, refId: 'node' },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.*',
  current: { selected: true, text: ['All'], value: ['$__all'] },
  hide: 0,
});

const words = (content: string) => ({
  id: 1,
  type: 'text',
  title: '',
  transparent: true,
  gridPos: { x: 0, y: 0, w: WIDTH, h: 3 },
  options: { mode: 'markdown', content },
});

function panelsOf({ rows }: Dashboard): readonly object[] {
  const panels: object[] = [];
  let [id, y] = [2, 3];
  for (const row of rows) {
    panels.push({ id: id++, type: 'row', title: row.title, collapsed: false, gridPos: { x: 0, y, w: WIDTH, h: 1 }, panels: [] });
    y++;
    let [x, height] = [0, 0];
    for (const panel of row.panels) {
      const { width = 8, kind } = panel;
      if (x + width > WIDTH) [x, y, height] = [0, y + height, 0];
      panels.push(panelJson(panel, { id: id++, gridPos: { x, y, w: width, h: HEIGHTS[kind] } }));
      [x, height] = [x + width, Math.max(height, HEIGHTS[kind])];
    }
    y += height;
  }
  return panels;
}

function panelJson(panel: Panel, place: { readonly id: number; readonly gridPos: object }) {
  const { title, about, kind, queries } = panel;
  const isNow = kind === 'number' || kind === 'bars';
  return {
    ...place,
    title,
    description: about,
    type: kind === 'number' ? 'stat' : kind === 'bars' ? 'bargauge' : 'timeseries',
    datasource: DATASOURCE,
    targets: queries.map((query, i) => targetOf(query, String.fromCharCode(65 + i), isNow)),
    fieldConfig: { defaults: { ...defaultsOf(panel), ...(isNow ? {} : { custom: drawing(kind) }) }, overrides: [] },
    options: optionsOf(kind),
  };
}

const targetOf = ({ query, legend }: Query, refId: string, instant: boolean) => ({
  refId,
  datasource: DATASOURCE,
  expr: query,
  legendFormat: legend,
  ...(instant ? { instant: true, range: false } : { range: true }),
});

function defaultsOf({ unit, badFrom, badBelow }: Panel) {
  const plain = { color: badBelow === undefined ? 'green' : 'red' };
  const bad = badFrom === undefined ? [] : [{ color: 'red', value: badFrom }];
  const good = badBelow === undefined ? [] : [{ color: 'green', value: badBelow }];
  const marks = bad.length + good.length > 0;
  return {
    unit,
    min: 0,
    ...(unit === 'percentunit' && { max: 1 }),
    color: { mode: marks ? 'thresholds' : 'palette-classic' },
    thresholds: { mode: 'absolute', steps: [{ ...plain, value: null }, ...bad, ...good] }, // null: as Grafana has the first step
  };
}

const drawing = (kind: Panel['kind']) => ({
  drawStyle: 'line',
  lineWidth: 1,
  fillOpacity: kind === 'stacked' ? 40 : 8,
  showPoints: 'never',
  spanNulls: false,
  stacking: { mode: kind === 'stacked' ? 'normal' : 'none', group: 'A' },
});

function optionsOf(kind: Panel['kind']): object {
  const reduceOptions = { calcs: ['lastNotNull'], fields: '', values: false };
  if (kind === 'number') return { reduceOptions, colorMode: 'value', graphMode: 'none', textMode: 'auto', justifyMode: 'auto' };
  if (kind === 'bars') return { reduceOptions, orientation: 'horizontal', displayMode: 'basic', showUnfilled: true };
  return {
    legend: { displayMode: 'table', placement: 'bottom', calcs: ['mean', 'max'], showLegend: true },
    tooltip: { mode: 'multi', sort: 'desc' },
  };
}
