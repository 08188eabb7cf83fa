// SPDX-License-Identifier: Apache-2.0
// All exports of flows: the one that the values ask for, and those of a file that may change at any time.

import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import { textHash } from '../base/hash.ts';
import { metricKinds, metricsOf } from '../base/metrics.ts';
import type { Metric } from '../base/metrics.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import type { FlowRing } from '../flows/flow-ring.ts';
import { dynamicWishes, staticWish } from './export-wishes.ts';
import type { ExportWish, StaticExport, Wishes } from './export-wishes.ts';
import { exporting } from './exporting.ts';
import type { Exporting } from './exporting.ts';

export type ExporterOptions = {
  readonly ring: FlowRing;
  /** 'cluster/node'. */
  readonly nodeName: string;
  readonly static: StaticExport | undefined;
  /** The file with all others, looked at every five seconds. */
  readonly dynamic: string | undefined;
  /** Default: 5 s. */
  readonly lookMs?: number;
  readonly clock: Clock;
  readonly report: (problems: readonly Problem[]) => void;
};

export type Exporter = AsyncDisposable & { readonly metrics: readonly Metric[] };

const LOOK_MS = 5000;

export function flowExporter({ dynamic, ...options }: ExporterOptions): Exporter {
  const { clock, report } = options;
  const fixed: Wishes = options.static ? staticWish(options.static) : { wishes: [], mistakes: [] };
  const exports = exportSet({ ...options, changed: () => tell() });
  const known: Known = { text: '', mistakes: [], appliedAt: 0 };
  const tell = () => report([...[...fixed.mistakes, ...known.mistakes].map(misread), ...exports.running().flatMap(troubled)]);
  const look = async (path: string) => {
    const { text, failure } = await textOf(path);
    if (failure === undefined && text === known.text) return;
    const { wishes, mistakes } = failure === undefined ? dynamicWishes(text) : { wishes: undefined, mistakes: [failure] };
    known.mistakes = mistakes;
    if (wishes) {
      [known.text, known.appliedAt] = [text, clock.now()];
      await exports.become([...fixed.wishes, ...wishes]);
    }
    tell();
  };
  const over = new AbortController();
  const rounds = (async () => {
    await exports.become(fixed.wishes);
    tell();
    while (dynamic !== undefined && !over.signal.aborted) {
      await look(dynamic);
      await setTimeout(options.lookMs ?? LOOK_MS, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
    }
  })();
  return {
    metrics: dynamic === undefined ? [] : metricsOf(exporterMetrics, { exports, known }),
    async [Symbol.asyncDispose]() {
      over.abort();
      await rounds;
      await exports.become([]);
    },
  };
}

type Known = { text: string; mistakes: readonly string[]; appliedAt: number };

/** A file that is not there says nothing; of another that cannot be read what it said last holds. */
async function textOf(path: string): Promise<{ readonly text: string; readonly failure: string | undefined }> {
  try {
    return { text: await readFile(path, 'utf8'), failure: undefined };
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? { text: '', failure: undefined } : { text: '', failure: messageOf(error) };
  }
}

type ExportSet = {
  running(): readonly Exporting[];
  readonly changes: Readonly<Record<'add' | 'update' | 'remove', number>>;
  /** Those that are the same go on. */
  become(wishes: readonly ExportWish[]): Promise<void>;
};

function exportSet(options: Omit<ExporterOptions, 'dynamic'> & { readonly changed: () => void }): ExportSet {
  const running = new Map<string, Exporting>();
  const changes = { add: 0, update: 0, remove: 0 };
  return {
    running: () => [...running.values()],
    changes,
    async become(wishes) {
      for (const [name, one] of running) {
        const wish = wishes.find((other) => other.name === name);
        if (wish && sameRow(wish, one.wish)) continue;
        await one[Symbol.asyncDispose]();
        running.delete(name);
        if (wish) {
          running.set(name, exporting(wish, options));
          changes.update++;
        } else changes.remove++;
      }
      for (const wish of wishes) {
        if (running.has(wish.name)) continue;
        running.set(wish.name, exporting(wish, options));
        changes.add++;
      }
    },
  };
}

function misread(message: string): Problem {
  return problem({
    object: `Config hubble.export ${message.split(':')[0]}`,
    reason: 'FlowExportMisread',
    message: `Flows are not exported as this says: ${message}`,
    advice: 'Correct it in hubble.export of the values, or in the ConfigMap of its dynamic part',
  });
}

function troubled({ wish, trouble }: Exporting): readonly Problem[] {
  if (trouble === undefined) return [];
  return [
    problem({
      object: `Config hubble.export ${wish.name}`,
      reason: 'FlowExportFails',
      message: `Flows cannot be written to ${wish.filePath}: ${trouble}`,
      advice: 'Make room, or let it go to another place; what comes meanwhile is not in the file',
    }),
  ];
}

type Counted = { readonly exports: Pick<ExportSet, 'running' | 'changes'>; readonly known: Readonly<Known> };
const { gauge, counter } = metricKinds<Counted>();

export const exporterMetrics = [
  gauge('hubble_dynamic_exporter_exporters_total', 'Number of configured exporters', ['status'], ({ exports }) =>
    [false, true].map((ended) => ({
      labels: { status: ended ? 'inactive' : 'active' },
      value: exports.running().filter((one) => one.ended === ended).length,
    })),
  ),
  gauge('hubble_dynamic_exporter_up', 'Status of exporter (1 - active, 0 - inactive)', ['name'], ({ exports }) =>
    exports.running().map(({ wish, ended }) => ({ labels: { name: wish.name }, value: ended ? 0 : 1 })),
  ),
  counter('hubble_dynamic_exporter_reconfigurations_total', 'Number of dynamic exporters reconfigurations', ['op'], ({ exports }) =>
    Object.entries(exports.changes).map(([op, value]) => ({ labels: { op }, value })),
  ),
  gauge('hubble_dynamic_exporter_config_hash', 'Hash of last applied config', [], ({ known }) => [{ value: textHash(known.text) }]),
  gauge('hubble_dynamic_exporter_config_last_applied', 'Timestamp of last applied config', [], ({ known }) => [
    { value: Math.round(known.appliedAt / 1000) },
  ]),
  counter('stentor_flow_export_lost_total', 'Flows that were not written, as the disk did not take them', ['name'], ({ exports }) =>
    exports.running().map(({ wish, lost }) => ({ labels: { name: wish.name }, value: lost })),
  ),
];
