// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { CiliumL2AnnouncementPolicy, CiliumLoadBalancerIPPool, Node } from '../kube/types.ts';
import { unknownSurroundings } from './cluster-advice.ts';
import type { Surroundings } from './cluster-advice.ts';
import { adviceText } from './doctor-values.ts';
import { valuesAdvice } from './values-advice.ts';
import type { Advice } from './values-advice.ts';

const seedFile = (name: string) => readFileSync(new URL(`../../sandbox/seed/${name}`, import.meta.url), 'utf8');
const seed = seedFile('values.yaml');
const [policy, pool] = parseAllDocuments(seedFile('cilium-l2.yaml')).map((document): unknown => document.toJS()) as [
  CiliumL2AnnouncementPolicy, // as: the seed has one, then the other
  CiliumLoadBalancerIPPool,
];
const around: Surroundings = { ...unknownSurroundings, pools: [pool], policies: [policy] };

function nodeAt(name: string, address: string, more: { readonly range?: string; readonly labels?: Record<string, string> } = {}): Node {
  const { range = '10.244.1.0/24', labels = { 'kubernetes.io/os': 'linux' } } = more;
  return {
    metadata: { name, labels },
    spec: range === '' ? {} : { podCIDRs: [range] },
    status: { addresses: [{ type: 'InternalIP', address }] },
  };
}

/** What is wrong, without what is only worth knowing. */
function worries(yaml: string, beside: Surroundings = around): readonly string[] {
  return valuesAdvice(yaml, 'values.yaml', beside)
    .filter(({ level }) => level !== 'note')
    .map(({ level, about, message }) => `${level}: ${about} ${message}`);
}

test("the seed's values have nothing wrong with them, beside its pool and policy and on its nodes", () => {
  assert.deepEqual(worries(seed), []);
  const nodes = ['11', '12', '13'].map((last, i) => nodeAt(`node${i}`, `192.168.0.${last}`, { range: `10.244.${i}.0/24` }));
  const ciliumNodes = [{ metadata: { name: 'node0', annotations: { 'stentor.dev/subnets': '192.168.0.0/24' } } }];
  assert.deepEqual(worries(seed, { ...around, nodes, ciliumNodes }), []);
});

const base = 'k8sServiceHost: a\nk8sServicePort: 6443\nautoDirectNodeRoutes: true\n';
const cases: readonly (readonly [yaml: string, worry: RegExp])[] = [
  ['kubeProxyReplacment: true', /^mistake: kubeProxyReplacment \(line 4\) is no known key, did you mean kubeProxyReplacement$/],
  [
    'hubble:\n  relay:\n    enable: true',
    /^mistake: hubble\.relay\.enable \(line 6\) is no known key, did you mean hubble\.relay\.enabled$/,
  ],
  ['routingMode: tunnel', /^mistake: routingMode \(line 4\) is "tunnel": this version does not encapsulate/],
  ['bpf:\n  ctTcpMax: 1000', /^warning: bpf\.ctTcpMax \(line 5\) is 1000, which has no effect/],
  ['hubble:\n  dashboards: {enabled: true}', /^warning: hubble\.dashboards\.enabled .* names no metric: the dashboards would be empty$/],
  [
    'hubble:\n  enabled: false\n  metrics:\n    enabled: [drop]\n    dashboards: {enabled: true}',
    /hubble\.metrics\.dashboards\.enabled .*hubble\.enabled is false/,
  ],
  [
    'dashboards: {enabled: true}\nprometheus: {enabled: false, serviceMonitor: {enabled: false}}',
    /^warning: dashboards\.enabled .* would be empty$/,
  ],
  ['prometheus: {enabled: false}\ndashboards: {enabled: false}', /^warning: prometheus\.serviceMonitor\.enabled .* nothing to scrape$/],
  [
    'hubble:\n  relay:\n    prometheus: {serviceMonitor: {enabled: true}}',
    /^warning: hubble\.relay\.prometheus\.serviceMonitor\.enabled .*hubble\.relay\.enabled is false/,
  ],
  ['hubble:\n  ui: {enabled: true}', /^warning: hubble\.ui\.enabled .* shows nothing$/],
  ['operator: {replicas: 0}', /^warning: operator\.replicas is 0/],
  ['cgroup: {autoMount: {enabled: false}}', /^warning: cgroup\.hostRoot is \/run\/cilium\/cgroupv2, where nobody mounts/],
  ['MTU: 1200', /^warning: MTU is 1200, and IPv6 wants at least 1280/],
  ['MTU: 9000', /^warning: MTU is 9000: packets of that size are lost/],
];
for (const [yaml, worry] of cases)
  test(`${yaml.replaceAll(/\s+/g, ' ')} is told`, () => {
    const found = worries(`${base}${yaml}\n`, unknownSurroundings);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', worry);
  });

