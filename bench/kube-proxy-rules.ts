// SPDX-License-Identifier: Apache-2.0
// The rules that kube-proxy would write for services, in the shapes of its two backends (Kubernetes pkg/proxy/nftables and
// pkg/proxy/iptables, full sync). Pure.
import { createHash } from 'node:crypto';

export type ProxiedService = {
  readonly name: string;
  readonly ip: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
  /** A load balancer's address, with `externalTrafficPolicy: Cluster`. */ readonly vip?: string;
};

const POD_CIDR = '10.244.0.0/16';

const hashOf = (text: string, length: number): string =>
  createHash('sha256').update(text).digest('base64url').replaceAll(/[-_]/g, 'A').toUpperCase().slice(0, length);

/**
 * Texts for `nft -f`, one after the other: one verdict map from address, protocol and port to a chain for each service, which
 * picks one of its endpoints' chains at random; nothing is walked. Several transactions, because the kernel takes minutes for
 * one with 10,000 services.
 */
export function* nftablesRules(services: readonly ProxiedService[]): Iterable<string> {
  yield NFTABLES_BASE;
  for (let first = 0; first < services.length; first += SERVICES_AT_ONCE)
    yield nftablesChains(services.slice(first, first + SERVICES_AT_ONCE));
}

const SERVICES_AT_ONCE = 500;

function nftablesChains(services: readonly ProxiedService[]): string {
  const chainOf = ({ name, protocol, port }: ProxiedService) =>
    `service-${hashOf(`${name}/${protocol}/${port}`, 8)}-many/${name}/${protocol}/${port}`;
  const endpointOf = (service: ProxiedService, index: number) => chainOf(service).replace(/^service/, `endpoint-${index}`);
  const externalOf = (service: ProxiedService) => chainOf(service).replace(/^service/, 'external');
  const chains = services.flatMap((service) => {
    const { ip, port, protocol, endpoints } = service;
    const picks = endpoints.map((_, index) => `${index} : goto ${endpointOf(service, index)}`).join(' , ');
    return [
      ...endpoints.map(
        (endpoint, index) =>
          `chain ${endpointOf(service, index)} {\n ip saddr ${endpoint.ip} jump mark-for-masquerade\n meta l4proto ${protocol} dnat to ${endpoint.ip}:${endpoint.port}\n}`,
      ),
      `chain ${chainOf(service)} {\n ip daddr ${ip} ${protocol} dport ${port} ip saddr != ${POD_CIDR} jump mark-for-masquerade\n numgen random mod ${endpoints.length} vmap { ${picks} }\n}`,
      ...(service.vip !== undefined ? [`chain ${externalOf(service)} {\n jump mark-for-masquerade\n goto ${chainOf(service)}\n}`] : []),
    ];
  });
  const verdicts = services.flatMap((service) => {
    const { ip, vip, protocol, port } = service;
    const external = vip === undefined ? [] : [`${vip} . ${protocol} . ${port} : goto ${externalOf(service)}`];
    return [`${ip} . ${protocol} . ${port} : goto ${chainOf(service)}`, ...external];
  });
  const ips = [...new Set(services.map(({ ip }) => ip))];
  return `table ip kube-proxy {
${chains.join('\n')}
}
add element ip kube-proxy cluster-ips { ${ips.join(', ')} }
add element ip kube-proxy service-ips { ${verdicts.join(', ')} }
`;
}

const NFTABLES_BASE = `table ip kube-proxy
delete table ip kube-proxy
table ip kube-proxy {
chain mark-for-masquerade {
 mark set mark or 0x4000
}
chain masquerading {
 mark and 0x4000 == 0 return
 mark set mark xor 0x4000
 masquerade fully-random
}
chain reject-chain {
 reject
}
set cluster-ips {
 type ipv4_addr
}
set nodeport-ips {
 type ipv4_addr
}
map no-endpoint-services {
 type ipv4_addr . inet_proto . inet_service : verdict
}
map no-endpoint-nodeports {
 type inet_proto . inet_service : verdict
}
map firewall-ips {
 type ipv4_addr . inet_proto . inet_service : verdict
}
map service-nodeports {
 type inet_proto . inet_service : verdict
}
map service-ips {
 type ipv4_addr . inet_proto . inet_service : verdict
}
chain services {
 ip daddr . meta l4proto . th dport vmap @service-ips
 ip daddr != 127.0.0.0/8 ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
}
chain firewall-check {
 ip daddr . meta l4proto . th dport vmap @firewall-ips
}
chain nodeport-endpoints-check {
 ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
}
chain service-endpoints-check {
 ip daddr . meta l4proto . th dport vmap @no-endpoint-services
}
chain cluster-ips-check {
 ip daddr @cluster-ips reject
}
chain filter-prerouting {
 type filter hook prerouting priority dstnat - 10
 ct state new jump firewall-check
}
chain filter-input {
 type filter hook input priority -110
 ct state new jump nodeport-endpoints-check
 ct state new jump service-endpoints-check
}
chain filter-forward {
 type filter hook forward priority -110
 ct state new jump service-endpoints-check
 ct state new jump cluster-ips-check
}
chain filter-output {
 type filter hook output priority -110
 ct state new jump service-endpoints-check
 ct state new jump firewall-check
}
chain filter-output-post-dnat {
 type filter hook output priority -90
 ct state new jump cluster-ips-check
}
chain nat-prerouting {
 type nat hook prerouting priority dstnat
 jump services
}
chain nat-output {
 type nat hook output priority -100
 jump services
}
chain nat-postrouting {
 type nat hook postrouting priority srcnat
 jump masquerading
}
}
`;

