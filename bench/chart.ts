// SPDX-License-Identifier: Apache-2.0
// Bars with their 95 % intervals, as SVG. Pure.
import { number } from './table.ts';
import type { Bars } from './table.ts';

const LEFT = 230;
const WIDTH = 420;
const ROW = 22;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** One picture with the charts below each other. */
export function svg(charts: readonly Bars[]): string {
  let top = 10;
  const parts = charts.map((chart) => {
    const part = `<g transform="translate(10,${top})">${drawn(chart)}</g>`;
    top += heightOf(chart) + 16;
    return part;
  });
  const style =
    'text{font:13px sans-serif;fill:#222}.title{font-weight:bold}.ours{fill:#2a78b8}.other{fill:#b5b5b5}.aim{stroke:#c33;stroke-dasharray:4 3}.whisker{stroke:#222}';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 110}" height="${top}"><style>${style}</style><rect width="100%" height="100%" fill="#fff"/>${parts.join('\n')}</svg>\n`;
}

const heightOf = ({ bars }: Bars): number => (bars.length + 1) * ROW;

function drawn({ title, unit, aim, bars }: Bars): string {
  const most = Math.max(...bars.map(({ value }) => value.high), aim ?? 0) || 1;
  const x = (value: number) => (LEFT + (value / most) * WIDTH).toFixed(1);
  const rows = bars.map(({ label, value, other }, index) => {
    const y = (index + 1) * ROW;
    const bar = `<rect class="${other === true ? 'other' : 'ours'}" x="${LEFT}" y="${y}" width="${((value.middle / most) * WIDTH).toFixed(1)}" height="${ROW - 6}"/>`;
    const whisker = `<line class="whisker" x1="${x(value.low)}" x2="${x(value.high)}" y1="${y + 8}" y2="${y + 8}"/>`;
    const name = `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${escaped(label)}</text>`;
    return `${bar}${whisker}${name}<text x="${Number(x(Math.max(value.high, value.middle))) + 6}" y="${y + 13}">${number(value.middle)}</text>`;
  });
  const line =
    aim === undefined ? '' : `<line class="aim" x1="${x(aim)}" x2="${x(aim)}" y1="${ROW - 4}" y2="${heightOf({ title, unit, bars })}"/>`;
  return `<text class="title" y="12">${escaped(title)} (${escaped(unit)})</text>${rows.join('')}${line}`;
}
