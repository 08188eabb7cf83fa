// SPDX-License-Identifier: Apache-2.0
// `doctor`: what this node has and what is missing, found by trying. It changes nothing, and works with and without an agent.

import type { Io } from './command.ts';
import { argumentsOf, outputOption, print } from './command.ts';
import { configOf, readConfig } from '../agent/config.ts';
import type { Config } from '../agent/config.ts';
import { hostname } from 'node:os';
import { existsSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import type { Finding } from './finding.ts';
import { kernelFindings } from './doctor-kernel.ts';
import { nodeFindings } from './doctor-node.ts';

const VALUES = '/etc/stentor/values.yaml';

export const help = `Usage: NAME doctor [--values PATH] [--kubeconfig PATH] [--node NAME] [-o json]

Looks at the kernel, mounts, capabilities, settings, interfaces, the Kubernetes API and the agent of this node, by trying each. A line each:
a tick, or a cross with what it would give. Changes nothing. Exit code 1 when something necessary is missing.

  --values PATH      the values of the installation, ${VALUES} unless said otherwise; the defaults when there is no such file
  --kubeconfig PATH  credentials for the Kubernetes API, in place of those of a pod
  --node NAME        this node's Node object, the host's name unless said otherwise

Examples:
  NAME doctor
  NAME doctor --kubeconfig /etc/kubernetes/kubelet.conf
  NAME doctor -o json | jq '.[] | select(.ok == false)'
`;

const options = {
  values: { type: 'string', default: VALUES },
  kubeconfig: { type: 'string' },
  node: { type: 'string' },
  ...outputOption,
} as const;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = argumentsOf(args, options);
  const node = values.node ?? process.env['K8S_NODE_NAME'] ?? hostname();
  const { config, finding } = configAt(values.values);
  const known = { config, node, socket: io.socket, kubeconfig: values.kubeconfig };
  const findings = [...(await kernelFindings(config)), finding, ...(await nodeFindings(known))];
  print(io, values.output, findings, doctorText);
  return findings.some(({ ok, necessary }) => necessary && !ok) ? 1 : 0;
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
