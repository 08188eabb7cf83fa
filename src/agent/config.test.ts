// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cidr, cidrText, ip } from '../base/ip.ts';
import { ConfigError, configOf } from './config.ts';
import type { Config } from './config.ts';
import { readValue } from './values.ts';
import { valueNotes, valueRows } from './values-schema.ts';

const seed = readFileSync(new URL('../../sandbox/seed/values.yaml', import.meta.url), 'utf8');

function mistakesIn(text: string): readonly string[] {
  try {
    configOf(text, 'values.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

test("the seed's values are read unmodified, without a warning", () => {
  const { config, warnings, planned } = configOf(seed, 'values.yaml');
  assert.deepEqual(warnings, []);
  assert.deepEqual(planned, []);
  assert.deepEqual(config, {
    clusterName: 'home-ops',
    clusterId: 1,
    apiServers: ['https://127.0.0.1:7445'],
    serviceProxyName: '',
    ipv4: 'auto',
    ipv6: 'auto',
    routingMode: 'native',
    nativeRoutingCidrs: [cidr('10.244.0.0/16')],
    autoDirectNodeRoutes: true,
    skipUnreachableNodes: false,
    endpointRoutes: true,
    masquerade: { ipv4: true, ipv6: true, bpf: true, except: [] },
    devices: [],
    mtu: undefined,
    cgroupRoot: '/sys/fs/cgroup',
    bpfRoot: '/sys/fs/bpf',
    kubeProxyReplacement: true,
    healthzBindAddress: { host: ip('0.0.0.0'), port: 10256 },
    socketLbHostOnly: false,
    loadBalancer: {
      balance: { algorithm: 'maglev', key: 'client', tableSize: 16_381, seed: 771_203_383 },
      mode: 'dsr',
      dispatch: 'opt',
      acceleration: 'disabled',
      serviceTopology: false,
      trustExternalIps: false,
      rangesOfAllTypes: false,
      noBackendResponse: 'reject',
      externalClusterIp: false,
    },
    nodePort: {
      first: 30000,
      last: 32767,
      addresses: [],
      bindProtection: true,
      protectRange: true,
      healthCheck: true,
      healthCheckOnVips: false,
    },
    l2announcements: true,
    localRedirectPolicy: true,
    addressMatcherCidrs: [],
    cni: { install: true, exclusive: true, binPath: '/opt/cni/bin', confPath: '/etc/cni/net.d' },
    hubble: {
      enabled: true,
      metrics: ['dns:query;ignoreAAAA', 'drop', 'tcp', 'flow', 'port-distribution', 'icmp', 'http'],
      metricsPort: 9965,
      relayMetricsPort: 9966,
      socketPath: '/var/run/cilium/hubble.sock',
      listenAddress: ':4244',
      capacity: 4095,
      historyBytes: 1024 ** 3,
      tls: true,
      tlsAuto: true,
      redaction: undefined,
      export: {
        enabled: false,
        static: {
          filePath: '/var/run/cilium/hubble/events.log',
          fieldMask: [],
          allowList: [],
          denyList: [],
          maxSizeMb: 10,
          maxBackups: 5,
          compress: false,
        },
        dynamic: false,
      },
    },
    healthPort: 9879,
    prometheus: { port: 9962 },
    operator: {
      replicas: 2,
      identityInterval: 900_000,
      identityGrace: 1_800_000,
      endpointInterval: 300_000,
      lbClasses: { unnamed: true, named: ['io.cilium/l2-announcer'] },
      metricsPort: 9963,
    },
    debug: false,
  });
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.hubble.metrics));
});

test('an empty file, and keys without a value, are defaults', () => {
  const { config } = configOf('', 'values.yaml');
  assert.deepEqual(configOf('# nothing\n', 'values.yaml').config, config);
  assert.deepEqual(configOf('hubble:\ncluster:\n  name:\nMTU:\n', 'values.yaml').config, config);
  assert.deepEqual(config.apiServers, []);
  assert.equal(config.healthzBindAddress, undefined);
});

test('ip-masq-agent: the prefixes that it names, else its own, and the link-local ones unless told', () => {
  const exceptions = (yaml: string) => configOf(yaml, 'v').config.masquerade.except.map(cidrText);
  assert.deepEqual(exceptions('ipMasqAgent:\n  config:\n    nonMasqueradeCIDRs: [10.0.0.0/8]'), []);
  const named = 'ipMasqAgent:\n  enabled: true\n  config:\n    nonMasqueradeCIDRs: [10.0.0.0/8, fd00::/8]';
  assert.deepEqual(exceptions(named), ['10.0.0.0/8', 'fd00::/8', '169.254.0.0/16', 'fe80::/10']);
  assert.deepEqual(exceptions(`${named}\n    masqLinkLocal: true\n    masqLinkLocalIPv6: true`), ['10.0.0.0/8', 'fd00::/8']);
  const unnamed = exceptions('ipMasqAgent:\n  enabled: true');
  assert.equal(unnamed.length, 13);
  assert.ok(['192.168.0.0/16', '100.64.0.0/10', '240.0.0.0/4', 'fe80::/10'].every((prefix) => unnamed.includes(prefix)));
  assert.throws(() => configOf('ipMasqAgent:\n  enabled: true\n  config:\n    nonMasqueradeCIDRs: [10.0.0.0/33]', 'v'), ConfigError);
});

const operatorTimes: readonly [yaml: string, wanted: object][] = [
  ['identityGCInterval: 5m0s', { identityInterval: 300_000 }],
  ['identityGCInterval: 0s', { identityInterval: 0 }],
  ['endpointGCInterval: 1h30m', { endpointInterval: 5_400_000 }],
  ['identityHeartbeatTimeout: 168h', { identityGrace: 604_800_000 }],
  ['prometheus: {port: 9000}', { metricsPort: 9000 }],
  ['prometheus: {enabled: false}', { metricsPort: undefined }],
  ['replicas: 1', { replicas: 1 }],
];
for (const [yaml, wanted] of operatorTimes)
  test(`operator.${yaml}`, () => {
    const { config, warnings } = configOf(`operator:\n  ${yaml}\n`, 'v');
    assert.deepEqual(config.operator, { ...configOf('', 'v').config.operator, ...wanted });
    assert.deepEqual(warnings, []);
  });

test('which Services get addresses of pools', () => {
  const classes = (yaml: string) => configOf(yaml, 'v').config.operator.lbClasses;
  assert.deepEqual(classes(''), { unnamed: true, named: [] });
  assert.deepEqual(classes('defaultLBServiceIPAM: none\nl2announcements: {enabled: true}'), {
    unnamed: false,
    named: ['io.cilium/l2-announcer'],
  });
  assert.equal(classes('enableLBIPAM: false'), undefined);
});

test('the seed of Maglev tables follows from the cluster where nobody says it', () => {
  const seed = (yaml: string) => configOf(yaml, 'v').config.loadBalancer.balance.seed;
  assert.equal(seed(''), seed('cluster: {name: default, id: 0}'));
  const seeds = ['', 'cluster: {name: other}', 'cluster: {id: 2}', 'maglev: {hashSeed: JLfvgnHc2kaSUFaI}'].map(seed);
  assert.equal(new Set(seeds).size, seeds.length);
  assert.deepEqual(mistakesIn('maglev:\n  hashSeed: short\n  tableSize: 1000\n'), [
    'maglev.tableSize (line 3) is 1000, wanted one of 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071',
    'maglev.hashSeed (line 2) is "short", wanted 12 bytes in base64, as of head -c12 /dev/urandom | base64 -w0',
  ]);
});

const operatorMistakes: readonly [yaml: string, mistake: string][] = [
  ['identityGCInterval: 15', 'operator.identityGCInterval (line 2) is 15, wanted a duration such as 15s'],
  ['identityGCInterval: fifteen', 'operator.identityGCInterval (line 2) is "fifteen", wanted a duration such as 15s'],
  ['endpointGCInterval: -5m', 'operator.endpointGCInterval (line 2) is "-5m", wanted a duration such as 15s'],
  ['endpointGCInterval: 1us', 'operator.endpointGCInterval (line 2) is "1us", wanted a time from 1ms to 168h, or 0s for never'],
  ['identityHeartbeatTimeout: 0s', 'operator.identityHeartbeatTimeout (line 2) is "0s", wanted a time from 1ms to 168h'],
  ['identityHeartbeatTimeout: 169h', 'operator.identityHeartbeatTimeout (line 2) is "169h", wanted a time from 1ms to 168h'],
  ['replicas: 1.5', 'operator.replicas (line 2) is 1.5, wanted a whole number'],
  ['prometheus: {port: 0}', 'operator.prometheus.port (line 2) is 0, wanted a port from 1 to 65535'],
  ['identityGcInterval: 5m', 'operator.identityGcInterval (line 2) is no known key, did you mean operator.identityGCInterval'],
];
for (const [yaml, mistake] of operatorMistakes)
  test(`operator.${yaml} is a mistake`, () => assert.deepEqual(mistakesIn(`operator:\n  ${yaml}\n`), [mistake]));

const unknown: readonly [yaml: string, mistake: string][] = [
  ['hubble:\n  metric:\n    enabled: [dns]', 'hubble.metric.enabled (line 3) is no known key, did you mean hubble.metrics.enabled'],
  [
    'hubble:\n  serviceMonitors:\n    enabled: true',
    'hubble.serviceMonitors.enabled (line 3) is no known key, did you mean hubble.serviceMonitor.enabled',
  ],
  ['hubble:\n  dashboard:\n    enabled: true', 'hubble.dashboard.enabled (line 3) is no known key, did you mean hubble.dashboards.enabled'],
  ['relay:\n  enabled: true', 'relay.enabled (line 2) is no known key, did you mean hubble.relay.enabled'],
  ['ui:\n  rollOutPods: true', 'ui.rollOutPods (line 2) is no known key, did you mean hubble.ui.rollOutPods'],
  ['prometheus:\n  enable: true', 'prometheus.enable (line 2) is no known key, did you mean prometheus.enabled'],
  ['kubeProxyReplacment: true', 'kubeProxyReplacment (line 1) is no known key, did you mean kubeProxyReplacement'],
  ['l2Announcements:\n  enabled: true', 'l2Announcements.enabled (line 2) is no known key, did you mean l2announcements.enabled'],
  ['bpf:\n  masquarade: true', 'bpf.masquarade (line 2) is no known key, did you mean bpf.masquerade'],
  ['masquerade: true', 'masquerade (line 1) is no known key, did you mean bpf.masquerade'],
  [
    'loadBalancer:\n  l2announcements:\n    enabled: true',
    'loadBalancer.l2announcements.enabled (line 3) is no known key, did you mean l2announcements.enabled',
  ],
  ['ipv4:\n  nativeRoutingCIDR: 10.0.0.0/8', 'ipv4.nativeRoutingCIDR (line 2) is no known key, did you mean ipv4NativeRoutingCIDR'],
  ['cgroup:\n  hostroot: /x', 'cgroup.hostroot (line 2) is no known key, did you mean cgroup.hostRoot'],
  ['zebra: {}', 'zebra (line 1) is no known key'],
  ['zebra:\n  stripes: 40', 'zebra.stripes (line 2) is no known key'],
];
const sampleOf: Readonly<Record<string, unknown>> = {
  boolean: true,
  switch: false,
  text: 'x',
  number: 7,
  port: 7,
  cidr: '10.0.0.0/8',
  cidrs: ['10.0.0.0/8'],
  'address:port': '127.0.0.1:1',
  texts: ['x'],
};
const sampleAt: Readonly<Record<string, unknown>> = {
  'k8s.apiServerURLs': 'https://192.168.0.11:6443',
  ipv6NativeRoutingCIDR: 'fd00::/8',
  'nodePort.range': '31000,32000',
  'maglev.tableSize': 65_521,
  'maglev.hashSeed': 'JLfvgnHc2kaSUFaI',
};

test('every value that is said to drive the agent changes its configuration, or is refused or warned of', () => {
  for (const [path, type, standard, , drives] of valueRows) {
    if (drives !== 'agent' || type === 'any' || (typeof type !== 'string' && type.length === 1)) continue;
    const usual =
      typeof type === 'string'
        ? typeof standard === 'string' && standard.startsWith('/')
          ? '/x'
          : sampleOf[type]
        : type.find((word) => word !== standard);
    const value = sampleAt[path] ?? (typeof standard === 'boolean' ? !standard : usual);
    const { company, unlike } = companyOf(path);
    try {
      const { config, warnings } = configOf(JSON.stringify(nested({ ...company, [path]: value })), 'v');
      assert.ok(warnings.length > 0 || JSON.stringify(config) !== JSON.stringify(unlike), `${path} changes nothing`);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      assert.ok(
        valueNotes.some(([noted]) => noted === path),
        error.message,
      );
    }
  }
});

/** What a value needs beside it to mean something, and the configuration that it changes then. */
function companyOf(path: string): { readonly company: Readonly<Record<string, unknown>>; readonly unlike: Config } {
  const [, folder] = /^(prometheus|ipMasqAgent|hubble\.redact)\../.exec(path) ?? [];
  const enabled = folder === undefined || path.endsWith('.enabled') ? {} : { [`${folder}.enabled`]: true };
  const company = path === 'k8sServiceHost' ? { k8sServicePort: 1 } : path === 'k8sServicePort' ? { k8sServiceHost: 'a' } : enabled;
  return { company, unlike: configOf(JSON.stringify(nested(enabled)), 'v').config };
}

/** `{'a.b': 1, 'a.c': 2}` as `{a: {b: 1, c: 2}}`. */
function nested(flat: Readonly<Record<string, unknown>>): unknown {
  const folders = Map.groupBy(Object.entries(flat), ([path]) => path.split('.')[0] ?? '');
  return Object.fromEntries(
    Array.from(folders, ([name, rows]) => {
      const [[path, value] = ['', undefined]] = rows;
      if (path === name) return [name, value];
      return [name, nested(Object.fromEntries(rows.map(([row, inner]) => [row.slice(name.length + 1), inner])))];
    }),
  );
}

for (const [yaml, mistake] of unknown)
  test(`unknown: ${mistake}`, () => {
    assert.deepEqual(mistakesIn(yaml), [mistake]);
  });

const wrong: readonly [yaml: string, mistake: string][] = [
  ['cluster:\n  id: one', 'cluster.id (line 2) is "one", wanted a number that is not negative'],
  ['cluster:\n  id: 256', 'cluster.id (line 2) is 256, wanted a whole number from 0 to 255'],
  ['cluster:\n  name: Home Ops', 'cluster.name (line 2) is "Home Ops", wanted lower-case letters, digits and hyphens, at most 32'],
  ['cluster: home', 'cluster (line 1) is "home", wanted name, id under it'],
  ['autoDirectNodeRoutes: "yes"', 'autoDirectNodeRoutes (line 1) is "yes", wanted true or false'],
  ['kubeProxyReplacement: strict', 'kubeProxyReplacement (line 1) is "strict", wanted true or false'],
  ['ipam:\n  mode: cluster-pool', 'ipam.mode (line 2) is "cluster-pool", wanted kubernetes'],
  ['loadBalancer:\n  mode: nat', 'loadBalancer.mode (line 2) is "nat", wanted snat, dsr, hybrid'],
  ['ipv4NativeRoutingCIDR: 10.244.0.0', 'ipv4NativeRoutingCIDR (line 1) is "10.244.0.0", wanted a prefix such as 10.244.0.0/16'],
  ['ipv4NativeRoutingCIDR: fd00::/8', 'ipv4NativeRoutingCIDR (line 1) is "fd00::/8", wanted an IPv4 prefix'],
  ['k8sServiceHost: a\nk8sServicePort: 99999', 'k8sServicePort (line 2) is 99999, wanted a port from 1 to 65535'],
  ['k8sServiceHost: a', 'k8sServicePort is not set, wanted the port of k8sServiceHost'],
  [
    'kubeProxyReplacementHealthzBindAddr: :10256',
    'kubeProxyReplacementHealthzBindAddr (line 1) is ":10256", wanted an address and a port such as 0.0.0.0:10256',
  ],
  ['hubble:\n  metrics:\n    enabled: {dns: true}', 'hubble.metrics.enabled (line 3) is {"dns":true}, wanted a list of texts'],
  [
    'hubble:\n  redact:\n    http: {headers: {allow: [Host], deny: [Server]}}',
    'hubble.redact.http.headers.deny (line 3) is ["Server"], wanted no more than one of the lists allow and deny',
  ],
  ['hubble:\n  history:\n    maxSizeMiB: 0', 'hubble.history.maxSizeMiB (line 3) is 0, wanted a number from 1 to 1048576'],
  ['nodePort:\n  range: 40000', 'nodePort.range (line 2) is "40000", wanted two ports such as 30000,32767, the last of them below 65535'],
  [
    'nodePort:\n  range: 30000-65535',
    'nodePort.range (line 2) is "30000-65535", wanted two ports such as 30000,32767, the last of them below 65535',
  ],
  [
    'kubeProxyReplacement: false\nl2announcements:\n  enabled: true',
    'kubeProxyReplacement (line 1) is false, wanted true, as l2announcements.enabled is true',
  ],
  ['cgroup:\n  hostRoot: sys/fs/cgroup', 'cgroup.hostRoot (line 2) is "sys/fs/cgroup", wanted an absolute path'],
  ['- a\n- b', 'the file is ["a","b"], wanted one of 68 keys under it'],
];
for (const [yaml, mistake] of wrong)
  test(`wrong: ${mistake}`, () => {
    assert.deepEqual(
      mistakesIn(yaml).map((text) => text.replace(/one of \d+ keys/, 'one of 68 keys')),
      [mistake],
    );
  });

test('a value whose meaning cannot be honoured is refused with the reason', () => {
  assert.match(mistakesIn('routingMode: tunnel')[0] ?? '', /^routingMode \(line 1\) is "tunnel": this version does not encapsulate/);
  assert.match(
    mistakesIn('encryption:\n  enabled: true')[0] ?? '',
    /^encryption\.enabled \(line 2\) is true: traffic between nodes would go in clear/,
  );
});

test('what flows do not show is read by name, in lower case, and nothing of it while it is not enabled', () => {
  const redactionOf = (yaml: string) => configOf(`hubble: {redact: ${yaml}}`, 'values.yaml').config.hubble.redaction;
  assert.equal(redactionOf('{http: {urlQuery: true}}'), undefined);
  assert.deepEqual(redactionOf('{enabled: true}'), { urlQuery: false, userInfo: true, allow: [], deny: [] });
  assert.deepEqual(redactionOf('{enabled: true, http: {urlQuery: true, userInfo: false, headers: {allow: [X-Request-Id]}}}'), {
    urlQuery: true,
    userInfo: false,
    allow: ['x-request-id'],
    deny: [],
  });
});

test('a known value without effect gives a warning that names it, unless it is the default', () => {
  const { warnings } = configOf(
    'bpf:\n  ctTcpMax: 1000\n  ctAnyMax: 262144\n  masquerade: false\nhubble:\n  dropEventEmitter: {enabled: true}\n',
    'values.yaml',
  );
  assert.deepEqual(
    warnings.map(({ object, message }) => [object, message.split(';')[0]]),
    [
      ['Config bpf.ctTcpMax', 'bpf.ctTcpMax (line 2) is 1000, which has no effect in this version'],
      ['Config bpf.masquerade', 'bpf.masquerade (line 4) is false: masquerade is always done in BPF'],
      ['Config hubble.dropEventEmitter', 'hubble.dropEventEmitter (line 6) has no effect in this version'],
    ],
  );
});

test('every mistake is found at once, and the message names the file', () => {
  assert.throws(
    () => configOf('cluster:\n  id: -1\nMtu: 1500\nroutingMode: tunnel\n', 'my/values.yaml'),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.code, 'InvalidConfig');
      assert.match(
        error.message,
        /^Cannot use my\/values\.yaml: 3 mistakes\n  cluster\.id .*\n  Mtu \(line 3\) is no known key, did you mean MTU\n  routingMode/,
      );
      return true;
    },
  );
});

