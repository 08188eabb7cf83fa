/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A map as a first version has it; flows-2.bpf.c has the same map otherwise. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct flow {
	__u32 source;
	__be16 port;
	__u16 pad;
};

struct state {
	__u32 last_seen;
	__u16 flags;
	__u16 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct flow);
	__type(value, struct state);
	__uint(max_entries, 4096);
} flows SEC(".maps");

SEC("tc")
int uses_flows(struct __sk_buff *ctx)
{
	struct flow key = {.source = ctx->ifindex};

	return bpf_map_lookup_elem(&flows, &key) ? 1 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
