// SPDX-License-Identifier: Apache-2.0
// `hubble observe agent-events` and `debug-events`: what an agent itself did, and what its data plane says to whoever mends it. Only an
// agent tells of them, so one is asked.

import { enumName, AgentEventType } from '../../flows/flow-enums.ts';
import type { AgentEvent, AgentNotification, DebugEvent, Nanoseconds } from '../../flows/flow.ts';
import { toJson } from '../../grpc/json.ts';
import type { Codec } from '../../grpc/message.ts';
import type { Method } from '../../grpc/method.ts';
import { RpcError } from '../../grpc/status.ts';
import { debugEventTypes } from '../../hubble/debug-event-types.ts';
import { observer } from '../../hubble/observer.ts';
import type { EventsRequest } from '../../hubble/observer.ts';
import { columns } from '../columns.ts';
import type { Io } from '../command.ts';
import { UsageError } from '../command.ts';
import { harmless } from './colors.ts';
import { interruptible } from './interrupt.ts';
import { selectionOf } from './observe-flags.ts';
import { serverError, serverOf } from './server.ts';
import type { Settings } from './settings.ts';
import { timeFormatIn, timeText } from './time.ts';
import type { TimeFormat } from './time.ts';

type Response = { readonly nodeName?: string | undefined; readonly time?: Nanoseconds | undefined };
type Shape<R> = {
  readonly method: Method<EventsRequest, R>;
  /** Type and details of an event, and what stands between time and type. */
  readonly words: (response: R, format: TimeFormat) => { readonly from?: string; readonly type: string; readonly details: string };
};

const agentShape: Shape<Response & { readonly agentEvent?: AgentEvent | undefined }> = {
  method: observer.getAgentEvents,
  words: ({ agentEvent }, format) => agentWords(agentEvent, format),
};
const debugShape: Shape<Response & { readonly debugEvent?: DebugEvent | undefined }> = {
  method: observer.getDebugEvents,
  words: ({ debugEvent }) => debugWords(debugEvent),
};

export const eventKinds = {
  'agent-events': (settings: Settings, io: Io) => show(agentShape, settings, io),
  'debug-events': (settings: Settings, io: Io) => show(debugShape, settings, io),
};

const DEFAULT_LAST = 20;

async function show<R extends Response>(shape: Shape<R>, settings: Settings, io: Io): Promise<number> {
  const format = timeFormatIn(settings.text('time-format') ?? 'StampMilli');
  const text = printerFor(settings.text('output') ?? 'compact', { shape, format, node: settings.on('print-node-name') });
  const request: EventsRequest = selectionOf(settings, { now: Date.now(), last: DEFAULT_LAST });
  await using server = await serverOf(settings, { agentSocket: io.socket, agent: true });
  const table: R[] = [];
  await interruptible(async (signal) => {
    try {
      for await (const batch of server.client.stream(shape.method, request, { signal, metadata: server.metadata }))
        if (text.together) table.push(...batch);
        else io.out(batch.map((one) => text.of([one])).join(''));
    } catch (error) {
      throw error instanceof RpcError ? serverError(error, server) : error;
    }
  });
  if (text.together) io.out(text.of(table));
  return 0;
}

type Print<R> = { readonly together: boolean; readonly of: (responses: readonly R[]) => string };
type How<R> = { readonly shape: Shape<R>; readonly format: TimeFormat; readonly node: boolean };

