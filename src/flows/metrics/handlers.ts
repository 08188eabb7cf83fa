// SPDX-License-Identifier: Apache-2.0
// What each metric of flows counts, and under which labels. Labels of the context follow those of the metric.

import type { Flow } from '../flow.ts';
import { TcpFlag } from '../flow.ts';
import { DropReason } from '../drop-reasons.ts';
import { enumName, IpVersion, MessageType, Verdict } from '../flow-enums.ts';
import type { Context } from './context.ts';
import { directionText } from './context.ts';
import { dnsHandler } from './dns.ts';
import { closed, counter, open, vector, wasForwarded } from './handler.ts';
import type { Handler, Has } from './handler.ts';
import { httpHandler, httpV2Handler } from './http.ts';
import { matchText, numberText, protocolText, typeWords } from './words.ts';

export type HandlerKind = { readonly options: readonly string[]; readonly handler: (context: Context, has: Has) => Handler };

const familyText = ({ ip }: Flow): string => (ip?.ipVersion === IpVersion.IPv6 ? 'IPv6' : 'IPv4');
const verdictNames = Object.keys(Verdict);
const verdictText = (verdict: number): string => verdictNames[verdict] ?? String(verdict);
const actions = verdictNames.map((name) => name.toLowerCase());
const HOST_IDENTITY = 1;

function dropHandler(context: Context): Handler {
  const family = { name: 'hubble_drop_total', help: 'Number of drops' };
  return counter(vector(family, [closed('reason'), closed('protocol')], context), context, (flow, into) => {
    if (flow.verdict !== Verdict.DROPPED) return false;
    into[0] = enumName(DropReason, flow.dropReasonDesc ?? 0);
    into[1] = protocolText(flow);
    return true;
  });
}

function flowHandler(context: Context): Handler {
  const family = { name: 'hubble_flows_processed_total', help: 'Total number of flows processed' };
  return counter(vector(family, ['protocol', 'type', 'subtype', 'verdict'].map(closed), context), context, (flow, into) => {
    const [type, subtype] = typeWords(flow);
    into[0] = protocolText(flow);
    into[1] = type;
    into[2] = subtype;
    into[3] = verdictText(flow.verdict);
    return true;
  });
}

/** FIN and RST of one packet both count; SYN counts with ACK or without. */
function tcpHandler(context: Context): Handler {
  const options = { name: 'hubble_tcp_flags_total', help: 'TCP flag occurrences' };
  const { family, values, own } = vector(options, [closed('flag'), closed('family')], context);
  const { FIN, SYN, RST, ACK } = TcpFlag;
  const count = (flow: Flow) => {
    if (flow.l4?.kind !== 'TCP' || !wasForwarded(flow)) return;
    const flags = flow.l4.flags ?? 0;
    if ((flags & (FIN | SYN | RST)) === 0) return;
    values[1] = familyText(flow);
    context.fill(flow, values, own);
    const add = (flag: string) => {
      values[0] = flag;
      family.add(values);
    };
    if (flags & FIN) add('FIN');
    if (flags & SYN) add(flags & ACK ? 'SYN-ACK' : 'SYN');
    if (flags & RST) add('RST');
  };
  return { families: [family], count };
}

function portHandler(context: Context): Handler {
  const family = { name: 'hubble_port_distribution_total', help: 'Numbers of packets distributed by destination port' };
  return counter(vector(family, [closed('protocol'), open('port')], context), context, (flow, into) => {
    const { l4, isReply } = flow;
    if (isReply !== false || !l4 || !wasForwarded(flow)) return false;
    if (l4.kind === 'VRRP' || l4.kind === 'IGMP') return false;
    into[0] = protocolText(flow);
    into[1] = 'destinationPort' in l4 ? numberText(l4.destinationPort ?? 0) : '0';
    return true;
  });
}

/** `summary` has the name of the type after that of the protocol. */
function icmpHandler(context: Context): Handler {
  const family = { name: 'hubble_icmp_total', help: 'Number of ICMP messages' };
  return counter(vector(family, [closed('family'), open('type')], context), context, (flow, into) => {
    const kind = flow.l4?.kind;
    if ((kind !== 'ICMPv4' && kind !== 'ICMPv6') || !wasForwarded(flow)) return false;
    into[0] = kind === 'ICMPv6' ? 'IPv6' : 'IPv4';
    into[1] = flow.summary.slice(kind.length + 1);
    return true;
  });
}

function worldHandler(context: Context, has: Has): Handler {
  const [withPort, anyDrop, synOnly] = [has('port'), has('any-drop'), has('syn-only')];
  const labels = [closed('protocol'), closed('verdict'), ...(withPort ? [open('port')] : [])];
  const family = { name: 'hubble_flows_to_world_total', help: 'Total number of flows to reserved:world' };
  return counter(vector(family, labels, context), context, (flow, into) => {
    const { l4, destination, verdict } = flow;
    if (!l4 || !destination?.labels?.some((label) => label.startsWith('reserved:world'))) return false;
    if (verdict === Verdict.FORWARDED && flow.isReply === true) return false;
    if (verdict === Verdict.DROPPED && !anyDrop && flow.dropReasonDesc !== DropReason.POLICY_DENIED) return false;
    if (synOnly && l4.kind === 'TCP' && ((l4.flags ?? 0) & (TcpFlag.SYN | TcpFlag.ACK)) !== TcpFlag.SYN) return false;
    into[0] = protocolText(flow);
    into[1] = verdictText(verdict);
    if (withPort) into[2] = 'destinationPort' in l4 ? numberText(l4.destinationPort ?? 0) : '';
    return true;
  });
}

function policyHandler(context: Context): Handler {
  const family = { name: 'hubble_policy_verdicts_total', help: 'Total number of policy verdicts' };
  return counter(vector(family, ['direction', 'match', 'action'].map(closed), context), context, (flow, into) => {
    const type = flow.eventType?.type;
    if (type === MessageType.POLICY_VERDICT) {
      if (flow.source?.identity === HOST_IDENTITY) return false;
      into[1] = matchText(flow.policyMatchType ?? 0);
    } else if (type === MessageType.L7 && flow.l7?.record) into[1] = `l7/${flow.l7.record.kind}`;
    else return false;
    into[0] = directionText(flow);
    into[2] = actions[flow.verdict] ?? String(flow.verdict);
    return true;
  });
}

/** By the name that hubble.metrics.enabled has for it, with the options of its own. */
export const handlerKinds: Readonly<Record<string, HandlerKind>> = {
  dns: { options: ['query', 'ignoreaaaa'], handler: dnsHandler },
  drop: { options: [], handler: dropHandler },
  tcp: { options: [], handler: tcpHandler },
  flow: { options: [], handler: flowHandler },
  'flows-to-world': { options: ['any-drop', 'port', 'syn-only'], handler: worldHandler },
  'port-distribution': { options: [], handler: portHandler },
  icmp: { options: [], handler: icmpHandler },
  http: { options: [], handler: httpHandler },
  httpV2: { options: ['exemplars'], handler: httpV2Handler },
  policy: { options: [], handler: policyHandler },
};
