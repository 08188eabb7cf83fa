// SPDX-License-Identifier: Apache-2.0
// The counts of links in a table: how much, how fast, and what went wrong.

import { dropReasonTexts } from '../../src/flows/drop-reasons.ts';
import type { LinkCounts, MapLink } from '../../src/page/graph.ts';
import { latency, percent, perSecond, short } from '../format.ts';

export const portText = ({ protocol, port, layer7 }: MapLink): string =>
  `${port > 0 ? `${port}/` : ''}${protocol}${layer7 ? ` ${layer7}` : ''}`;

export const reasonText = (reason: number | undefined): string =>
  reason === undefined ? '' : (dropReasonTexts[reason] ?? `reason ${reason}`);

/** What counts of a link: requests where they are seen, else connections. */
export function rateText({ requests, connections }: LinkCounts, seconds: number): string {
  return requests > 0 ? `${perSecond(requests, seconds)} requests` : `${perSecond(connections, seconds)} conn.`;
}

export function Latencies({ counts: { p50, p99 } }: { readonly counts: LinkCounts }) {
  return p50 === undefined || p99 === undefined ? (
    <span class="muted">–</span>
  ) : (
    <span>
      {latency(p50)} / {latency(p99)}
    </span>
  );
}

export function Troubles({ counts: { drops, errors, requests, audits, reason } }: { readonly counts: LinkCounts }) {
  const parts = [
    drops > 0 && (
      <span class="bad" key="drops" title={reasonText(reason)}>
        {short(drops)} dropped
      </span>
    ),
    errors > 0 && (
      <span class="warn" key="errors">
        {percent(errors / Math.max(requests, 1))} errors
      </span>
    ),
    audits > 0 && (
      <span class="warn" key="audits">
        {short(audits)} audited
      </span>
    ),
  ].filter((part) => part !== false);
  return parts.length === 0 ? <span class="muted">–</span> : <span class="troubles">{parts}</span>;
}
