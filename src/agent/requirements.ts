// SPDX-License-Identifier: Apache-2.0
// What the agent needs of its node before it touches anything. Everything that is missing is named at once, each with what to do.

import { readFileSync, statfsSync } from 'node:fs';
import { messageOf, StentorError } from '../base/errors.ts';
import type { Config } from './config.ts';

/** f_type of statfs(2): linux/magic.h. */
const Filesystem = { bpf: 0xcafe4a11, cgroup2: 0x63677270 } as const;

/** Numbers of linux/capability.h. CAP_SYS_ADMIN covers CAP_BPF and CAP_PERFMON, and lets us enter the namespaces of pods. */
const capabilities = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

export class MissingRequirement extends StentorError {
  constructor(missing: readonly string[]) {
    super('MissingRequirement', missing.join('\n'));
  }
}

/** Throws MissingRequirement. */
export function requireNode(config: Pick<Config, 'bpfRoot' | 'cgroupRoot' | 'kubeProxyReplacement'>): void {
  const wanted = [
    missingCapabilities(readFileSync('/proc/self/status', 'utf8')),
    unlessOn('bpf', config.bpfRoot, `Cannot keep the data plane in ${config.bpfRoot}`, `mount a bpf filesystem there (mount -t bpf bpf ${config.bpfRoot}), or name one in bpf.root`),
    config.kubeProxyReplacement
      ? unlessOn('cgroup2', config.cgroupRoot, `Cannot attach the socket programs to ${config.cgroupRoot}`, `mount cgroup2 there (mount -t cgroup2 cgroup2 ${config.cgroupRoot}), or name its root in cgroup.hostRoot`)
      : undefined,
  ];
  const missing = wanted.filter((sentence) => sentence !== undefined);
  if (missing.length > 0) throw new MissingRequirement(missing);
}

/** `status`: the text of /proc/self/status. */
export function missingCapabilities(status: string): string | undefined {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const missing = Object.entries(capabilities).filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return undefined;
  return `Cannot program the kernel without ${missing.map(([name]) => name).join(' and ')}: run the agent as root, or add them to the capabilities in its container's securityContext`;
}

function unlessOn(kind: keyof typeof Filesystem, path: string, failed: string, advice: string): string | undefined {
  try {
    if (statfsSync(path).type === Filesystem[kind]) return undefined;
  } catch (error) {
    return `${failed}: ${messageOf(error)}; ${advice}`;
  }
  return `${failed}: it is on no ${kind} filesystem; ${advice}`;
}
