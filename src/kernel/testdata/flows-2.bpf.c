/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The map of flows-1.bpf.c in a later version: a key with one field more, a value in another order with a wider number. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct flow {
	__be16 port;
	__u8 protocol;
	__u8 pad;
	__u32 source;
};

struct state {
	__u32 flags;
	__u32 last_seen;
	__u64 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct flow);
	__type(value, struct state);
	__uint(max_entries, 8192);
} flows SEC(".maps");

SEC("tc")
int uses_flows(struct __sk_buff *ctx)
{
	struct flow key = {.source = ctx->ifindex};

	return bpf_map_lookup_elem(&flows, &key) ? 1 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
