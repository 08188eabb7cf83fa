// SPDX-License-Identifier: Apache-2.0
// The row of a CiliumLocalRedirectPolicy: where clients connect, and which pods of their node they are to get.

import { cidrContains, cidrText, parseIp } from '../base/ip.ts';
import type { Cidr, Ip } from '../base/ip.ts';
import { problem } from '../base/problem.ts';
import type { Problem } from '../base/problem.ts';
import type { CiliumLocalRedirectPolicy, RedirectPort } from '../kube/types.ts';
import { selectorOf } from '../services/label-selector.ts';
import type { Selector } from '../services/label-selector.ts';

/** A name pairs a port of the frontend with one of the pods; in lower case, empty where it has none. */
export type NamedPort = { readonly name: string; readonly port: number; readonly protocol: 'TCP' | 'UDP' };

export type RedirectFrontend =
  | { readonly kind: 'address'; readonly address: Ip; readonly ports: readonly NamedPort[] }
  /** `ports` undefined: all that the Service has. */
  | { readonly kind: 'service'; readonly service: string; readonly ports: readonly NamedPort[] | undefined };

export type PolicyRow = {
  /** 'namespace/name'. */
  readonly name: string;
  readonly namespace: string;
  /** RFC 3339, so that the older is the lesser text. */
  readonly created: string;
  readonly frontend: RedirectFrontend;
  readonly selector: Selector;
  readonly ports: readonly NamedPort[];
  /** What the selected pods send to the frontend is not redirected. */
  readonly skip: boolean;
};

/** `allowed`: where addresses may be that policies redirect; empty: anywhere. */
export function* policyRows(
  { metadata, spec = {} }: CiliumLocalRedirectPolicy,
  allowed: readonly Cidr[] = [],
): Iterable<readonly [string, PolicyRow] | Problem> {
  const namespace = metadata.namespace ?? 'default';
  const name = `${namespace}/${metadata.name}`;
  const frontend = frontendOf(spec.redirectFrontend, namespace, allowed);
  const { localEndpointSelector, toPorts } = spec.redirectBackend ?? {};
  const selector = localEndpointSelector ? selectorOf(localEndpointSelector) : 'is missing, wanted labels of pods';
  const ports = portsOf(toPorts);
  const wrong = [
    typeof frontend === 'string' && `redirectFrontend${frontend}`,
    typeof selector === 'string' && `redirectBackend.localEndpointSelector ${selector}`,
    typeof ports === 'string' && `redirectBackend.toPorts ${ports}`,
  ].filter((one) => one !== false);
  if (typeof frontend === 'string' || typeof selector === 'string' || typeof ports === 'string') {
    yield problem({
      object: `CiliumLocalRedirectPolicy ${name}`,
      reason: 'InvalidField',
      message: `spec.${wrong.join('; spec.')}`,
      advice: 'Make the policy anew with this corrected, as its spec cannot be changed; until then it redirects nothing',
    });
    return;
  }
  const skip = spec.skipRedirectFromBackend === true;
  yield [name, { name, namespace, created: metadata.creationTimestamp ?? '', frontend, selector, ports, skip }];
}

type Given = NonNullable<NonNullable<CiliumLocalRedirectPolicy['spec']>['redirectFrontend']>;

/** A string begins with the rest of the field and says what is wrong with it. */
function frontendOf(
  { addressMatcher, serviceMatcher }: Given = {},
  namespace: string,
  allowed: readonly Cidr[],
): RedirectFrontend | string {
  if ((addressMatcher === undefined) === (serviceMatcher === undefined))
    return ' has not one matcher, wanted addressMatcher or serviceMatcher';
  if (addressMatcher) {
    const address = parseIp(addressMatcher.ip ?? '');
    if (address === undefined || isNobodys(address))
      return `.addressMatcher.ip is '${addressMatcher.ip ?? ''}', wanted an IPv4 or IPv6 address that one host has`;
    if (allowed.length > 0 && !allowed.some((range) => cidrContains(range, address)))
      return `.addressMatcher.ip is ${address}, and localRedirectPolicies.addressMatcherCIDRs allows ${allowed.map(cidrText).join(', ')}`;
    const ports = portsOf(addressMatcher.toPorts);
    return typeof ports === 'string' ? `.addressMatcher.toPorts ${ports}` : { kind: 'address', address, ports };
  }
  const { serviceName = '', namespace: of = namespace, toPorts } = serviceMatcher ?? {};
  if (serviceName === '') return '.serviceMatcher.serviceName is missing';
  if (of !== namespace) return `.serviceMatcher.namespace is ${of}, wanted ${namespace}, the namespace of the policy`;
  const ports = toPorts === undefined || toPorts.length === 0 ? undefined : portsOf(toPorts);
  return typeof ports === 'string' ? `.serviceMatcher.toPorts ${ports}` : { kind: 'service', service: `${of}/${serviceName}`, ports };
}

function isNobodys(address: Ip): boolean {
  if (address.includes(':')) return address === '::' || address === '::1' || address.startsWith('ff');
  const first = Number(address.slice(0, address.indexOf('.')));
  return first === 0 || first === 127 || first >= 224;
}

const NAME = /^(?=.*[a-z])[a-z0-9](-?[a-z0-9])*$/;

/** A string says what is wrong. */
function portsOf(given: readonly RedirectPort[] = []): readonly NamedPort[] | string {
  if (given.length === 0) return 'has none, wanted at least one port';
  const out: NamedPort[] = [];
  for (const item of given) {
    const { port: text = '', protocol: spelt = '', name: word = '' } = item;
    const [name, protocol, port] = [word.toLowerCase(), spelt.toUpperCase(), /^\d{1,5}$/.test(`${text}`) ? Number(text) : 0];
    if (port < 1 || port > 65_535) return `has port '${text}', wanted "1" to "65535"`;
    if (protocol !== 'TCP' && protocol !== 'UDP') return `has protocol '${spelt}' for port ${text}, wanted TCP or UDP`;
    if (name !== '' && (name.length > 15 || !NAME.test(name))) return `has name '${word}', wanted at most 15 letters, digits and hyphens`;
    if (name === '' && given.length > 1) return `has no name for port ${text}, wanted one for each of several ports`;
    if (out.some((other) => other.name === name && other.protocol === protocol)) return `has ${protocol} port ${name} twice`;
    out.push({ name, port, protocol });
  }
  return out;
}
