// SPDX-License-Identifier: Apache-2.0
// The chart, as the real helm lints and renders it.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configOf } from '../../src/agent/config.ts';
import { CHART, helm, objectsIn, rendered, SEED, withFile } from './helm.ts';
import type { Helm, KubeObject } from './helm.ts';
import { samples } from './samples.ts';

const found = helm();
const options = typeof found === 'string' ? { skip: found } : {};
const none = () => assert.fail(String(found));
const run: Helm = typeof found === 'string' ? Object.assign(none, { beside: none }) : found;
const seed = readFileSync(SEED, 'utf8');
const render = (yaml: string) => objectsIn(rendered(run, yaml));
const nameOf = ({ kind, metadata: { name } }: KubeObject) => `${kind} ${name}`;

function object(objects: readonly KubeObject[], name: string): KubeObject {
  const one = objects.find((candidate) => nameOf(candidate) === name);
  assert.ok(one, `${name} is not among ${objects.map(nameOf).join(', ')}`);
  return one;
}

const matrix: Readonly<Record<string, string>> = {
  'nothing said': '',
  "the seed's": seed,
  'every part off':
    'hubble: {enabled: false}\noperator: {enabled: false}\nprometheus: {enabled: false}\ndashboards: {enabled: false}\ncni: {install: false}\n',
  'every part on': `hubble:
  metrics: {enabled: [dns, drop], serviceMonitor: {enabled: true}}
  relay: {enabled: true, replicas: 2, prometheus: {enabled: true}}
  ui: {enabled: true, ingress: {enabled: true, hosts: [a.example.com]}}
  export: {dynamic: {enabled: true, config: {content: [{name: all, filePath: /var/run/cilium/hubble/all.log}]}}}
localRedirectPolicies: {enabled: true}
`,
  k3s: 'k8sServiceHost: 127.0.0.1\nk8sServicePort: "6444"\noperator: {replicas: 1}\ncni: {confPath: /var/lib/rancher/k3s/agent/etc/cni/net.d}\n',
  'values of Cilium that do nothing here': 'envoy: {enabled: false}\nbpf: {ctTcpMax: 1000}\nclustermesh: {config: {enabled: false}}\n',
};

for (const [what, yaml] of Object.entries(matrix)) {
  test(`lint --strict: ${what}`, options, () => {
    const { code, out, err } = withFile(yaml, (file) => run(['lint', '--strict', CHART, '-f', file]));
    assert.equal(code, 0, out + err);
  });

  test(`rendered twice, the same bytes, and programs read what was said: ${what}`, options, () => {
    const [once, again] = [rendered(run, yaml), rendered(run, yaml)];
    assert.equal(once.out, again.out);
    const { data } = object(objectsIn(once), 'ConfigMap cilium-config') as KubeObject & { readonly data: Record<string, string> }; // as: a ConfigMap has data
    const programs = (text: string) => {
      const { operator, ...config } = configOf(text, 'v').config;
      return { ...config, operator: { ...operator, replicas: 'of the chart' } };
    };
    assert.deepEqual(programs(data['values.yaml'] ?? ''), programs(yaml));
  });
}

const NAMED = `ServiceAccount cilium, ServiceAccount cilium-operator, ServiceAccount hubble-relay, ServiceAccount hubble-ui,
DaemonSet cilium, Deployment cilium-operator, Deployment hubble-relay, Deployment hubble-ui, ConfigMap cilium-config, ConfigMap hubble-relay-config,
Service hubble-peer, Service hubble-relay, Service hubble-relay-metrics, Service hubble-ui, Service hubble-metrics, Service cilium-agent,
Service cilium-operator, ServiceMonitor cilium-agent, ServiceMonitor cilium-operator, ServiceMonitor hubble, ServiceMonitor hubble-relay,
ClusterRole cilium, ClusterRole cilium-operator, ClusterRoleBinding cilium, ClusterRoleBinding cilium-operator, Role cilium-config-agent`;

test("the seed's values make every object that its page names", options, () => {
  const objects = render(seed);
  for (const name of NAMED.split(/,\s+/)) object(objects, name);
  assert.equal(new Set(objects.map(nameOf)).size, objects.length, 'an object twice');
  for (const one of objects) assert.equal(one.metadata.labels?.['app.kubernetes.io/part-of'], 'cilium', nameOf(one));
  assert.ok(!objects.some(({ kind }) => kind === 'Secret' || kind === 'Job'), 'a Secret or a hook');
});

test('dashboards are ConfigMaps in the folder that the values name', options, () => {
  const folder = join(CHART, 'files/dashboards');
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  const objects = render(seed.replaceAll('grafana_folder: Cilium', 'grafana_folder: Net'));
  for (const file of files) {
    const { metadata, data } = object(objects, `ConfigMap ${file.slice(0, -'.json'.length)}`);
    assert.deepEqual(JSON.parse((data as Record<string, string>)[file] ?? ''), JSON.parse(readFileSync(join(folder, file), 'utf8'))); // as: a ConfigMap has texts
    assert.equal(metadata.labels?.['grafana_dashboard'], '1');
    if (!file.startsWith('cilium-') || file.startsWith('cilium-operator'))
      assert.deepEqual(metadata.annotations, { grafana_folder: 'Net' });
  }
});

test('kinds that the cluster does not know are left out', options, () => {
  const without = objectsIn(rendered(run, seed, []));
  assert.ok(!without.some(({ kind }) => kind === 'ServiceMonitor'));
});

