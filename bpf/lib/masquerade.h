/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A source for a new flow that no other flow leaves with, so that each reply has one owner: the key of its conntrack entry.
 * The flow keeps its own port where it can. That settles who has which port of the node's address, among pods and with the
 * node's own connections, and also two flows of one pod that meet at the same backend by different services. */
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

/* Only an echo request has an identifier that may be changed. */
static __always_inline bool has_movable_port(const struct packet *packet)
{
	if (is_icmp(packet->protocol))
		return icmp_is_echo_request(packet->protocol, packet->icmp_type);
	return has_ports(packet->protocol);
}

/* ICMP identifiers may be any number. Ports at the node's address are those of the range, which leaves the others to the
 * node's own servers. */
static __always_inline __be16 nat_candidate(const struct packet *packet, bool own_address, __u32 attempt)
{
	__be16 wanted = packet->flow.source_port;

	if (!attempt && (own_address || is_icmp(packet->protocol) || in_nat_range(wanted)))
		return wanted;
	if (is_icmp(packet->protocol))
		return (__be16)bpf_get_prandom_u32();
	return bpf_htons(nat_port_first + bpf_get_prandom_u32() % (nat_port_last - nat_port_first + 1));
}

/* Puts the reply's entry under the key that `entry` gives it. 0, or negative when a flow has that key which does not yield; one that
 * does is forgotten as a whole. */
static __always_inline int claim(const struct packet *packet, const struct conntrack_entry *entry,
				 const struct conntrack_entry *reply)
{
	struct conntrack_entry *other, *first;
	struct flow key;

	opposite_key(&key, entry, packet->flow.protocol);
	if (!bpf_map_update_elem(&conntrack, &key, reply, BPF_NOEXIST))
		return 0;
	other = bpf_map_lookup_elem(&conntrack, &key);
	if (!other)
		return -1;
	if (!address_equal(&other->destination, &reply->destination) ||
	    other->destination_port != reply->destination_port || !address_equal(&other->source, &reply->source) ||
	    other->source_port != reply->source_port) {
		if (!conntrack_yields(other, packet->flow.protocol, reply->last_seen))
			return -1;
		opposite_key(&key, other, packet->flow.protocol); /* the stack has no room for a second key */
		first = bpf_map_lookup_elem(&conntrack, &key);
		if (first && first->source_port == entry->source_port && first->destination_port == entry->destination_port &&
		    address_equal(&first->source, &entry->source) && address_equal(&first->destination, &entry->destination))
			bpf_map_delete_elem(&conntrack, &key); /* else it has begun anew, with another port or backend */
		opposite_key(&key, entry, packet->flow.protocol);
	}
	return bpf_map_update_elem(&conntrack, &key, reply, BPF_ANY);
}

/* Makes both entries of a flow that leaves with the source that it came with. 0, or negative when another flow is known by that. */
__noinline int claim_as_it_is(struct packet *packet, struct conntrack_entry *entry, __u32 flags, __u32 interface_index)
{
	struct conntrack_entry *reply = conntrack_scratch();

	if (!packet || !entry || !reply)
		return -1;
	entry->last_seen = now_seconds();
	conntrack_reply(reply, packet, entry, flags, interface_index);
	if (claim(packet, entry, reply))
		return -1;
	return bpf_map_update_elem(&conntrack, &packet->flow, entry, BPF_ANY);
}

/* Makes both entries of a flow that leaves as `entry->source` with a port that nobody else has, which is written to `entry`.
 * The reply goes where `flags` and `interface_index` say. 0, or negative when no port is left. */
__noinline int claim_source(struct packet *packet, struct conntrack_entry *entry, __u32 flags, __u32 interface_index)
{
	struct conntrack_entry *reply = conntrack_scratch();
	bool own_address;

	if (!packet || !entry || !reply)
		return -1;
	own_address = address_equal(&entry->source, &packet->flow.source);
	entry->last_seen = now_seconds();
	if (!own_address)
		entry->flags |= CONNTRACK_FLAG_SOURCE_NAT;
	conntrack_reply(reply, packet, entry, flags, interface_index);
	for (int attempt = 0; attempt < NAT_ATTEMPTS; attempt++) {
		if (has_movable_port(packet))
			entry->source_port = nat_candidate(packet, own_address, attempt);
		if (entry->source_port != packet->flow.source_port) {
			entry->flags |= CONNTRACK_FLAG_SOURCE_NAT;
			reply->flags |= CONNTRACK_FLAG_DESTINATION_NAT;
		}
		if (!claim(packet, entry, reply))
			return bpf_map_update_elem(&conntrack, &packet->flow, entry, BPF_ANY);
		if (!has_movable_port(packet))
			return -1;
	}
	return -1;
}

#endif
