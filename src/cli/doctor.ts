// SPDX-License-Identifier: Apache-2.0
// `doctor`: what this node has and what is missing, found by trying. It changes nothing, and works with and without an agent. With --values
// it looks at a file before that is installed, from anywhere.

import type { Io } from './command.ts';
import { argumentsOf, outputOption, print, UsageError } from './command.ts';
import { configOf, readConfig } from '../agent/config.ts';
import type { Config } from '../agent/config.ts';
import { hostname } from 'node:os';
import { existsSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import type { Finding } from './finding.ts';

const VALUES = '/etc/stentor/values.yaml';

export const help = `Usage: NAME doctor [--kubeconfig PATH] [--node NODE] [-o json]
       NAME doctor --values FILE [MANIFEST...] [--kubeconfig PATH] [-o json]

Looks at the kernel, mounts, capabilities, settings, interfaces, the Kubernetes API and the agent of this node, by trying each. A line each:
a tick, or a cross with what it would give. Changes nothing. Exit code 1 when something necessary is missing.

With --values it looks at a file of Helm values instead, before it is installed: unknown keys, values that cannot be or do nothing, dashboards
that would be empty, addresses that nobody would announce. Exit code 1 when there is a mistake.

  --values FILE      the values to look at; MANIFEST: files with the CiliumLoadBalancerIPPools and CiliumL2AnnouncementPolicies beside them
  --kubeconfig PATH  credentials for the Kubernetes API; of a node in place of those of a pod, with --values to look at the cluster's nodes too
  --node NODE        this node's Node object, the host's name unless said otherwise

Examples:
  NAME doctor
  NAME doctor --kubeconfig /etc/kubernetes/kubelet.conf
  NAME doctor --values values.yaml cilium-l2.yaml --kubeconfig ~/.kube/config
  NAME doctor -o json | jq '.[] | select(.ok == false)'
`;

const options = {
  values: { type: 'string' },
  kubeconfig: { type: 'string' },
  node: { type: 'string' },
  ...outputOption,
} as const;

const MOST_MANIFESTS = 100;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = argumentsOf(args, options, MOST_MANIFESTS);
  if (values.values === undefined && positionals[0] !== undefined)
    throw new UsageError(`Cannot look at ${positionals[0]} without values, wanted --values FILE before it`);
  if (values.values !== undefined) return lookAtValues(values.values, positionals, { ...values, io });
  const { kernelFindings } = await import('./doctor-kernel.ts');
  const { nodeFindings } = await import('./doctor-node.ts');
  const node = values.node ?? process.env['K8S_NODE_NAME'] ?? hostname();
  const { config, finding } = configAt(VALUES);
  const known = { config, node, socket: io.socket, kubeconfig: values.kubeconfig };
  const findings = [...(await kernelFindings(config)), finding, ...(await nodeFindings(known))];
  print(io, values.output, findings, doctorText);
  return findings.some(({ ok, necessary }) => necessary && !ok) ? 1 : 0;
}

async function lookAtValues(
  file: string,
  manifests: readonly string[],
  { kubeconfig, output, io }: { readonly kubeconfig?: string; readonly output?: string; readonly io: Io },
): Promise<number> {
  const { adviceText, valuesFindings } = await import('./doctor-values.ts');
  const found = await valuesFindings({ file, manifests, kubeconfig });
  print(io, output, found, (all) => adviceText(all, file));
  return found.some(({ level }) => level === 'mistake') ? 1 : 0;
}

function configAt(path: string): { readonly config: Config; readonly finding: Finding } {
  const defaults = () => configOf('{}', path).config;
  const about = { name: 'values', gives: 'the settings of the installation' };
  if (!existsSync(path))
    return {
      config: defaults(),
      finding: { ...about, ok: false, necessary: false, found: `${path} does not exist: looking with the defaults` },
    };
  try {
    return { config: readConfig(path).config, finding: { ...about, ok: true, necessary: true, found: path } };
  } catch (error) {
    return { config: defaults(), finding: { ...about, ok: false, necessary: true, found: messageOf(error).replaceAll(/\s*\n\s*/g, '; ') } };
  }
}

/** A line for each, and how many are missing. */
export function doctorText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map(
    ({ name, ok, necessary, found, gives }) =>
      `${ok ? '✔' : '✘'} ${name.padEnd(width)}  ${found}${ok ? '' : `. ${necessary ? 'Needed for' : 'It would give'} ${gives}`}`,
  );
  const missing = findings.filter(({ ok, necessary }) => necessary && !ok);
  const summary = missing.length === 0 ? 'Nothing that is needed is missing' : `Missing: ${missing.map(({ name }) => name).join(', ')}`;
  return `${lines.join('\n')}\n\n${summary}\n`;
}
