// SPDX-License-Identifier: Apache-2.0
// What the commands print, to the letter.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusReport } from '../agent/api-types.ts';
import { columns, statusLayout } from './columns.ts';
import { dropText } from './drops.ts';
import { endpointText } from './endpoint.ts';
import { differenceText } from './maps.ts';
import { problemText } from './problems.ts';
import { serviceText } from './service.ts';
import { briefText, duration, statusText } from './status.ts';
import { rowsText, summaryText } from './tables.ts';

const report: StatusReport = {
  time: 1_000_000,
  version: '0.1.0',
  node: 'node1',
  agent: { ok: true, message: '' },
  kubernetes: { ok: true, message: '1.33 (v1.33.1) [linux/amd64]' },
  cni: { ok: true, message: '/etc/cni/net.d/05-cilium.conflist' },
  kubeProxyReplacement: true,
  socketLbHostOnly: false,
  devices: [
    { name: 'eth0', addresses: ['192.168.0.11', 'fd00::11'], directRouting: true },
    { name: 'eth1', addresses: ['10.9.0.1'], directRouting: false },
  ],
  interfaces: [
    { name: 'eth0', uplink: true, reason: 'it has 192.168.0.11, an address of Node node1' },
    { name: 'tailscale0', uplink: false, reason: 'it has no MAC address: it is a tunnel' },
  ],
  mtu: { mtu: 1500, reason: 'the least of the uplinks: eth0 1500, eth1 9000' },
  mtuBudget: [
    { way: 'pods of other nodes', ipv4: 1500, ipv6: 1500, reason: 'routed as they are' },
    { way: 'services, from the wire, DSR', ipv4: 1492, ipv6: 1476, reason: 'an option' },
  ],
  ipam: [
    { prefix: '10.244.1.0/24', allocated: 7, capacity: 254 },
    { prefix: 'fd00:10:244:1::/64', allocated: 7, capacity: 65535 },
  ],
  allocations: [{ address: '10.244.1.5', owner: 'shop/cart-0' }],
  masquerade: { ipv4: true, ipv6: false, except: ['10.244.0.0/16'] },
  controllers: [
    { name: 'watch services', lastSuccess: 997_000, lastError: undefined, failures: 0, message: undefined },
    { name: 'reconcile routes', lastSuccess: 870_000, lastError: 999_000, failures: 3, message: 'RTM_NEWROUTE: EINVAL' },
  ],
  maps: [
    { name: 'lb_services', entries: 12, capacity: 65536, fullIn: undefined },
    { name: 'conntrack', entries: 92_000, capacity: 131_072, fullIn: 7300 },
    { name: 'fragments', entries: undefined, capacity: 8192, fullIn: undefined },
  ],
  flows: {
    time: 970_000,
    entries: 92_000,
    talkers: [{ name: 'shop/cart', flows: 40_000 }],
    portsEach: 32_768,
    ports: [{ address: '192.168.0.11', destination: '203.0.113.10:80/TCP', ports: 8192, most: { name: 'shop/cart', ports: 8000 } }],
  },
  problems: 2,
};

test('status', () => {
  assert.equal(
    statusText(report, false),
    `KVStore:                Disabled
Kubernetes:             Ok     1.33 (v1.33.1) [linux/amd64]
KubeProxyReplacement:   True   [eth0   192.168.0.11 fd00::11 (Direct Routing), eth1   10.9.0.1]
CNI Config file:        /etc/cni/net.d/05-cilium.conflist
Cilium:                 Ok   0.1.0
IPAM:                   IPv4: 7/254 allocated from 10.244.1.0/24, IPv6: 7/65535 allocated from fd00:10:244:1::/64
Routing:                Network: Native   Host: BPF
Attach Mode:            TCX
Device Mode:            veth
Masquerading:           BPF   [eth0, eth1]   10.244.0.0/16 [IPv4: Enabled, IPv6: Disabled]
Controller Status:      1/2 healthy
  Name                  Last success   Last error   Count   Message
  reconcile routes      2m10s ago      1s ago       3       RTM_NEWROUTE: EINVAL
Problems:               2 (say 'problems' to see them)
`,
  );
});