/** `iptables-restore`: one rule in KUBE-SERVICES for each service, walked in order, and a chain of random choices behind it. */
export function iptablesRules(services: readonly ProxiedService[]): string {
  const key = ({ name, protocol, port }: ProxiedService) => `${name}${protocol}${port}`;
  const chainOf = (service: ProxiedService) => `KUBE-SVC-${hashOf(key(service), 16)}`;
  const endpointOf = (service: ProxiedService, index: number) => `KUBE-SEP-${hashOf(`${key(service)}${index}`, 16)}`;
  const externalOf = (service: ProxiedService) => `KUBE-EXT-${hashOf(key(service), 16)}`;
  const declared = services.flatMap((service) => [
    `:${chainOf(service)} - [0:0]`,
    ...(service.vip !== undefined ? [`:${externalOf(service)} - [0:0]`] : []),
    ...service.endpoints.map((_, index) => `:${endpointOf(service, index)} - [0:0]`),
  ]);
  const heads: string[] = [];
  const rules: string[] = [];
  for (const service of services) {
    const { name, ip, port, protocol, endpoints, vip } = service;
    const comment = (text: string) => `-m comment --comment "many/${name}:${protocol}${text}"`;
    heads.push(`-A KUBE-SERVICES ${comment(' cluster IP')} -m ${protocol} -p ${protocol} -d ${ip} --dport ${port} -j ${chainOf(service)}`);
    rules.push(
      `-A ${chainOf(service)} ${comment(' cluster IP')} -m ${protocol} -p ${protocol} -d ${ip} --dport ${port} ! -s ${POD_CIDR} -j KUBE-MARK-MASQ`,
    );
    if (vip !== undefined) {
      heads.push(
        `-A KUBE-SERVICES ${comment(' loadbalancer IP')} -m ${protocol} -p ${protocol} -d ${vip} --dport ${port} -j ${externalOf(service)}`,
      );
      rules.push(`-A ${externalOf(service)} ${comment(' external')} -j KUBE-MARK-MASQ`, `-A ${externalOf(service)} -j ${chainOf(service)}`);
    }
    for (const [index, endpoint] of endpoints.entries()) {
      const left = endpoints.length - index;
      const chance = left === 1 ? '' : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `;
      rules.push(`-A ${chainOf(service)} ${comment(` -> ${endpoint.ip}:${endpoint.port}`)} ${chance}-j ${endpointOf(service, index)}`);
      rules.push(`-A ${endpointOf(service, index)} ${comment('')} -s ${endpoint.ip} -j KUBE-MARK-MASQ`);
      rules.push(
        `-A ${endpointOf(service, index)} ${comment('')} -m ${protocol} -p ${protocol} -j DNAT --to-destination ${endpoint.ip}:${endpoint.port}`,
      );
    }
  }
  return ['*nat', ...iptablesNat(declared, [...heads, ...rules]), 'COMMIT', '*filter', ...iptablesFilter(), 'COMMIT', ''].join('\n');
}

function iptablesNat(declared: readonly string[], rules: readonly string[]): readonly string[] {
  return [
    ...['SERVICES', 'NODEPORTS', 'POSTROUTING', 'MARK-MASQ'].map((name) => `:KUBE-${name} - [0:0]`),
    ...declared,
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
    ...rules,
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
  ];
}

/** What new connections pass whatever they are for. */
function iptablesFilter(): readonly string[] {
  const jumps = [
    ['INPUT', 'PROXY-FIREWALL'],
    ['OUTPUT', 'PROXY-FIREWALL'],
    ['FORWARD', 'PROXY-FIREWALL'],
    ['INPUT', 'EXTERNAL-SERVICES'],
    ['FORWARD', 'EXTERNAL-SERVICES'],
    ['FORWARD', 'SERVICES'],
    ['OUTPUT', 'SERVICES'],
  ];
  return [
    ...['PROXY-FIREWALL', 'EXTERNAL-SERVICES', 'SERVICES', 'FORWARD', 'NODEPORTS'].map((name) => `:KUBE-${name} - [0:0]`),
    ...jumps.map(([chain, name]) => `-A ${chain} -m conntrack --ctstate NEW -j KUBE-${name}`),
    '-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
    '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  ];
}
