// SPDX-License-Identifier: Apache-2.0
// How C names become TypeScript names.

/** drop_reason → dropReason. */
export function camelCase(name: string): string {
  return name
    .toLowerCase()
    .replace(/^_+|_+$/g, '')
    .replaceAll(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** drop_reason → DropReason. */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}

/** The name of a struct's codec: flow_key → flowKeyCodec. */
export function codecName(struct: string): string {
  return `${camelCase(struct)}Codec`;
}

/** DROP_REASON_NO_ROUTE of enum drop_reason → NO_ROUTE; without the enum's name in front, what all members share goes. */
export function shortMember(enumName: string, members: readonly string[], member: string): string {
  const own = `${enumName.toUpperCase()}_`;
  const prefix = members.every((name) => name.startsWith(own)) ? own : sharedPrefix(members);
  return member.slice(prefix.length);
}

/** The longest beginning, ending in '_', of all names and longer than none of them. */
function sharedPrefix(names: readonly string[]): string {
  const [first = ''] = names;
  const ends = [...first.matchAll(/_/g)].map((match) => first.slice(0, match.index + 1)).toReversed();
  return names.length < 2
    ? ''
    : (ends.find((prefix) => names.every((name) => name.startsWith(prefix) && name.length > prefix.length)) ?? '');
}

/** pad, _pad, pad1, padding, __pad_2: bytes that carry nothing. */
export function isPadding(field: string): boolean {
  return /^_*pad(ding)?_?\d*$/.test(field);
}

/** enum bpf_map_type (include/uapi/linux/bpf.h), named as bpftool prints them. */
const mapTypes = [
  'unspec',
  'hash',
  'array',
  'prog_array',
  'perf_event_array',
  'percpu_hash',
  'percpu_array',
  'stack_trace',
  'cgroup_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
  'array_of_maps',
  'hash_of_maps',
  'devmap',
  'sockmap',
  'cpumap',
  'xskmap',
  'sockhash',
  'cgroup_storage',
  'reuseport_sockarray',
  'percpu_cgroup_storage',
  'queue',
  'stack',
  'sk_storage',
  'devmap_hash',
  'struct_ops',
  'ringbuf',
  'inode_storage',
  'task_storage',
  'bloom_filter',
  'user_ringbuf',
  'cgrp_storage',
  'arena',
];

export function mapTypeName(type: number): string {
  return mapTypes[type] ?? `type_${type}`;
}