test('what is no YAML, or too much of it, is one mistake', () => {
  for (const text of ['a: b: c', 'hubble: {', '"', 'cluster:\n  id: 1\n  id: 2'])
    assert.match(mistakesIn(text)[0] ?? 'none', /^is no YAML: .*line \d/);
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(', ')}]`),
  ].join('\n');
  assert.match(mistakesIn(bomb)[0] ?? 'none', /Excessive alias count/);
});

test('anchors and merges are read, as Helm reads them', () => {
  const { config } = configOf('cluster: &c\n  name: a\n  id: 7\n', 'v');
  assert.equal(config.clusterId, 7);
  assert.deepEqual(mistakesIn('hubble: &x\n  enabled: true\n  ui: {enabled: true}\noperator:\n  <<: *x\n'), [
    'operator.ui.enabled is no known key, did you mean hubble.ui.enabled',
  ]);
});

test('keys of folders that have nothing to drive are known, and typos beside acting keys are not', () => {
  const { warnings } = configOf('envoy:\n  resources: {limits: {memory: 1Gi}}\nclustermesh:\n  config:\n    enabled: true\n', 'v');
  assert.deepEqual(
    warnings.map(({ object }) => object),
    ['Config envoy.resources', 'Config clustermesh.config'],
  );
  for (const { yaml, mistake } of [
    { yaml: 'clustermesh:\n  useAPIServer: true', mistake: /^clustermesh\.useAPIServer \(line 2\) is true: other clusters/ },
    { yaml: 'envoyy:\n  resources: 1', mistake: /^envoyy\.resources \(line 2\) is no known key/ },
    { yaml: 'ipam:\n  modes: kubernetes', mistake: /did you mean ipam\.mode$/ },
  ])
    assert.match(mistakesIn(yaml)[0] ?? 'none', mistake);
});

test('the table of values is in itself consistent', () => {
  const paths = valueRows.map(([path]) => path);
  assert.equal(new Set(paths).size, paths.length);
  for (const path of paths) assert.ok(!paths.some((other) => other.startsWith(`${path}.`)), `${path} is a key and a folder`);
  for (const [path, type, byDefault, state, drives, meaning] of valueRows) {
    if (type !== 'any' && byDefault !== undefined && byDefault !== '')
      assert.deepEqual(readValue(type, byDefault), { value: byDefault }, path);
    assert.equal(state === 'acts', drives !== 'none', path);
    assert.match(meaning, /^\S.*[^.]$/, path);
  }
  for (const [path] of valueNotes) assert.ok(paths.includes(path), path);
});
