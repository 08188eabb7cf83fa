// SPDX-License-Identifier: Apache-2.0
// What the kernel of this node can do, found by asking it to.

import { accessSync, constants, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../agent/config.ts';
import { missingCapabilities, missingMounts } from '../agent/requirements.ts';
import { sysctlTable, sysctlTarget } from '../datapath/sysctls.ts';
import { encodeConfig } from '../datapath/schema.gen.ts';
import { AttachType, attachedPrograms } from '../kernel/link.ts';
import { loadObject } from '../kernel/load.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { tried } from './finding.ts';
import type { Finding } from './finding.ts';

const OBJECTS = fileURLToPath(new URL('../../build/bpf', import.meta.url));
/** 6.6 has tcx; there is no fallback below. */
const FLOOR = [6, 6] as const;
const LOOPBACK = 1;

export async function kernelFindings(config: Config): Promise<Finding[]> {
  const { cgroupRoot, bpfRoot, kubeProxyReplacement } = config;
  return [
    await tried({ name: 'kernel', necessary: true, gives: 'everything: programs are attached by tcx, which 6.6 has' }, kernelVersion),
    await tried({ name: 'capabilities', necessary: true, gives: 'programs, interfaces and routes' }, () =>
      orThrow(missingCapabilities(readFileSync('/proc/self/status', 'utf8')), 'CAP_NET_ADMIN and CAP_SYS_ADMIN'),
    ),
    await tried({ name: 'bpf(2)', necessary: true, gives: 'maps and programs' }, makeMap),
    await tried({ name: 'programs', necessary: true, gives: 'the whole data plane' }, loadPrograms),
    await tried(
      { name: 'tcx', necessary: true, gives: 'programs on the uplinks that outlive the agent' },
      () => `${attachedPrograms(AttachType.tcxIngress, LOOPBACK).length} programs at lo`,
    ),
    await tried({ name: 'clsact', necessary: true, gives: "programs on pods' interfaces" }, () => kernelHas('cls_bpf', 'sch_ingress')),
    await tried({ name: 'BTF', necessary: false, gives: 'tools such as bpftool that print structures of the kernel' }, () =>
      readable('/sys/kernel/btf/vmlinux'),
    ),
    await tried({ name: 'bpf filesystem', necessary: true, gives: 'a data plane that outlives the agent' }, () =>
      orThrow(missingMounts({ ...config, kubeProxyReplacement: false })[0], bpfRoot),
    ),
    await tried(
      { name: 'cgroup2', necessary: kubeProxyReplacement, gives: 'services at the socket, for pods and for the node itself' },
      () => socketHooks(config, cgroupRoot),
    ),
    ...(await sysctlFindings()),
    await tried({ name: 'JIT', necessary: false, gives: 'programs that run several times faster' }, jit),
  ];
}

function orThrow(missing: string | undefined, found: string): string {
  if (missing !== undefined) throw new Error(missing);
  return found;
}

function kernelVersion(): string {
  const [major = 0, minor = 0] = release().split('.').map(Number.parseFloat);
  if (major < FLOOR[0] || (major === FLOOR[0] && minor < FLOOR[1])) throw new Error(`${release()}, wanted ${FLOOR.join('.')} or later`);
  return release();
}

function makeMap(): string {
  using map = BpfMap.create({ name: 'doctor', type: MapType.hash, keySize: 4, valueSize: 4, maxEntries: 1, flags: 0 });
  return `made a ${map.name} map`;
}

/** Pins and attaches nothing: the verifier is asked, and the maps end with this process. */
async function loadPrograms(): Promise<string> {
  let count = 0;
  for (const name of ['pod', 'host', 'sock', 'xdp'] as const) {
    using object = await loadObject({
      path: join(OBJECTS, `${name}.bpf.o`),
      config: encodeConfig({}, name),
      maxEntries: { conntrack: 256, sock_reverse: 256, fragments: 256 },
    });
    count += object.programs.size;
  }
  return `the verifier accepts all ${count}`;
}

/** Built in, loaded, or to be loaded when it is asked for. */
function kernelHas(...modules: readonly string[]): string {
  const symbols = readFileSync('/proc/kallsyms', 'utf8');
  const available = ['modules.builtin', 'modules.dep'].map((file) => textOr(`/lib/modules/${release()}/${file}`)).join('\n');
  const absent = modules.filter(
    (module) => !symbols.includes(` ${module === 'sch_ingress' ? 'clsact' : module}_init`) && !available.includes(`/${module}.ko`),
  );
  return orThrow(absent.length > 0 ? `the kernel has no ${absent.join(' and no ')}` : undefined, modules.join(', '));
}

function textOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readable(path: string): string {
  accessSync(path, constants.R_OK);
  return path;
}

function socketHooks(config: Config, cgroupRoot: string): string {
  orThrow(
    missingMounts(config).find((sentence) => sentence.includes('cgroup')),
    '',
  );
  const programs = attachedPrograms(AttachType.cgroupInet4Connect, cgroupRoot).length;
  return `${cgroupRoot}, ${programs === 0 ? 'no program at connect' : `${programs} at connect`}`;
}

async function sysctlFindings(): Promise<Finding[]> {
  const wanted = new Map(sysctlTable().entries());
  const rows = [...sysctlTarget().list()];
  return Promise.all(
    rows.map(([name, value]) =>
      tried(
        { name: name.replaceAll('/', '.'), necessary: false, gives: 'packets between interfaces; the agent sets it when it starts' },
        () => orThrow(value === wanted.get(name) ? undefined : `is ${value}, wanted ${wanted.get(name)}`, value),
      ),
    ),
  );
}

function jit(): string {
  const value = textOr('/proc/sys/net/core/bpf_jit_enable').trim();
  return orThrow(
    value === '0' ? 'net.core.bpf_jit_enable is 0' : undefined,
    value === '' ? 'always on' : `net.core.bpf_jit_enable is ${value}`,
  );
}
