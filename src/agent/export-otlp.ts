// SPDX-License-Identifier: Apache-2.0
// Flows as log records of OpenTelemetry, posted to a collector: OTLP over HTTP, in its JSON encoding.
// https://opentelemetry.io/docs/specs/otlp/#otlphttp
//
//   entries ─ up to 512, or what a second brings ─▶ POST …/v1/logs ─┬─▶ taken
//                                                                   ├─▶ busy: again, each time later, while there is room for more
//                                                                   └─▶ refused: left out and counted
//
// Nobody waits for the collector: what comes while there is no room is left out and counted.

import { setTimeout as pause } from 'node:timers/promises';
import { backoff } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Entry } from '../flows/flow-ring.ts';
import { enumName, Verdict } from '../flows/flow-enums.ts';
import { DropReason } from '../flows/drop-reasons.ts';
import type { Flow, Layer4 } from '../flows/flow.ts';
import { version } from './version.ts';

export type OtlpOptions = {
  /** With its path, which usually is /v1/logs. */
  readonly url: string;
  /** 'cluster/node'. */
  readonly nodeName: string;
  /** The line that a file would get. */
  readonly line: (entry: Entry) => string;
  /** Told of what does not go; undefined: it goes again. */
  readonly trouble: (message: string | undefined) => void;
};

export type OtlpExport = AsyncDisposable & {
  take(entries: readonly Entry[]): void;
  /** Records that were left out. */
  readonly lost: number;
};

const VERSION = version();
const BATCH = 512;
const MOST_WAITING = 8192;
const LINGER_MS = 1000;
const PATIENCE_MS = 10_000;
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [1000, 30_000];
/** Those of a collector that may take it later. */
const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export function otlpExport(options: OtlpOptions): OtlpExport {
  const { trouble } = options;
  const waiting: Entry[] = [];
  let lost = 0;
  let ok = true;
  let work: Promise<void> | undefined;
  const over = new AbortController();
  const say = (message: string | undefined) => {
    if (message !== undefined || !ok) trouble(message);
    ok = message === undefined;
  };
  const sendAll = async () => {
    if (waiting.length < BATCH) await pause(LINGER_MS, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH);
      for (let attempt = 0; ; attempt++) {
        const answer = await posted(batch, options);
        say(answer.message);
        if (answer.again && !over.signal.aborted) {
          await pause(backoff(attempt, FIRST_RETRY_MS, LAST_RETRY_MS), undefined, { signal: over.signal, ref: false }).catch(
            () => undefined,
          );
          continue;
        }
        lost += answer.lost;
        break;
      }
    }
    work = undefined;
  };
  return {
    take(entries) {
      const room = MOST_WAITING - waiting.length;
      lost += Math.max(0, entries.length - room);
      waiting.push(...entries.slice(0, room));
      if (waiting.length > 0) work ??= sendAll();
    },
    get lost() {
      return lost;
    },
    async [Symbol.asyncDispose]() {
      over.abort();
      while (work) await work;
    },
  };
}

type Answer = { readonly again: boolean; readonly lost: number; readonly message: string | undefined };

async function posted(batch: readonly Entry[], options: OtlpOptions): Promise<Answer> {
  const all = batch.length;
  try {
    const answer = await fetch(options.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(logsOf(batch, options)),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = await answer.text();
    if (answer.ok) return { again: false, ...rejectedIn(text) };
    return { again: BUSY.has(answer.status), lost: all, message: `the collector answers with status ${answer.status}` };
  } catch (error) {
    return { again: true, lost: all, message: messageOf(error) };
  }
}

/** A collector may take some records and not others. */
function rejectedIn(text: string): Pick<Answer, 'lost' | 'message'> {
  const [, count = '0'] = /"rejectedLogRecords"\s*:\s*"?(\d+)/.exec(text) ?? [];
  return count === '0' ? { lost: 0, message: undefined } : { lost: Number(count), message: `the collector refuses ${count} records` };
}

type Attribute = { readonly key: string; readonly value: { readonly stringValue: string } | { readonly intValue: string } };
const text = (key: string, value: string | undefined): readonly Attribute[] => (value ? [{ key, value: { stringValue: value } }] : []);
const number = (key: string, value: number | undefined): readonly Attribute[] =>
  value ? [{ key, value: { intValue: String(value) } }] : [];

/** An ExportLogsServiceRequest. */
export function logsOf(entries: readonly Entry[], { nodeName, line }: Pick<OtlpOptions, 'nodeName' | 'line'>): object {
  const [cluster = '', node = ''] = nodeName.split('/');
  const attributes = [...text('service.name', 'hubble'), ...text('k8s.cluster.name', cluster), ...text('k8s.node.name', node)];
  const logRecords = entries.map((entry) => ({ ...recordOf(entry), body: { stringValue: line(entry).trimEnd() } }));
  return { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ scope: { name: 'stentor', version: VERSION }, logRecords }] }] };
}

const [INFO, WARN] = [9, 13];

function recordOf(entry: Entry): object {
  if (entry.kind === 'lost')
    return {
      timeUnixNano: String(entry.lost.last ?? 0n),
      severityNumber: WARN,
      severityText: 'LOST',
      attributes: number('hubble.lost', Number(entry.lost.numEventsLost ?? 0n)),
    };
  const { flow } = entry;
  return {
    timeUnixNano: String(flow.time),
    severityNumber: flow.verdict === Verdict.DROPPED || flow.verdict === Verdict.ERROR ? WARN : INFO,
    severityText: enumName(Verdict, flow.verdict),
    attributes: attributesOf(flow),
  };
}

const portsIn = (l4: Layer4 | undefined) => (l4 && 'destinationPort' in l4 ? l4 : undefined);

/** What one asks by, under the names of OpenTelemetry where it has some; all the rest is in the body. */
function attributesOf(flow: Flow): readonly Attribute[] {
  const { source, destination, ip, l4, l7 } = flow;
  const http = l7?.record?.kind === 'http' ? l7.record : undefined;
  return [
    ...text('hubble.verdict', enumName(Verdict, flow.verdict)),
    ...(flow.verdict === Verdict.DROPPED ? text('hubble.drop_reason', enumName(DropReason, flow.dropReasonDesc ?? 0)) : []),
    ...text('network.transport', l4?.kind.toLowerCase()),
    ...text('source.address', ip?.source),
    ...number('source.port', portsIn(l4)?.sourcePort),
    ...text('source.k8s.namespace.name', source?.namespace),
    ...text('source.k8s.pod.name', source?.podName),
    ...text('destination.address', ip?.destination),
    ...number('destination.port', portsIn(l4)?.destinationPort),
    ...text('destination.k8s.namespace.name', destination?.namespace),
    ...text('destination.k8s.pod.name', destination?.podName),
    ...text('http.request.method', http?.method),
    ...number('http.response.status_code', http?.code),
    ...text('dns.question.name', l7?.record?.kind === 'dns' ? l7.record.query : undefined),
  ];
}
