// SPDX-License-Identifier: Apache-2.0
// Flows from a file of JSON lines, as `-o json` and the exporter write them: the same filters choose among them, here instead of at a server.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { messageOf } from '../../base/errors.ts';
import { fromJson, JsonError } from '../../grpc/json.ts';
import { flow as flowMessage } from '../../hubble/flow-messages.ts';
import { getFlowsResponse } from '../../hubble/observer.ts';
import type { GetFlowsRequest, GetFlowsResponse } from '../../hubble/observer.ts';
import { flowPredicate } from '../../hubble/filter.ts';
import { UsageError } from '../command.ts';

/** Lines that are none are told, and left out. Throws UsageError for a file that cannot be read. */
export async function* flowsInFile(
  file: string,
  { whitelist = [], blacklist = [], since, until }: GetFlowsRequest,
  warn: (text: string) => void,
): AsyncIterable<readonly GetFlowsResponse[]> {
  const wanted = flowPredicate({ whitelist, blacklist });
  const seen = new Set<string>();
  const unknown = (path: string) => {
    if (seen.size === 0) warn(`Some fields of these flows are not known here, the first of them is ${path}\n`);
    seen.add(path);
  };
  const input = file === '-' ? process.stdin : createReadStream(file);
  let number = 0;
  try {
    for await (const line of createInterface({ input })) {
      number++;
      const response =
        line.trim() === '' ? undefined : responseIn(line, unknown, (why) => warn(`Line ${number} of ${file} is no flow: ${why}\n`));
      if (!response) continue;
      const { flow } = response;
      if (!flow) yield [response];
      else if ((since === undefined || flow.time >= since) && (until === undefined || flow.time <= until) && wanted(flow)) yield [response];
    }
  } catch (error) {
    throw new UsageError(`Cannot read --input-file ${file}: ${messageOf(error)}`);
  }
}

function responseIn(line: string, unknown: (path: string) => void, refuse: (why: string) => void): GetFlowsResponse | undefined {
  try {
    const json: unknown = JSON.parse(line);
    const enveloped = typeof json === 'object' && json !== null && ['flow', 'lost_events', 'node_status'].some((key) => key in json);
    if (enveloped) return fromJson(getFlowsResponse, json, unknown);
    const flow = fromJson(flowMessage, json, unknown);
    return { flow, nodeName: flow.nodeName, time: flow.time };
  } catch (error) {
    if (!(error instanceof JsonError || error instanceof SyntaxError)) throw error;
    refuse(error.message);
    return undefined;
  }
}