function printerFor<R extends Response>(output: string, how: How<R>): Print<R> {
  const { shape, format, node } = how;
  const each = (of: (response: R) => string): Print<R> => ({ together: false, of: (responses) => responses.map(of).join('') });
  const cells = (response: R) => {
    const { from, type, details } = shape.words(response, format);
    return [
      ['TIMESTAMP', timeText(response.time, format)],
      ...(node ? [['NODE', harmless(response.nodeName ?? '')]] : []),
      ...(from === undefined ? [] : [['FROM', from]]),
      ['TYPE', type],
      ['DETAILS', details],
    ] as const;
  };
  switch (output) {
    case 'compact':
      return each((response) => {
        const { from, type, details } = shape.words(response, format);
        const where = node ? ` [${harmless(response.nodeName ?? '')}]` : '';
        const tail = details === '' ? '' : from === undefined ? ` (${details})` : ` ${details}`;
        return `${timeText(response.time, format)}${where}: ${from === undefined ? '' : `${from} `}${type}${tail}\n`;
      });
    case 'json':
    case 'jsonpb': {
      const codec: Codec<R> = shape.method.response;
      return each((response) => `${JSON.stringify(toJson(codec, response))}\n`);
    }
    case 'dict':
      return each((response) =>
        cells(response)
          .map(([key = '', text = '']) => `${key.padStart(11)}: ${text}\n`)
          .join(''),
      );
    case 'tab':
    case 'table':
      return {
        together: true,
        of: (responses) => {
          const rows = responses.map(cells);
          const header = rows[0]?.map(([key = '']) => key) ?? ['TIMESTAMP', 'TYPE', 'DETAILS'];
          return columns([header, ...rows.map((row) => row.map(([, text = '']) => text))], { minWidth: 2, padding: 3 });
        },
      };
  }
  throw new UsageError(`Cannot print as '${output}', wanted one of compact, dict, table, json, jsonpb`);
}

export function agentWords(event: AgentEvent | undefined, format: TimeFormat): { readonly type: string; readonly details: string } {
  if (!event?.notification) return { type: 'UNKNOWN', details: '' };
  return { type: enumName(AgentEventType, event.type ?? 0), details: harmless(details(event.notification, format)) };
}

function details(said: AgentNotification, format: TimeFormat): string {
  const list = (labels: readonly string[] = []) => `[${labels.join(',')}]`;
  switch (said.kind) {
    case 'agentStart':
      return `start time: ${timeText(said.time, format)}`;
    case 'policyUpdate':
      return `labels: ${list(said.labels)}, revision: ${said.revision ?? 0}, count: ${said.ruleCount ?? 0}`;
    case 'endpointRegenerate':
      return `id: ${said.id ?? 0}, labels: ${list(said.labels)}${said.error ? `, error: ${said.error}` : ''}`;
    case 'endpointUpdate':
      return `id: ${said.id ?? 0}, namespace: ${said.namespace ?? ''}, pod name: ${said.podName ?? ''}`;
    case 'ipcacheUpdate': {
      const old = said.oldIdentity === undefined ? '' : `, old identity: ${said.oldIdentity}`;
      const host = `${said.hostIp ? `, host ip: ${said.hostIp}` : ''}${said.oldHostIp ? `, old host ip: ${said.oldHostIp}` : ''}`;
      return `cidr: ${said.cidr ?? ''}, identity: ${said.identity ?? 0}${old}${host}, encrypt key: ${said.encryptKey ?? 0}`;
    }
    case 'unknown':
      return `type: ${said.type ?? ''}, notification: ${said.notification ?? ''}`;
  }
}

export function debugWords(event: DebugEvent | undefined): { readonly from: string; readonly type: string; readonly details: string } {
  const { source, hash, cpu, message } = event ?? {};
  const pod = source?.podName
    ? `${source.namespace ? `${source.namespace}/` : ''}${source.podName} (ID: ${source.id ?? 0})`
    : source?.id
      ? `ID: ${source.id}`
      : 'N/A';
  const mark = hash === undefined ? 'N/A' : `0x${hash.toString(16)}`;
  const processor = cpu === undefined ? 'N/A' : String(cpu).padStart(2, '0');
  return {
    from: harmless(pod),
    type: enumName(debugEventTypes, event?.type ?? 0),
    details: `MARK: ${mark} CPU: ${processor} (${harmless(message ?? 'N/A')})`,
  };
}
