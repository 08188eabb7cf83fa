// SPDX-License-Identifier: Apache-2.0
// What can be said of a file of values before anything is installed: what is wrong with it, what in it does nothing, and what its author
// will miss. Pure: the file as text, and whatever is known of the cluster.

import { ConfigError, configOf } from '../agent/config.ts';
import type { Config } from '../agent/config.ts';
import { valuesIn } from '../agent/values.ts';
import type { Values } from '../agent/values.ts';
import { clusterAdvice } from './cluster-advice.ts';
import type { Surroundings } from './cluster-advice.ts';

export type Advice = {
  /** A mistake keeps it from being installed or from working, a warning does less than its author believes, a note is worth knowing. */
  readonly level: 'mistake' | 'warning' | 'note';
  /** The key, the object, or the node. */
  readonly about: string;
  readonly message: string;
  /** What to do; undefined: the message says it. */
  readonly advice?: string;
};

/** Worst first. `file` is for messages. */
export function valuesAdvice(text: string, file: string, around: Surroundings): readonly Advice[] {
  let config: Config;
  let ineffective: readonly Advice[];
  try {
    const read = configOf(text, file);
    config = read.config;
    ineffective = read.warnings.map(({ message, advice }) => told('warning', message, advice));
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.map((mistake) => told('mistake', mistake));
    throw error;
  }
  const rules = [...ofServices, ...ofMetrics, ...ofNodes].flatMap((rule) => rule(config, valuesIn(text), around) ?? []);
  const all = [...ineffective, ...rules, ...clusterAdvice(config, around)];
  const order = ['mistake', 'warning', 'note'];
  return all.toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/** 'hubble.metric (line 3) is no known key' is about 'hubble.metric (line 3)'. */
function told(level: Advice['level'], sentence: string, advice?: string): Advice {
  const [, about = 'the file', message = sentence] = /^(\S+(?: \(line \d+\))?) ([^]*)$/.exec(sentence) ?? [];
  return { level, about, message, ...(advice !== undefined && { advice }) };
}

type Rule = (config: Config, values: Values, around: Surroundings) => Advice | readonly Advice[] | undefined;

const warning = (about: string, message: string, advice: string): Advice => ({ level: 'warning', about, message, advice });
const note = (about: string, message: string, advice: string): Advice => ({ level: 'note', about, message, advice });

/** Talos has the API at this address of each node. */
const isKubePrism = (values: Values): boolean =>
  ['localhost', '127.0.0.1'].includes(String(values.get('k8sServiceHost'))) && values.get('k8sServicePort') === 7445;

const ofServices: readonly Rule[] = [
  (config, values) =>
    config.kubeProxyReplacement && config.apiServers.length === 0
      ? warning(
          'k8sServiceHost',
          'is not set, and kubeProxyReplacement is true: agents look for the API at the address of a Service that nobody serves before they do',
          'Set k8sServiceHost and k8sServicePort to where the API is without kube-proxy: on Talos localhost and 7445, on k3s 127.0.0.1 and 6444, else a load balancer or one of its servers',
        )
      : isKubePrism(values) && values.get('kubeProxyReplacement') === false
        ? note('kubeProxyReplacement', 'is false, so kube-proxy has to run', 'On Talos set cluster.proxy.disabled to false')
        : undefined,
  (config) =>
    config.operator.replicas === 0
      ? warning('operator.replicas', 'is 0: Services get no addresses, and Hubble no certificates', 'Set it to 2')
      : undefined,
  ({ loadBalancer: { mode, dispatch } }) =>
    mode !== 'snat' && dispatch === 'opt'
      ? note(
          'loadBalancer.mode',
          `is ${mode} with dsrDispatch opt: the first packets of a connection name its Service in an IP option, which some switches and firewalls drop`,
          'Agents try it and say so (stentor problems); dsrDispatch: geneve uses UDP port 6081 in its place',
        )
      : undefined,
];

const monitors = [
  ['prometheus', 'prometheus.enabled', 'prometheus.serviceMonitor.enabled'],
  ['operator', 'operator.prometheus.enabled', 'operator.prometheus.serviceMonitor.enabled'],
  ['relay', 'hubble.relay.enabled', 'hubble.relay.prometheus.serviceMonitor.enabled'],
] as const;

const ofMetrics: readonly Rule[] = [
  (_, values) =>
    monitors.flatMap(([, source, monitor]) =>
      values.get(monitor) === true && values.get(source) === false
        ? [warning(monitor, `is true, and ${source} is false: there is nothing to scrape`, `Set ${source}: true`)]
        : [],
    ),
  ({ hubble }, values) => {
    const wanted = ['hubble.dashboards.enabled', 'hubble.metrics.dashboards.enabled'].filter((path) => values.get(path) === true);
    const served = hubble.enabled && hubble.metrics.length > 0;
    return wanted.flatMap((path) =>
      served
        ? []
        : [
            warning(
              path,
              `is true, and ${hubble.enabled ? 'hubble.metrics.enabled names no metric' : 'hubble.enabled is false'}: the dashboards would be empty`,
              'Set hubble.metrics.enabled to those that you want: [dns, drop, tcp, flow, port-distribution, icmp, http]',
            ),
          ],
    );
  },
  ({ hubble }, values) =>
    hubble.metrics.length > 0 &&
    !(values.get('hubble.serviceMonitor.enabled') === true || values.get('hubble.metrics.serviceMonitor.enabled') === true)
      ? note(
          'hubble.metrics.enabled',
          'is set without hubble.serviceMonitor.enabled: only a Prometheus that goes by annotations finds them',
          'Set hubble.serviceMonitor.enabled: true where the Prometheus operator runs',
        )
      : undefined,
  (_, values) =>
    [
      ['dashboards.enabled', 'prometheus.enabled'],
      ['operator.dashboards.enabled', 'operator.prometheus.enabled'],
    ].flatMap(([dashboards = '', source = '']) =>
      values.get(dashboards) === true && values.get(source) === false
        ? [warning(dashboards, `is true, and ${source} is false: the dashboard would be empty`, `Set ${source}: true`)]
        : [],
    ),
  ({ hubble }, values) => {
    if (values.get('hubble.ui.enabled') !== true) return undefined;
    return hubble.enabled && values.get('hubble.relay.enabled') === true
      ? undefined
      : warning(
          'hubble.ui.enabled',
          'is true, and without hubble.enabled and hubble.relay.enabled the page shows nothing',
          'Set both to true',
        );
  },
];

const ofNodes: readonly Rule[] = [
  ({ cgroupRoot, kubeProxyReplacement }, values) =>
    kubeProxyReplacement && values.get('cgroup.autoMount.enabled') === false && cgroupRoot === '/run/cilium/cgroupv2'
      ? warning(
          'cgroup.hostRoot',
          `is ${cgroupRoot}, where nobody mounts cgroup2, as cgroup.autoMount.enabled is false`,
          'Set cgroup.hostRoot: /sys/fs/cgroup',
        )
      : undefined,
  (_, values) =>
    isKubePrism(values) && values.get('cgroup.autoMount.enabled') === true
      ? warning(
          'cgroup.autoMount.enabled',
          'is true, and Talos lets nobody mount there',
          'Set it to false, and cgroup.hostRoot: /sys/fs/cgroup',
        )
      : undefined,
  ({ autoDirectNodeRoutes }, _, { nodes }) =>
    autoDirectNodeRoutes || nodes?.length === 1
      ? undefined
      : warning(
          'autoDirectNodeRoutes',
          'is false: pods reach those of another node only if something else makes routes to its podCIDR',
          'Set autoDirectNodeRoutes: true where nodes share a segment',
        ),
  ({ masquerade }, values) =>
    isKubePrism(values) && masquerade.ipv4
      ? note(
          'bpf.masquerade',
          'and the host DNS of Talos (forwardKubeDNSToHost) go together: it answers at an address of the node itself, which pods reach through its stack',
          'There is nothing to set; bpf.hostLegacyRouting has no effect',
        )
      : undefined,
  ({ masquerade }) =>
    masquerade.ipv4
      ? undefined
      : note(
          'enableIPv4Masquerade',
          'is false: what is outside of the cluster sees addresses of pods, and needs a route to them',
          'Leave it true unless the router of the network has routes to the podCIDRs',
        ),
  ({ mtu, ipv6 }) => {
    if (mtu === undefined) return undefined;
    if (mtu < 1280)
      return warning(
        'MTU',
        `is ${mtu}${ipv6 === false ? '' : ', and IPv6 wants at least 1280'}: connections of pods are slow, or hang`,
        'Leave it out: it is that of the node devices then',
      );
    return mtu > 1500
      ? warning(
          'MTU',
          `is ${mtu}: packets of that size are lost where a device, a switch or a router on the way takes no more than 1500`,
          'Leave it out: it is that of the node devices then',
        )
      : undefined;
  },
];
