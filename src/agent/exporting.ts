// SPDX-License-Identifier: Apache-2.0
// Flows into one file, as JSON lines that `hubble observe --input-file` and every collector of logs reads, or to a collector:
//
//   ring ─ a reader at its own pace ─▶ filters ─▶ mask ─▶ {"flow":{…},"node_name":"…","time":"…"} ─▶ file
//
// One that is too slow misses flows and writes down how many; nobody waits for it.

import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import type { Entry, FlowRing } from '../flows/flow-ring.ts';
import { toJson } from '../grpc/json.ts';
import { responseCodec } from '../hubble/field-mask.ts';
import { flowPredicate } from '../hubble/filter.ts';
import { exportFile } from './export-file.ts';
import { otlpExport } from './export-otlp.ts';
import type { ExportWish } from './export-wishes.ts';

export type Exporting = AsyncDisposable & {
  readonly wish: ExportWish;
  /** Why nothing is written. */
  readonly trouble: string | undefined;
  /** Lines that the disk did not take. */
  readonly lost: number;
  /** Its time is over. */
  readonly ended: boolean;
};

export type ExportingOptions = {
  readonly ring: FlowRing;
  readonly nodeName: string;
  readonly clock: Clock;
  /** Told when `trouble` changes. */
  readonly changed: () => void;
};

const BATCH = 256;

/** Begins with what comes now. */
export function exporting(wish: ExportWish, { ring, nodeName, clock, changed }: ExportingOptions): Exporting {
  let trouble: string | undefined;
  const sink = sinkFor(wish, nodeName, clock, (message) => {
    trouble = message;
    changed();
  });
  const over = new AbortController();
  const ended = () => over.signal.aborted || (wish.end !== undefined && clock.now() >= wish.end);
  const reader = ring.read({ follow: true, matches: flowPredicate({ whitelist: wish.include, blacklist: wish.exclude }) });
  let work: Promise<void> | undefined;
  const copy = async () => {
    while (reader.pending && !ended()) {
      const entries = reader.take(BATCH);
      if (entries.length > 0) sink.take(entries);
      await setImmediate();
    }
    work = undefined;
  };
  const stop = ring.listen(() => void (work ??= copy()));
  return {
    wish,
    get trouble() {
      return trouble;
    },
    get lost() {
      return sink.lost;
    },
    get ended() {
      return ended();
    },
    async [Symbol.asyncDispose]() {
      stop();
      over.abort();
      await work;
      await sink[Symbol.asyncDispose]();
    },
  };
}

type Sink = AsyncDisposable & { take(entries: readonly Entry[]): void; readonly lost: number };

/** A collector where a file could be: its URL. */
const COLLECTOR = /^https?:\/\//;

function sinkFor(wish: ExportWish, nodeName: string, clock: Clock, trouble: (message: string | undefined) => void): Sink {
  const line = lineFor(wish, nodeName);
  if (COLLECTOR.test(wish.filePath)) return otlpExport({ url: wish.filePath, nodeName, line, trouble });
  const file = exportFile({
    path: wish.filePath,
    maxBytes: wish.maxSizeMb * 1024 * 1024,
    backups: wish.maxBackups,
    compress: wish.compress,
    now: () => clock.now(),
    trouble,
  });
  return {
    take: (entries) => file.append(entries.map(line).join(''), entries.length),
    get lost() {
      return file.lost;
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

/** What the mask leaves out is left out of the envelope too. */
function lineFor({ fieldMask }: ExportWish, nodeName: string): (entry: Entry) => string {
  const codec = responseCodec(fieldMask);
  const has = (path: string) => fieldMask.length === 0 || fieldMask.includes(path);
  const [named, timed] = [has('node_name'), has('time')];
  return (entry) => {
    if (entry.kind === 'lost') return `${JSON.stringify(toJson(codec, { lostEvents: entry.lost, nodeName, time: entry.lost.last }))}\n`;
    const { flow } = entry;
    return `${JSON.stringify(toJson(codec, { flow, nodeName: named ? flow.nodeName : undefined, time: timed ? flow.time : undefined }))}\n`;
  };
}
