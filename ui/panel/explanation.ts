// SPDX-License-Identifier: Apache-2.0
// Why a flow fared as it did, in sentences, as far as the flow itself says.

import { dropReasonTexts } from '../../src/flows/drop-reasons.ts';
import type { Flow, FlowPolicy } from '../../src/flows/flow.ts';
import { Verdict } from '../../src/flows/flow-enums.ts';

const nameOf = ({ kind, namespace, name }: FlowPolicy) => `${kind ?? 'policy'} ${namespace ? `${namespace}/` : ''}${name ?? ''}`;
const listed = (some: readonly FlowPolicy[] | undefined) => (some ?? []).map(nameOf).join(', ');

export function explanationOf(flow: Flow): readonly string[] {
  const lines: string[] = [];
  const [denied, allowed] = [
    listed([...(flow.egressDeniedBy ?? []), ...(flow.ingressDeniedBy ?? [])]),
    [listed(flow.egressAllowedBy), listed(flow.ingressAllowedBy)],
  ];
  if (flow.verdict === Verdict.DROPPED) {
    const reason = dropReasonTexts[flow.dropReasonDesc ?? flow.dropReason ?? 0] ?? 'a reason without a name';
    lines.push(`${flow.nodeName.split('/').at(-1)} dropped it: ${reason}.`);
    if (denied !== '') lines.push(`Denied by ${denied}.`);
  }
  if (allowed[0]) lines.push(`The way out is allowed by ${allowed[0]}.`);
  if (allowed[1]) lines.push(`The way in is allowed by ${allowed[1]}.`);
  for (const line of flow.policyLog ?? []) lines.push(line);
  return lines;
}
