/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers leave by the uplink that the request came in by. Where no route of that uplink leads back to the client, its machine on
 * that segment is known all the same: the frame's sender, a router.
 *
 *   client ──▶ router of the second segment ──▶ eth1 ──▶ pod
 *   client ◀── router of the second segment ◀── eth1 ◀── pod      though the node's routes lead to the client by eth0
 *
 * On nodes with one uplink none of it happens.
 */
#ifndef STENTOR_LASTHOP_H
#define STENTOR_LASTHOP_H

#include "conntrack.h"
#include "drop.h"
#include "packet.h"

/* The interface by which the node's routes lead to the packet's sender, by preference the one that it came in by with
 * BPF_FIB_LOOKUP_OUTPUT. 0: there is none. */
__noinline int way_back(struct __sk_buff *ctx, struct packet *packet, __u32 flags)
{
	struct bpf_fib_lookup fib = {.ifindex = ctx->ifindex};
	long found;

	if (!packet)
		return 0;
	if (packet->family == 4) {
		fib.family = 2; /* AF_INET */
		fib.ipv4_src = packet->flow.destination.word[3];
		fib.ipv4_dst = packet->flow.source.word[3];
	} else {
		fib.family = 10; /* AF_INET6 */
		__builtin_memcpy(fib.ipv6_src, &packet->flow.destination, 16);
		__builtin_memcpy(fib.ipv6_dst, &packet->flow.source, 16);
	}
	found = bpf_fib_lookup(ctx, &fib, sizeof(fib), flags);
	return found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH ? fib.ifindex : 0;
}

static __always_inline bool has_other_uplinks(const struct __sk_buff *ctx)
{
	__u32 uplink = ctx->ifindex;
	struct device *device = bpf_map_lookup_elem(&devices, &uplink);

	return device && device->others;
}

/* Remembers whom a frame came from, as the way to its packet's sender. */
__noinline int last_hop_learn(struct __sk_buff *ctx, struct packet *packet)
{
	struct last_hop_key key = {.interface_index = ctx->ifindex};
	struct last_hop hop, *known;
	__u64 different = 0;
	__u8 macs[12];

	if (!packet || bpf_skb_load_bytes(ctx, 0, macs, sizeof(macs)))
		return -1;
	key.client = packet->flow.source;
	__builtin_memcpy(hop.own, macs, 6);
	__builtin_memcpy(hop.mac, macs + 6, 6);
	known = bpf_map_lookup_elem(&last_hops, &key);
	if (known) {
		for (int i = 0; i < 6; i++)
			different |= (known->mac[i] ^ hop.mac[i]) | (known->own[i] ^ hop.own[i]);
		if (!different)
			return 0;
	}
	return bpf_map_update_elem(&last_hops, &key, &hop, BPF_ANY);
}

/* What answers to a new flow from the wire need beside CONNTRACK_FLAG_ROUTED. */
__noinline int last_hop_flag(struct __sk_buff *ctx, struct packet *packet)
{
	if (!packet || !has_other_uplinks(ctx) || address_is_link_local(&packet->flow.source) ||
	    (__u32)way_back(ctx, packet, BPF_FIB_LOOKUP_OUTPUT) == ctx->ifindex) /* IPv6 takes the interface for a wish */
		return 0;
	return last_hop_learn(ctx, packet) ? 0 : CONNTRACK_FLAG_LAST_HOP;
}

/* Addresses the frame to the machine that packets of the client `to` come from. Negative: it is not known. */
__noinline int last_hop_address(struct __sk_buff *ctx, __u32 uplink, struct address *to)
{
	struct last_hop_key key = {.interface_index = uplink};
	struct last_hop *hop;
	__u8 macs[12];

	if (!to)
		return -1;
	key.client = *to;
	hop = bpf_map_lookup_elem(&last_hops, &key);
	if (!hop)
		return -1;
	__builtin_memcpy(macs, hop->mac, 6);
	__builtin_memcpy(macs + 6, hop->own, 6);
	return bpf_skb_store_bytes(ctx, 0, macs, sizeof(macs), 0);
}

/* Out of an uplink: to the neighbour that the node's routes name, or to the one that the client's packets come from. */
static __always_inline enum verdict leave_by(struct __sk_buff *ctx, struct conntrack_entry *entry)
{
	__u32 flags = entry->flags, uplink = entry->interface_index;

	ctx->mark = (ctx->mark & ~MARK_MASK) | MARK_HANDLED;
	if (flags & CONNTRACK_FLAG_LAST_HOP && flags & CONNTRACK_FLAG_REPLY && !last_hop_address(ctx, uplink, &entry->destination))
		return bpf_redirect(uplink, 0);
	return bpf_redirect_neigh(uplink, NULL, 0, 0);
}

#endif
