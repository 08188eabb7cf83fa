// SPDX-License-Identifier: Apache-2.0
// `hubble observe`: flows from a server or a file, as the flags want them printed.
//
//   flags ─ filters, selection, mask ─▶ GetFlowsRequest ─ server ─▶ responses ─ exactly as many as were asked for ─▶ printer ─▶ text

import { isatty } from 'node:tty';
import type { GetFlowsRequest, GetFlowsResponse } from '../../hubble/observer.ts';
import { RpcError } from '../../grpc/status.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { filtersOf, rawFilterText } from './filters.ts';
import { help, observeFlags, requestOf } from './observe-flags.ts';
import { interruptible } from './interrupt.ts';
import { nodes, nodeStatusText, partialText } from './node-status.ts';
import { printerFor } from './printer.ts';
import type { Printer } from './printer.ts';
import { exactly } from './selection.ts';
import { flowsFrom, serverError, serverOf } from './server.ts';
import type { Whom } from './server.ts';
import { settingsOf } from './settings.ts';
import type { Settings } from './settings.ts';
import { colored, uncolored } from './colors.ts';
import { timeFormatIn } from './time.ts';

export { help };
/** Flags with sides stand in the help once. */
export const options = observeFlags.flatMap(({ name }) => (/^(from|to)-/.test(name) ? [`--${name}`] : []));

export async function run(args: readonly string[], io: Io): Promise<number> {
  const settings = settingsOf(args, observeFlags, 1);
  const [what = 'flows'] = settings.words;
  if (what === 'agent-events' || what === 'debug-events') return (await import('./events.ts')).eventKinds[what](settings, io);
  if (what !== 'flows') throw new UsageError(`Cannot observe '${what}', wanted flows, agent-events or debug-events`);
  if (settings.on('print-raw-filters')) {
    io.out(rawFilterText(filtersOf(settings.typed)));
    return 0;
  }
  const printer = printerOf(settings, io);
  const request = requestOf(settings, { now: Date.now(), last: 20, json: printer.json });
  const file = settings.text('input-file');
  const warn = (text: string) => (settings.on('silent-errors') ? undefined : io.err(text));
  if (file === undefined) await observeServer(settings, request, { printer, warn, agentSocket: io.socket });
  else {
    const { flowsInFile } = await import('./input-file.ts'); // filters are heavy, and a server has them
    await show(exactly(flowsInFile(file, request, warn), request), { printer, settings, warn });
  }
  printer.end();
  return 0;
}

function printerOf(settings: Settings, io: Io): Printer {
  const when = settings.text('color') ?? 'auto';
  if (!['auto', 'always', 'never'].includes(when)) throw new UsageError(`Cannot colour '${when}', wanted auto, always or never`);
  const colors = when === 'always' || (when === 'auto' && isatty(1) && !process.env['NO_COLOR']) ? colored : uncolored;
  return printerFor(settings.text('output') ?? 'compact', {
    timeFormat: timeFormatIn(settings.text('time-format') ?? 'StampMilli'),
    nodeName: settings.on('print-node-name'),
    policyNames: settings.on('print-policy-names'),
    translate: settings.on('ip-translation') && !settings.on('numeric'),
    colors,
    follow: settings.on('follow'),
    bare: process.env['HUBBLE_COMPAT']?.split(/[ ,]/).includes('legacy-json-output') ?? false,
    out: io.out,
  });
}

type Shown = { readonly printer: Printer; readonly warn: (text: string) => void };

async function observeServer(settings: Settings, request: GetFlowsRequest, { agentSocket, ...shown }: Shown & Whom): Promise<void> {
  await using server = await serverOf(settings, { agentSocket });
  if (server.nodes !== undefined) shown.warn(partialText(server.nodes));
  await interruptible(async (signal) => {
    try {
      await show(exactly(flowsFrom(server, request, signal), request), { ...shown, settings });
    } catch (error) {
      throw error instanceof RpcError ? serverError(error, server) : error;
    }
  });
}

async function show(
  responses: AsyncIterable<readonly GetFlowsResponse[]>,
  { printer, settings, warn }: Shown & { readonly settings: Settings },
): Promise<void> {
  const format = timeFormatIn(settings.text('time-format') ?? 'StampMilli');
  const known = nodes();
  let told: string | undefined;
  for await (const batch of responses) {
    for (const response of batch)
      if (!response.nodeStatus || printer.json) printer.print(response);
      else {
        known.note(response.nodeStatus);
        const text = nodeStatusText(response, format, settings.on('debug'));
        if (text !== undefined) warn(text);
      }
    printer.flush();
    if (known.partial !== told && known.partial !== undefined) warn(partialText(known.partial));
    told = known.partial;
  }
}