test('status --verbose has addresses, every interface with its reason, the MTU, every controller and the maps', () => {
  const lines = statusText({ ...report, problems: 0 }, true).split('\n');
  for (const line of [
    'Allocated addresses:',
    '  10.244.1.5 (shop/cart-0)',
    'Interfaces:',
    '  eth0: chosen because it has 192.168.0.11, an address of Node node1',
    '  tailscale0: ignored because it has no MAC address: it is a tunnel',
    'MTU:   1500 (the least of the uplinks: eth0 1500, eth1 9000)',
    'Largest packets:',
    '  pods of other nodes: 1500 (routed as they are)',
    '  services, from the wire, DSR: 1492 IPv4, 1476 IPv6 (an option)',
    'KubeProxyReplacement Details:',
    '  Socket LB Coverage:   Full',
    '  - ClusterIP:      Enabled',
    '  - LoadBalancer:   Enabled',
    'BPF Maps:',
    '  lb_services   12        65536    0.0 %',
    '  conntrack     92000     131072   70.2 %   in 2h1m',
    '  fragments     -         8192     -',
    'Flows:          92000 entries of conntrack live, 30s ago',
    '  shop/cart     40000',
    'Masquerade ports (each address has 32768 for each destination):',
    '  192.168.0.11   203.0.113.10:80/TCP   8192    25.0 %   shop/cart (8000)',

    'Problems:            0',
  ])
    assert.ok(lines.includes(line), line);
  assert.match(statusText({ ...report, socketLbHostOnly: true }, true), /^ {2}Socket LB Coverage: +Hostns-only$/m);
  assert.doesNotMatch(statusText({ ...report, kubeProxyReplacement: false }, true), /Details/);
  assert.ok(lines.some((line) => /^ {2}watch services +3s ago +never +0 +no error$/.test(line)));
});

test('status of what is off, absent or broken', () => {
  const down: StatusReport = {
    ...report,
    kubeProxyReplacement: false,
    ipam: [],
    masquerade: { ipv4: false, ipv6: false, except: [] },
    kubernetes: { ok: false, message: 'connect ECONNREFUSED' },
  };
  const text = statusText(down, false);
  assert.match(text, /^KubeProxyReplacement: +False$/m);
  assert.match(text, /^IPAM: +no podCIDR$/m);
  assert.match(text, /^Masquerading: +Disabled$/m);
  assert.match(text, /^Kubernetes: +Failure +connect ECONNREFUSED$/m);
});

test('status --brief is OK or the first fault', () => {
  assert.equal(briefText(report), 'OK\n');
  assert.equal(briefText({ ...report, agent: { ok: false, message: 'no podCIDR' } }), 'error in cilium: no podCIDR\n');
  assert.equal(
    briefText({ ...report, agent: { ok: false, message: 'x' }, kubernetes: { ok: false, message: 'y' } }),
    'error in kubernetes: y\n',
  );
});

test('durations', () => {
  const cases: [number, string][] = [
    [-5, '0s'],
    [0, '0s'],
    [59_999, '59s'],
    [125_000, '2m5s'],
    [10_920_000, '3h2m'],
  ];
  for (const [milliseconds, text] of cases) assert.equal(duration(milliseconds), text);
});

