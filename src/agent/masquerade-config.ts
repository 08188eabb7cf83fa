// SPDX-License-Identifier: Apache-2.0
// Which destinations see the address of a pod, as the values say it.

import { cidr, familyOf, parseCidr } from '../base/ip.ts';
import type { Cidr, Family } from '../base/ip.ts';
import type { Values } from './values.ts';

/** Says that the value at `path` is none, and which was wanted. */
export type Complain = (path: string, wanted: string) => void;

/** `bpf`: there is no other way. `except`: destinations beside the native routing prefixes that see the address of the pod. */
export type Masquerade = { readonly ipv4: boolean; readonly ipv6: boolean; readonly bpf: true; readonly except: readonly Cidr[] };

/** What ip-masq-agent leaves alone when its configuration names nothing: private, shared, test and reserved networks (RFC 6890). */
const unnamed = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '240.0.0.0/4',
].map(cidr);

const linkLocal = [
  { key: 'ipMasqAgent.config.masqLinkLocal', prefix: cidr('169.254.0.0/16') },
  { key: 'ipMasqAgent.config.masqLinkLocalIPv6', prefix: cidr('fe80::/10') },
] as const;

export function masqueradeFrom(values: Values): Masquerade {
  const flag = (path: string) => values.get(path) === true;
  return { ipv4: flag('enableIPv4Masquerade'), ipv6: flag('enableIPv6Masquerade'), bpf: true, except: exceptionsFrom(values) };
}

function exceptionsFrom(values: Values): readonly Cidr[] {
  if (values.get('ipMasqAgent.enabled') !== true) return [];
  const named = values.get('ipMasqAgent.config.nonMasqueradeCIDRs');
  const prefixes = (typeof named === 'object' ? named : []).flatMap((text) => parseCidr(text) ?? []);
  const kept = linkLocal.filter(({ key }) => values.get(key) !== true).map(({ prefix }) => prefix);
  return [...(prefixes.length > 0 ? prefixes : unnamed), ...kept];
}

/** ipv4NativeRoutingCIDR and ipv6NativeRoutingCIDR. */
export function nativeCidrs(values: Values, complain: Complain): readonly Cidr[] {
  const families: readonly Family[] = [4, 6];
  return families.flatMap((family) => {
    const path = `ipv${family}NativeRoutingCIDR`;
    const prefix = parseCidr(String(values.get(path) ?? ''));
    if (!prefix) return [];
    if (familyOf(prefix.ip) !== family) complain(path, `an IPv${family} prefix`);
    return [prefix];
  });
}