test('without kube-proxy and without the address of the API an agent would wait for itself', () => {
  assert.match(worries('autoDirectNodeRoutes: true').join(), /^warning: k8sServiceHost is not set/);
  assert.deepEqual(worries('autoDirectNodeRoutes: true\nkubeProxyReplacement: false'), [
    'warning: l2announcements.enabled is false, and there is a CiliumLoadBalancerIPPool: nobody answers for its addresses on the LAN',
  ]);
});

test('announcements want a policy and a pool', () => {
  const missing = (beside: Partial<Surroundings>) => worries(`${base}l2announcements: {enabled: true}`, { ...around, ...beside });
  assert.deepEqual(missing({}), []);
  assert.match(missing({ policies: [] }).join(), /without a CiliumL2AnnouncementPolicy: no address is announced$/);
  assert.match(missing({ pools: [] }).join(), /without a CiliumLoadBalancerIPPool: Services of type LoadBalancer get no address$/);
  assert.match(worries(base).join(), /l2announcements\.enabled is false, and there is a CiliumLoadBalancerIPPool/);
});

const clusters: readonly (readonly [what: string, beside: Partial<Surroundings>, worry: RegExp])[] = [
  [
    'a pool has the address of a node',
    { nodes: [nodeAt('n', '192.168.0.225')] },
    /^mistake: CiliumLoadBalancerIPPool pool has 192\.168\.0\.225, which is Node n's own$/,
  ],
  [
    'a pool is off every subnet',
    { ciliumNodes: [{ metadata: { name: 'n', annotations: { 'stentor.dev/subnets': '10.0.0.0/24' } } }] },
    /in no subnet of a node/,
  ],
  [
    'the range of a node is outside the native one',
    { nodes: [nodeAt('n', '192.168.0.11', { range: '10.245.1.0/24' })] },
    /^warning: ipv4NativeRoutingCIDR does not contain 10\.245\.1\.0\/24 of Node n/,
  ],
  ['a node has no range', { nodes: [nodeAt('n', '192.168.0.11', { range: '' })] }, /^mistake: Nodes n have no spec\.podCIDRs/],
  [
    'no node is selected',
    { nodes: [nodeAt('n', '192.168.0.11', { labels: { 'kubernetes.io/os': 'windows' } })] },
    /no node is selected by a policy/,
  ],
  [
    'all nodes are excluded',
    {
      policies: [{ ...policy, spec: { loadBalancerIPs: true } }],
      nodes: [nodeAt('n', '192.168.0.11', { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } })],
    },
    /^warning: Nodes n have the label node\.kubernetes\.io\/exclude-from-external-load-balancers, and answer for no address$/,
  ],
];
for (const [what, beside, worry] of clusters)
  test(`${what}: told`, () => assert.match(worries(seed, { ...around, ...beside }).join('\n'), worry));

test('a pool among pods is a mistake', () => {
  const blocks = [{ start: '10.244.3.1', stop: '10.244.3.9' }];
  const found = worries(seed, { ...around, pools: [{ ...pool, spec: { blocks } }] });
  assert.deepEqual(found, ['mistake: CiliumLoadBalancerIPPool pool overlaps 10.244.0.0/16, where pods are']);
});

test('advice is counted, the worst first', () => {
  const all = valuesAdvice('operator: {replicas: 0}\nloadBalancer: {mode: dsr}\n', 'v.yaml', unknownSurroundings);
  const levels = all.map(({ level }) => level);
  assert.deepEqual(
    levels,
    levels.toSorted((a, b) => ['mistake', 'warning', 'note'].indexOf(a) - ['mistake', 'warning', 'note'].indexOf(b)),
  );
  const some: readonly Advice[] = [
    { level: 'mistake', about: 'a', message: 'is wrong' },
    { level: 'note', about: 'b', message: 'is so', advice: 'Know it' },
  ];
  assert.equal(adviceText(some, 'v.yaml'), '✘ a is wrong\n· b is so\n    Know it\n\nv.yaml: 1 mistake, 0 warnings\n');
  assert.equal(adviceText([], 'v.yaml'), 'v.yaml can be installed\n');
});