test('service list', () => {
  assert.equal(
    serviceText([
      {
        id: 2,
        service: 'shop/cart',
        frontend: '10.96.12.7:80/TCP',
        type: 'ClusterIP',
        backends: [
          { slot: 2, address: '10.244.2.5:8080/TCP', state: 'terminating' },
          { slot: 1, address: '10.244.1.5:8080/TCP', state: 'active' },
        ],
      },
      {
        id: 1,
        service: 'default/kubernetes',
        frontend: '10.96.0.1:443/TCP',
        type: 'ClusterIP',
        backends: [{ slot: 1, address: '192.168.0.11:6443/TCP', state: 'active' }],
      },
      { id: 10, service: 'shop/cart', frontend: '[fd00:96::7]:80/TCP/i', type: 'LoadBalancer', backends: [] },
    ]),
    `ID   Frontend                Service Type   Backend
1    10.96.0.1:443/TCP       ClusterIP      1 => 192.168.0.11:6443/TCP (active)
2    10.96.12.7:80/TCP       ClusterIP      1 => 10.244.1.5:8080/TCP (active)
                                            2 => 10.244.2.5:8080/TCP (terminating)
10   [fd00:96::7]:80/TCP/i   LoadBalancer
`,
  );
});

test('endpoint list', () => {
  assert.equal(
    endpointText([
      {
        id: 5,
        pod: 'shop/cart-0',
        policyIngress: 'Enabled',
        policyEgress: 'Disabled',
        identity: 17000,
        labels: ['k8s:app=cart', 'k8s:a=b'],
        ipv4: '10.244.1.5',
        ipv6: undefined,
        state: 'ready',
      },
    ]),
    `ENDPOINT   POLICY (ingress)   POLICY (egress)   IDENTITY   LABELS (source:key[=value])   IPv6   IPv4         STATUS
           ENFORCEMENT        ENFORCEMENT
5          Enabled            Disabled          17000      k8s:a=b                              10.244.1.5   ready
                                                           k8s:app=cart
`,
  );
});

test('tables, maps, problems and drops', () => {
  assert.equal(
    summaryText([
      { name: 'frontends', rows: 12, complete: true },
      { name: 'pods', rows: 0, complete: false },
    ]),
    'TABLE       ROWS   COMPLETE\nfrontends   12     yes\npods        0      no\n',
  );
  assert.equal(
    rowsText([
      { key: 'b', row: { x: 1 } },
      { key: 'a', row: 'y' },
    ]),
    'KEY   ROW\na     "y"\nb     {"x":1}\n',
  );
  assert.equal(differenceText([]), '');
  assert.equal(
    differenceText([{ target: 'lb_backends', key: '7', kind: 'extra', wanted: undefined, found: '10.0.0.1:80' }]),
    'TARGET        DIFFERENCE   KEY   WANTED   FOUND\nlb_backends   extra        7     -        10.0.0.1:80\n',
  );
  assert.equal(problemText([]), 'No problems\n');
  assert.equal(
    problemText([
      {
        object: 'Node node2',
        reason: 'NoPodCidr',
        message: 'Node node2 has no podCIDR',
        advice: 'Start the controller manager with --allocate-node-cidrs',
      },
    ]),
    'Node node2: NoPodCidr\n  Node node2 has no podCIDR\n  Start the controller manager with --allocate-node-cidrs\n',
  );
  const drop = {
    time: 0,
    reason: 'NoBackend',
    source: '10.244.1.5:4000',
    destination: '10.96.0.9:80',
    protocol: 'TCP',
    interface: 'lxc01',
    pod: 'shop/cart-0',
  };
  assert.equal(dropText(drop), '1970-01-01T00:00:00.000Z  10.244.1.5:4000 -> 10.96.0.9:80 TCP  NoBackend  (lxc01, pod shop/cart-0)\n');
  assert.equal(dropText({ lost: 4 }), '4 drops not shown: this reader was too slow\n');
});

test('a column ends where a line has no cell after it', () => {
  assert.equal(
    columns(
      [
        ['a', 'b', 'c'],
        ['long one', 'd'],
        ['e', 'f', 'g'],
      ],
      statusLayout,
    ),
    'a          b   c\nlong one   d\ne          f   g\n',
  );
  assert.equal(columns([['wide wide', 'x'], ['alone'], ['n', 'y']], statusLayout), 'wide wide   x\nalone\nn   y\n');
  assert.equal(columns([], statusLayout), '');
});
