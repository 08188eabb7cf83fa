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

type Needs = Pick<Config, 'bpfRoot' | 'cgroupRoot' | 'kubeProxyReplacement'>;

/** Throws MissingRequirement. */
export function requireNode(config: Needs): void {
  const missing = [missingCapabilities(readFileSync('/proc/self/status', 'utf8')), ...missingMounts(config)].filter(
    (sentence) => sentence !== undefined,
  );
  if (missing.length > 0) throw new MissingRequirement(missing);
}

/** A sentence for each filesystem that is not where the values say. */
export function missingMounts({ bpfRoot, cgroupRoot, kubeProxyReplacement }: Needs): string[] {
  const wanted = [
    unlessOn(
      'bpf',
      bpfRoot,
      `Cannot keep the data plane in ${bpfRoot}`,
      `mount a bpf filesystem there (mount -t bpf bpf ${bpfRoot}), or name one in bpf.root`,
    ),
    kubeProxyReplacement
      ? unlessOn(
          'cgroup2',
          cgroupRoot,
          `Cannot attach the socket programs to ${cgroupRoot}`,
          `mount cgroup2 there (mount -t cgroup2 cgroup2 ${cgroupRoot}), or name its root in cgroup.hostRoot`,
        )
      : undefined,
  ];
  return wanted.filter((sentence) => sentence !== undefined);
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