test('the definitions that the programs need come along', options, () => {
  const { out } = run(['template', 'cilium', CHART, '--include-crds']);
  for (const file of readdirSync(join(CHART, 'crds'))) assert.ok(out.includes(`# Source: cilium/crds/${file}`), file);
});

const typos: readonly (readonly [yaml: string, said: string])[] = [
  ['kubeProxyReplacment: true', 'kubeProxyReplacment is no known key, did you mean kubeProxyReplacement'],
  ['hubble: {metric: {enabled: [dns]}}', 'hubble.metric.enabled is no known key, did you mean hubble.metrics.enabled'],
  [
    'hubble: {serviceMonitors: {enabled: true}}',
    'hubble.serviceMonitors.enabled is no known key, did you mean hubble.serviceMonitor.enabled',
  ],
  ['relay: {enabled: true}', 'relay.enabled is no known key, did you mean hubble.relay.enabled'],
  ['ui: {rollOutPods: true}', 'ui.rollOutPods is no known key, did you mean hubble.ui.rollOutPods'],
  ['l2Announcements: {enabled: true}', 'l2Announcements.enabled is no known key, did you mean l2announcements.enabled'],
  ['bpf: {masquarade: true}', 'bpf.masquarade is no known key, did you mean bpf.masquerade'],
  ['masquerade: true', 'masquerade is no known key, did you mean bpf.masquerade'],
  ['cgroup: {hostroot: /x}', 'cgroup.hostroot is no known key, did you mean cgroup.hostRoot'],
  ['rolloutCiliumPods: true', 'rolloutCiliumPods is no known key, did you mean rollOutCiliumPods'],
  ['zebra: {stripes: 40}', 'zebra.stripes is no known key'],
  ['routingMode: tunnel', 'routingMode is "tunnel": this version does not encapsulate'],
  ['encryption: {enabled: true}', 'encryption.enabled is true: traffic between nodes would go in clear'],
];
for (const [yaml, said] of typos)
  test(`fails: ${said}`, options, () => {
    const { code, err } = rendered(run, yaml);
    assert.notEqual(code, 0);
    assert.ok(err.includes(`one mistake\n  ${said}`), err);
    if (said.includes('is no known key') && !said.includes('mean')) assert.ok(!err.includes('did you mean'), err);
  });

test("all mistakes are said at once; a wrong type is the schema's to say", options, () => {
  assert.match(rendered(run, 'zebra: 1\nroutingMode: tunnel\n').err, /2 mistakes\n {2}routingMode is .*\n {2}zebra is no known key/);
  assert.match(rendered(run, 'hubble: {enabled: maybe}').err, /hubble.*enabled/s);
  assert.match(rendered(run, 'loadBalancer: {mode: fast}').err, /loadBalancer.*mode/s);
});

type PodSpec = {
  readonly securityContext?: Record<string, unknown>;
  readonly containers: readonly {
    readonly name: string;
    readonly securityContext?: {
      readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
      readonly [key: string]: unknown;
    };
  }[];
};

function podOf(objects: readonly KubeObject[], name: string): PodSpec {
  return (object(objects, name)['spec'] as { readonly template: { readonly spec: PodSpec } }).template.spec; // as: a workload has a template
}

test('nobody has more privileges than needed', options, () => {
  const objects = render(seed);
  const agent = podOf(objects, 'DaemonSet cilium').containers[0]?.securityContext;
  assert.deepEqual(agent?.capabilities?.drop, ['ALL']);
  assert.ok(!agent?.capabilities?.add?.includes('SYS_MODULE'));
  assert.equal(agent?.['readOnlyRootFilesystem'], true);
  assert.equal(agent?.['privileged'], undefined);
  for (const name of ['cilium-operator', 'hubble-relay', 'hubble-ui']) {
    const pod = podOf(objects, `Deployment ${name}`);
    assert.equal(pod.securityContext?.['runAsNonRoot'], true, name);
    assert.deepEqual(
      pod.containers[0]?.securityContext,
      { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      name,
    );
  }
});

test('pods roll out when what they read changes, and only then', options, () => {
  const sums = (yaml: string) =>
    ['DaemonSet cilium', 'Deployment cilium-operator', 'Deployment hubble-relay'].map((name) => {
      const { template } = object(render(yaml), name)['spec'] as { readonly template: KubeObject }; // as: a workload has a template
      const { annotations = {} } = template.metadata;
      return Object.entries(annotations).find(([key]) => key.endsWith('checksum'))?.[1];
    });
  const before = sums(seed);
  assert.ok(before.every((sum) => sum !== undefined));
  assert.deepEqual(sums(`${seed}\ntolerations: []\n`), before);
  const after = sums(seed.replace('id: 1', 'id: 2'));
  assert.ok(after.every((sum, i) => sum !== before[i]));
});

test('every key that is said to drive the chart changes what is rendered', options, () => {
  for (const { path, without, given } of samples(existsSync(join(CHART, 'files/dashboards')))) {
    const apis = path.endsWith('.trustCRDsExist') ? [] : undefined;
    const [before, after] = [rendered(run, without, apis), rendered(run, given, apis)];
    assert.equal(after.code, 0, `${path}: ${after.err}`);
    assert.notEqual(before.out, after.out, `${path} changes nothing`);
  }
});
