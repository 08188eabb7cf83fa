// SPDX-License-Identifier: Apache-2.0
// Filters about who: addresses, pods, services, names, labels, workloads, identities, clusters, nodes.

import { cidrContains, parseCidr, parseIp } from '../base/ip.ts';
import type { Flow, FlowEndpoint, FlowService, Workload } from '../flows/flow.ts';
import { labelSelector } from './label-filter.ts';
import type { Labels } from './label-filter.ts';
import { pattern } from './pattern.ts';

type Of<T> = (flow: Flow) => T;

/** An address, or the prefix that it is in. */
const address =
  (of: Of<string | undefined>) =>
  (value: string): ((flow: Flow) => boolean) => {
    if (value.includes('/')) {
      const prefix = parseCidr(value);
      if (!prefix) throw new SyntaxError(`'${value}' is no prefix`);
      return (flow) => {
        const found = parseIp(of(flow) ?? '');
        return found !== undefined && cidrContains(prefix, found);
      };
    }
    const wanted = parseIp(value);
    if (wanted === undefined) throw new SyntaxError(`'${value}' is no IP address`);
    return (flow) => of(flow) === wanted || of(flow) === value;
  };

/** 'namespace/prefix', 'namespace/', '/prefix', '/', or a prefix in the namespace `default`. */
const named =
  (of: Of<{ readonly namespace?: string | undefined; readonly name?: string | undefined } | undefined>) =>
  (value: string): ((flow: Flow) => boolean) => {
    if (value === '') throw new SyntaxError('is empty, wanted namespace/name');
    const slash = value.indexOf('/');
    const namespace = slash < 0 ? 'default' : value.slice(0, slash);
    const prefix = value.slice(slash + 1);
    return (flow) => {
      const { namespace: inside = '', name = '' } = of(flow) ?? {};
      if (inside === '' && name === '') return false;
      return (namespace === '' || namespace === inside) && name.startsWith(prefix) && (prefix === '' || name !== '');
    };
  };

const pod = (of: Of<FlowEndpoint | undefined>) =>
  named((flow) => {
    const endpoint = of(flow);
    return endpoint && { namespace: endpoint.namespace, name: endpoint.podName };
  });
const service = (of: Of<FlowService | undefined>) => named(of);

/** Of '*' any run of characters that a name can have; everything else as it is, in lower case. */
const fqdn =
  (of: Of<readonly string[] | undefined>) =>
  (value: string): ((flow: Flow) => boolean) => {
    const name = value.toLowerCase().replace(/\.$/, '');
    if (name === '') throw new SyntaxError('is empty, wanted a name');
    const matches = glob(name, '[-.0-9a-z]*');
    return (flow) => (of(flow) ?? []).some((one) => matches(one.toLowerCase().replace(/\.$/, '')));
  };

function glob(text: string, star: string): (text: string) => boolean {
  if (!text.includes('*')) return (other) => other === text;
  return pattern(
    `^${text
      .split('*')
      .map((part) => part.replaceAll(/[^\w]/gu, (char) => `\\${char}`))
      .join(star)}$`,
  );
}

const labels =
  (of: Of<Labels | undefined>) =>
  (value: string): ((flow: Flow) => boolean) => {
    const selects = labelSelector(value);
    return (flow) => selects(of(flow) ?? []);
  };

const workload =
  (of: Of<FlowEndpoint | undefined>) =>
  ({ name = '', kind = '' }: Workload) =>
  (flow: Flow): boolean =>
    (of(flow)?.workloads ?? []).some((one) => (name === '' || one.name === name) && (kind === '' || one.kind === kind));

const cluster = (of: Of<FlowEndpoint | undefined>) => (value: string) => (flow: Flow) => (of(flow)?.clusterName ?? '') === value;
const identity = (of: Of<FlowEndpoint | undefined>) => (value: number) => (flow: Flow) => (of(flow)?.identity ?? 0) === value;

/** '[cluster/]node', with '*' in either; without a cluster that of any. */
const node = (value: string): ((flow: Flow) => boolean) => {
  if (value === '') throw new SyntaxError('is empty, wanted a node');
  const slash = value.indexOf('/');
  if (value.includes('/', slash + 1)) throw new SyntaxError(`'${value}' has two slashes, wanted cluster/node`);
  const inCluster = slash <= 0 ? () => true : glob(value.slice(0, slash), '[^/]*');
  const isNode = value.length === slash + 1 ? () => true : glob(value.slice(slash + 1), '[^/]*');
  return ({ nodeName }) => {
    const at = nodeName.indexOf('/');
    return inCluster(at < 0 ? 'default' : nodeName.slice(0, at)) && isNode(nodeName.slice(at + 1));
  };
};

const source: Of<FlowEndpoint | undefined> = (flow) => flow.source;
const destination: Of<FlowEndpoint | undefined> = (flow) => flow.destination;

export const endpointTests = {
  sourceIp: address((flow) => flow.ip?.source),
  sourceIpXlated: address((flow) => flow.ip?.sourceXlated),
  sourcePod: pod(source),
  sourceFqdn: fqdn((flow) => flow.sourceNames),
  sourceLabel: labels((flow) => flow.source?.labels),
  sourceService: service((flow) => flow.sourceService),
  sourceWorkload: workload(source),
  sourceClusterName: cluster(source),
  sourceIdentity: identity(source),
  destinationIp: address((flow) => flow.ip?.destination),
  destinationPod: pod(destination),
  destinationFqdn: fqdn((flow) => flow.destinationNames),
  destinationLabel: labels((flow) => flow.destination?.labels),
  destinationService: service((flow) => flow.destinationService),
  destinationWorkload: workload(destination),
  destinationClusterName: cluster(destination),
  destinationIdentity: identity(destination),
  nodeName: node,
  nodeLabels: labels((flow) => flow.nodeLabels),
};
