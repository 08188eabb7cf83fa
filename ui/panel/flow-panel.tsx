// SPDX-License-Identifier: Apache-2.0
// One flow with everything that is known of it. A value that can be filtered by is a button.

import type { ComponentChildren } from 'preact';
import { DropReason, dropReasonTexts } from '../../src/flows/drop-reasons.ts';
import { enumName, Verdict as Verdicts } from '../../src/flows/flow-enums.ts';
import type { Flow, FlowEndpoint } from '../../src/flows/flow.ts';
import { rowOf } from '../../src/page/flow-row.ts';
import type { RowEnd } from '../../src/page/flow-row.ts';
import type { Term } from '../../src/page/view.ts';
import { useAnswer } from '../api.ts';
import { addTerm } from '../filter-bar.tsx';
import { Verdict } from '../flows/columns.tsx';
import { clock, day, latency } from '../format.ts';
import { go, goView } from '../location.ts';
import { explanationOf } from './explanation.ts';
import { flowOf } from './flow-words.ts';
import type { FlowJson } from './flow-words.ts';
import { Fact, PanelFrame } from './frame.tsx';

const AROUND_MS = 60_000;

export function FlowPanel({ uuid, time }: { readonly uuid: string; readonly time: string }) {
  const { value, error, isLoading } = useAnswer<FlowJson>(`api/flow?uuid=${encodeURIComponent(uuid)}&time=${time}`);
  const flow = value && flowOf(value);
  const at = Number(BigInt(time || '0') / 1_000_000n);
  return (
    <PanelFrame
      kind="Flow"
      title={
        <span class="mono">
          {day(at)} {clock(time || '0')}
        </span>
      }
    >
      {error && <p class="bad">{error}</p>}
      {isLoading && <p class="muted">Reading …</p>}
      {flow && <FlowFacts flow={flow} />}
      <div class="actions">
        <button
          type="button"
          data-test="around"
          onClick={() => goView({ range: { kind: 'past', since: at - AROUND_MS, until: at + AROUND_MS } })}
        >
          The minutes around it
        </button>
        {flow && <LinkButton flow={flow} />}
      </div>
      {value && <Raw value={value} />}
    </PanelFrame>
  );
}

function LinkButton({ flow }: { readonly flow: Flow }) {
  const { source, destination, reply } = rowOf(flow);
  const [from, to] = reply ? [destination.id, source.id] : [source.id, destination.id];
  return (
    <button type="button" onClick={() => go({ page: 'map', selection: { kind: 'link', from, to } })}>
      On the map
    </button>
  );
}

function Filter({
  kind,
  value,
  side = 'either',
  children,
}: {
  readonly kind: Term['kind'];
  readonly value: string;
  readonly side?: Term['side'];
  readonly children?: ComponentChildren;
}) {
  return (
    <button type="button" class="value" title="Filter by this" onClick={() => addTerm({ kind, side, not: false, value })}>
      {children ?? value}
    </button>
  );
}

function FlowFacts({ flow }: { readonly flow: Flow }) {
  const row = rowOf(flow);
  const explanation = explanationOf(flow);
  const record = flow.l7?.record;
  return (
    <>
      <p class="verdict-line">
        <Verdict row={row} /> {row.summary}
      </p>
      {explanation.length > 0 && (
        <div class="explanation">
          {explanation.map((line) => (
            <p key={line}>{line}</p>
          ))}
        </div>
      )}
      <div class="ends">
        <End title={row.reply ? 'From (answers)' : 'From'} side="from" end={row.source} endpoint={flow.source} />
        <End title={row.reply ? 'To (asked)' : 'To'} side="to" end={row.destination} endpoint={flow.destination} />
      </div>
      <dl>
        {flow.verdict === Verdicts.DROPPED && (
          <Fact name="Reason">
            <Filter
              kind="reason"
              value={enumName(DropReason, flow.dropReasonDesc ?? 0)
                .toLowerCase()
                .replaceAll('_', '-')}
            >
              {dropReasonTexts[flow.dropReasonDesc ?? 0]}
            </Filter>
          </Fact>
        )}
        <Fact name="Policies">{row.policies?.join(', ')}</Fact>
        <Fact name="Protocol">
          <Filter kind="protocol" value={(row.layer7 ?? row.protocol).toLowerCase()}>
            {[row.protocol, row.layer7].filter(Boolean).join(', ')}
          </Filter>
        </Fact>
        {record?.kind === 'http' && (
          <Fact name="Request">
            {record.method} {record.url}
          </Fact>
        )}
        {record?.kind === 'http' && record.code ? (
          <Fact name="Status">
            <Filter kind="status" value={String(record.code)} />
          </Fact>
        ) : undefined}
        {record?.kind === 'dns' && (
          <Fact name="Query">
            <Filter kind="query" value={record.query ?? ''} /> {record.qtypes?.join(', ')}
          </Fact>
        )}
        {record?.kind === 'dns' && <Fact name="Answer">{record.ips?.join(', ')}</Fact>}
        <Fact name="Latency">{row.latency === undefined ? undefined : latency(row.latency)}</Fact>
        <Fact name="Direction">{row.direction && <Filter kind="direction" value={row.direction} />}</Fact>
        <Fact name="Seen">{row.event}</Fact>
        <Fact name="Node">
          <Filter kind="node" value={row.node} />
        </Fact>
        <Fact name="Interface">{flow.interface?.name ?? (flow.interface?.index ? `index ${flow.interface.index}` : undefined)}</Fact>
        <Fact name="Source line">{flow.file?.name ? `${flow.file.name}:${flow.file.line ?? ''}` : undefined}</Fact>
        <Fact name="Source on the wire">{flow.ip?.sourceXlated}</Fact>
        <Fact name="Uuid">
          <span class="mono">{flow.uuid}</span>
        </Fact>
      </dl>
    </>
  );
}

type EndProps = { readonly title: string; readonly side: 'from' | 'to'; readonly end: RowEnd; readonly endpoint: FlowEndpoint | undefined };

function End({ title, side, end, endpoint }: EndProps) {
  const workload = endpoint?.workloads?.[0];
  return (
    <div>
      <h3>{title}</h3>
      <dl>
        <Fact name="Pod">{end.pod && <Filter kind="pod" side={side} value={`${end.namespace ?? ''}/${end.pod}`} />}</Fact>
        <Fact name="Workload">
          {workload?.name && (
            <Filter kind="at" side={side} value={end.id}>
              {workload.kind} {workload.name}
            </Filter>
          )}
        </Fact>
        <Fact name="Service">{end.service && <Filter kind="service" side={side} value={end.service} />}</Fact>
        <Fact name="Name">
          {end.names?.map((name) => (
            <Filter kind="name" side={side} value={name} key={name} />
          ))}
        </Fact>
        <Fact name="Address">{end.ip && <Filter kind="ip" side={side} value={end.ip} />}</Fact>
        <Fact name="Port">{end.port && <Filter kind="port" side={side} value={String(end.port)} />}</Fact>
        <Fact name="Identity">{end.identity && <Filter kind="identity" side={side} value={String(end.identity)} />}</Fact>
        <Fact name="Labels">
          {endpoint?.labels && (
            <span class="labels">
              {endpoint.labels.map((label) => (
                <span class="label" key={label}>
                  {label}
                </span>
              ))}
            </span>
          )}
        </Fact>
      </dl>
    </div>
  );
}

function Raw({ value }: { readonly value: FlowJson }) {
  return (
    <details class="raw">
      <summary>Everything, as JSON</summary>
      <pre>{JSON.stringify(value, undefined, 2)}</pre>
    </details>
  );
}
