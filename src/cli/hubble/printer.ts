// SPDX-License-Identifier: Apache-2.0
// Prints what a server answers, in the format that was asked for.

import type { Flow } from '../../flows/flow.ts';
import { toJson } from '../../grpc/json.ts';
import { flow as flowMessage } from '../../hubble/flow-messages.ts';
import { getFlowsResponse } from '../../hubble/observer.ts';
import type { GetFlowsResponse } from '../../hubble/observer.ts';
import { UsageError } from '../command.ts';
import { compactText, dictText, lossDictText, lossText, RECORD_SEPARATOR, tableText } from './flow-text.ts';
import type { Loss, TextOptions } from './flow-text.ts';

export type Printer = {
  /** Also what is neither flow nor loss is printed. */
  readonly json: boolean;
  print(response: GetFlowsResponse): void;
  /** Nothing more has come for now. */
  flush(): void;
  end(): void;
};

export type PrinterOptions = TextOptions & {
  readonly follow: boolean;
  /** JSON is the flow alone, as it was once. */
  readonly bare: boolean;
  readonly out: (text: string) => void;
};

/** Throws UsageError. */
export function printerFor(format: string, options: PrinterOptions): Printer {
  switch (format) {
    case 'compact':
      return lines(options, (response) => {
        const loss = lossIn(response);
        if (loss) return lossText(loss, options);
        return response.flow ? compactText(response.flow, options) : '';
      });
    case 'json':
    case 'jsonpb':
      return { ...lines(options, (response) => jsonText(response, format === 'json' && options.bare)), json: true };
    case 'dict': {
      let separator = '';
      return lines(options, (response) => {
        const loss = lossIn(response);
        const text = loss ? lossDictText(loss, options) : response.flow ? dictText(response.flow, options) : '';
        const before = text === '' ? '' : separator;
        if (text !== '') separator = RECORD_SEPARATOR;
        return before + text;
      });
    }
    case 'tab':
    case 'table':
      if (options.follow) throw new UsageError('Cannot follow in a table, whose columns are as wide as the widest of all: use -o compact');
      return table(options);
  }
  throw new UsageError(`Cannot print as '${format}', wanted one of compact, dict, table, json, jsonpb`);
}

function jsonText(response: GetFlowsResponse, bare: boolean): string {
  if (bare && !response.flow) return '';
  return `${JSON.stringify(bare && response.flow ? toJson(flowMessage, response.flow) : toJson(getFlowsResponse, response))}\n`;
}

function lossIn({ lostEvents, nodeName = '', time }: GetFlowsResponse): Loss | undefined {
  return lostEvents && { time, nodeName, lost: lostEvents };
}

/** What comes together is written together. */
function lines({ out }: PrinterOptions, text: (response: GetFlowsResponse) => string): Printer {
  let waiting = '';
  const flush = () => {
    if (waiting !== '') out(waiting);
    waiting = '';
  };
  return { json: false, print: (response) => void (waiting += text(response)), flush, end: flush };
}

function table(options: PrinterOptions): Printer {
  const flows: Flow[] = [];
  const losses: Loss[] = [];
  return {
    json: false,
    print(response) {
      const loss = lossIn(response);
      if (loss) losses.push(loss);
      else if (response.flow) flows.push(response.flow);
    },
    flush: () => undefined,
    end() {
      options.out(tableText(flows, options) + losses.map((loss) => lossText(loss, options)).join(''));
    },
  };
}
