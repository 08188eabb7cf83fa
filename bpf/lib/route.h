/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The node's own routing table, asked for a packet whose destination was changed. */
#ifndef STENTOR_ROUTE_H
#define STENTOR_ROUTE_H

#include "packet.h"

/* BPF_FIB_LKUP_RET_*; `fib->ifindex` is the interface that leads to `destination`. */
static __always_inline long find_route(struct __sk_buff *ctx, struct packet *packet, const struct address *destination,
				       struct bpf_fib_lookup *fib)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ctx->ifindex;
	if (packet->family == 4) {
		fib->family = 2; /* AF_INET */
		fib->ipv4_src = packet->flow.source.word[3];
		fib->ipv4_dst = destination->word[3];
	} else {
		fib->family = 10; /* AF_INET6 */
		__builtin_memcpy(fib->ipv6_src, &packet->flow.source, 16);
		__builtin_memcpy(fib->ipv6_dst, destination, 16);
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/* The uplink that leads to `destination`, its index in `*index`. NULL: none of ours; `*found` says what the table said. */
static __always_inline struct device *find_uplink(struct __sk_buff *ctx, struct packet *packet, const struct address *destination,
						  __u32 *index, long *found)
{
	struct bpf_fib_lookup fib;

	*found = find_route(ctx, packet, destination, &fib);
	*index = fib.ifindex;
	if (*found != BPF_FIB_LKUP_RET_SUCCESS && *found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return NULL;
	return bpf_map_lookup_elem(&devices, index);
}

#define IDENTITY_WORLD 2 /* reserved: src/identities/numbers.ts */

/* A node or a pod. Answers to these may have to go through the node that they came through: the backend can be on their own node, or be
 * themselves. */
__noinline int is_inside(struct address *address)
{
	struct ipcache_key key = {.prefix_length = 128};
	struct ipcache_entry *known;

	if (!address)
		return 0;
	key.address = *address;
	known = bpf_map_lookup_elem(&ipcache, &key);
	return known && known->flags & IPCACHE_FLAG_NO_MASQUERADE && known->identity != IDENTITY_WORLD;
}

#endif
