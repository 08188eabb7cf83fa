// SPDX-License-Identifier: Apache-2.0
// The row of a CiliumL2AnnouncementPolicy: which Services, which nodes, which interfaces, which kinds of address.

import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { CiliumL2AnnouncementPolicy, Labels } from '../kube/types.ts';
import { selectorOf, selects } from '../services/label-selector.ts';
import type { Selector } from '../services/label-selector.ts';
import type { ServiceRow } from '../services/service.ts';

export type PolicyRow = {
  readonly name: string;
  readonly services: Selector;
  /** Undefined: every node, and none by name. */
  readonly nodes: Selector | undefined;
  /** Patterns that JavaScript reads as Go reads what the user wrote; empty: chosen by the address. */
  readonly interfaces: readonly string[];
  readonly externalIps: boolean;
  readonly loadBalancerIps: boolean;
  /** What cannot be read, by condition; with a selector among them the policy announces nothing. */
  readonly wrong: Readonly<Partial<Record<PolicyFault, string>>>;
  /** The conditions that its status has. */
  readonly told: readonly PolicyFault[];
};

/** The conditions that users know, without 'io.cilium/'. */
export const FAULTS = ['bad-node-selector', 'bad-service-selector', 'bad-interface-regex'] as const;
export type PolicyFault = (typeof FAULTS)[number];

export function* policyRows(policy: CiliumL2AnnouncementPolicy): Iterable<readonly [string, PolicyRow] | Problem> {
  const { name } = policy.metadata;
  const spec = policy.spec ?? {};
  const services = selectorOf(spec.serviceSelector);
  const nodes = selectorOf(spec.nodeSelector);
  const patterns = (spec.interfaces ?? []).map(patternOf);
  const badPatterns = patterns.flatMap((one) => ('wrong' in one ? [one.wrong] : []));
  const wrong = {
    ...(typeof nodes === 'string' && { 'bad-node-selector': `nodeSelector: ${nodes}` }),
    ...(typeof services === 'string' && { 'bad-service-selector': `serviceSelector: ${services}` }),
    ...(badPatterns.length > 0 && { 'bad-interface-regex': badPatterns.join('; ') }),
  };
  const readable = typeof nodes !== 'string' && typeof services !== 'string';
  yield [
    name,
    {
      name,
      services: typeof services === 'string' ? [] : services,
      nodes: spec.nodeSelector === undefined || spec.nodeSelector === null || typeof nodes === 'string' ? undefined : nodes,
      interfaces: patterns.map((one) => ('wrong' in one ? NOTHING : one.source)),
      externalIps: readable && spec.externalIPs === true,
      loadBalancerIps: readable && spec.loadBalancerIPs === true,
      wrong,
      told: FAULTS.filter((fault) => policy.status?.conditions?.some(({ type }) => type === `io.cilium/${fault}`)),
    },
  ];
  yield* problemsOf(name, wrong, spec);
}

function* problemsOf(name: string, wrong: PolicyRow['wrong'], spec: CiliumL2AnnouncementPolicy['spec'] & object): Iterable<Problem> {
  const object = `CiliumL2AnnouncementPolicy ${name}`;
  for (const message of Object.values(wrong))
    yield problem({
      object,
      reason: 'InvalidField',
      message,
      advice: message.startsWith('interfaces')
        ? 'Correct the regular expression; the other ones are in effect'
        : 'Correct the selector; until then the policy announces nothing',
    });
  if (spec.externalIPs !== true && spec.loadBalancerIPs !== true)
    yield problem({
      object,
      reason: 'AnnouncesNothing',
      message: 'neither loadBalancerIPs nor externalIPs is true, so no address is announced by it',
      advice: 'Set spec.loadBalancerIPs: true for the addresses of Services of type LoadBalancer',
    });
}

/** Matches no name. */
const NOTHING = '(?!)';

const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** A regular expression as Go has it, spelt as JavaScript has it. */
export function patternOf(text: string): { readonly source: string } | { readonly wrong: string } {
  const foreign = /\(\?(?:[=!]|<[=!])|\\[1-9]/.exec(text);
  if (foreign) return { wrong: `interfaces has '${text}', whose '${foreign[0]}' is no part of Go's regular expressions` };
  const source = text
    .replaceAll('(?P<', '(?<')
    .replaceAll('\\A', '^')
    .replaceAll('\\z', '$')
    .replaceAll(/\[:(\w+):\]/g, (whole, name: string) => POSIX[name] ?? whole)
    .replace(/^\(\?([ims]+)\)(.*)$/s, '(?$1:$2)');
  try {
    return { source: new RegExp(source, 'u').source };
  } catch (error) {
    return { wrong: `interfaces has '${text}', which is no regular expression: ${String(error).replace(/^.*: /, '')}` };
  }
}

/** Whether a policy announces addresses of a Service. Two keys stand for its namespace and its name. */
export function selectsService({ services }: PolicyRow, { name, external }: ServiceRow): boolean {
  const slash = name.indexOf('/');
  const labels: Labels = {
    ...external?.labels,
    'io.kubernetes.service.namespace': name.slice(0, slash),
    'io.kubernetes.service.name': name.slice(slash + 1),
  };
  return selects(services, labels);
}

export function selectsNode({ nodes }: PolicyRow, labels: Labels): boolean {
  return nodes === undefined || selects(nodes, labels);
}

/** Whether it names interfaces at all, and this one among them. */
export function selectsInterface({ interfaces }: PolicyRow, name: string): boolean {
  return interfaces.some((source) => new RegExp(source, 'u').test(name));
}
