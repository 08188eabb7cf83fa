// SPDX-License-Identifier: Apache-2.0
// dns: questions and answers by what was asked, and how it was answered. Labels say who sent the packet: an answer has the server as its source.

import type { Flow } from '../flow.ts';
import { L7FlowType, Verdict } from '../flow-enums.ts';
import type { Context } from './context.ts';
import { closed, open, vector } from './handler.ts';
import type { Handler, Has, Vector } from './handler.ts';
import { numberText, rcodeText } from './words.ts';

export function dnsHandler(context: Context, has: Has): Handler {
  const name = has('query') ? [open('query')] : [];
  const ignoreAaaa = has('ignoreaaaa');
  const labels = [closed('rcode'), open('qtypes'), open('ips_returned'), ...name];
  const queries = vector({ name: 'hubble_dns_queries_total', help: 'Number of DNS queries observed' }, labels, context);
  const responses = vector({ name: 'hubble_dns_responses_total', help: 'Number of DNS responses observed' }, labels, context);
  const types = vector(
    { name: 'hubble_dns_response_types_total', help: 'Number of DNS responses observed by type' },
    [open('type'), open('qtypes'), ...name],
    context,
  );
  const add = ({ family, values, own }: Vector, flow: Flow, texts: readonly string[]) => {
    for (let i = 0; i < own; i++) values[i] = texts[i] ?? '';
    context.fill(flow, values, own);
    family.add(values);
  };
  const count = (flow: Flow) => {
    const record = flow.l7?.record;
    if (record?.kind !== 'dns') return;
    const { qtypes = [], ips = [], rrtypes = [], query = '', rcode = 0 } = record;
    if (ignoreAaaa && qtypes.length === 1 && qtypes[0] === 'AAAA') return;
    const asked = qtypes.length === 1 ? (qtypes[0] ?? '') : qtypes.join(',');
    if (flow.verdict === Verdict.DROPPED) add(queries, flow, ['Policy denied', asked, '0', query]);
    else if (flow.l7?.type !== L7FlowType.RESPONSE) add(queries, flow, ['', asked, '0', query]);
    else {
      add(responses, flow, [rcodeText(rcode), asked, numberText(ips.length), query]);
      for (const type of rrtypes) add(types, flow, [type, asked, query]);
    }
  };
  return { families: [queries.family, responses.family, types.family], count };
}
