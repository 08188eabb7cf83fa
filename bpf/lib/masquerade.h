/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Source translation to an address of the node. A source port is free when nobody else's reply would have the same key in
 * conntrack; the flow keeps its own port where it can. Connections of the node itself take their keys the same way, so that
 * a pod and the node never share one. */
#ifndef STENTOR_MASQUERADE_H
#define STENTOR_MASQUERADE_H

#include "conntrack.h"
#include "drop.h"

#define NAT_ATTEMPTS 32

static __always_inline bool in_nat_range(__be16 port)
{
	__u32 number = bpf_ntohs(port);

	return number >= nat_port_first && number <= nat_port_last;
}

/* ICMP identifiers may be any number, ports only those of the range. Others have none to change. */
static __always_inline __be16 nat_candidate(__u8 protocol, __be16 wanted, __u32 attempt)
{
	if (is_icmp(protocol))
		return attempt ? (__be16)bpf_get_prandom_u32() : wanted;
	if (!attempt && in_nat_range(wanted))
		return wanted;
	return bpf_htons(nat_port_first + bpf_get_prandom_u32() % (nat_port_last - nat_port_first + 1));
}

/* Puts the reply's entry under the key that `entry` gives it. 0, or negative when somebody else has that key. */
static __always_inline int claim(const struct packet *packet, const struct conntrack_entry *entry,
				 const struct conntrack_entry *reply)
{
	struct conntrack_entry *other;
	struct flow key;

	reply_key(&key, entry, packet->flow.protocol);
	other = bpf_map_lookup_elem(&conntrack, &key);
	if (!other)
		return bpf_map_update_elem(&conntrack, &key, reply, BPF_NOEXIST);
	if (!address_equal(&other->destination, &reply->destination) ||
	    other->destination_port != reply->destination_port)
		if (!conntrack_expired(other, packet->flow.protocol, reply->last_seen))
			return -1;
	return bpf_map_update_elem(&conntrack, &key, reply, BPF_EXIST);
}

/* Makes both entries of a flow that leaves as `entry->source` with a port of its own, which is written to `entry`. The reply
 * goes where `flags` and `interface_index` say. 0, or negative when no port is left. */
__noinline int masquerade(struct packet *packet, struct conntrack_entry *entry, __u32 flags, __u32 interface_index)
{
	struct conntrack_entry reply;
	bool movable;

	if (!packet || !entry)
		return -1;
	movable = packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP || is_icmp(packet->protocol);
	entry->flags |= CONNTRACK_FLAG_SOURCE_NAT;
	entry->last_seen = now_seconds();
	conntrack_reply(&reply, packet, entry, flags, interface_index);
	for (int attempt = 0; attempt < NAT_ATTEMPTS; attempt++) {
		if (movable)
			entry->source_port = nat_candidate(packet->protocol, packet->flow.source_port, attempt);
		if (!claim(packet, entry, &reply))
			return bpf_map_update_elem(&conntrack, &packet->flow, entry, BPF_ANY);
		if (!movable)
			return -1;
	}
	return -1;
}

#endif
