/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing a translation into a packet, checksums included (RFC 1624). In an ICMP error the packet inside is translated too,
 * in the other direction, so that its receiver recognises what it sent. */
#ifndef STENTOR_REWRITE_H
#define STENTOR_REWRITE_H

#include "packet.h"

struct rewrite {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
};

/* Offset of the checksum that covers the pseudo header, 0 where there is none. */
static __always_inline __u32 checksum_offset(__u8 protocol, __u32 l4)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return l4 + offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return l4 + offsetof(struct udphdr, check);
	case IPPROTO_ICMPV6:
		return l4 + offsetof(struct icmp_header, checksum);
	default:
		return 0;
	}
}

static __always_inline __u64 checksum_flags(__u8 protocol)
{
	return protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

/* Replaces the address at `offset` of the IP header at `l3`; `l4` is the transport header behind it, 0 if it has none. */
static __always_inline int write_address(struct __sk_buff *ctx, struct packet *packet, const struct address *from,
					 const struct address *to, bool source)
{
	__u32 check = packet->l4 ? checksum_offset(packet->protocol, packet->l4) : 0;
	__u64 flags = checksum_flags(packet->protocol) | BPF_F_PSEUDO_HDR;
	__u32 l3 = packet->l3;

	if (address_equal(from, to))
		return 0;
	if (packet->family == 4) {
		__u32 offset = l3 + (source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
		__be32 before = from->word[3], after = to->word[3];

		if (bpf_skb_store_bytes(ctx, offset, &after, sizeof(after), 0) ||
		    bpf_l3_csum_replace(ctx, l3 + offsetof(struct iphdr, check), before, after, 4))
			return -1;
		return check ? bpf_l4_csum_replace(ctx, check, before, after, flags | 4) : 0;
	} else {
		__u32 offset = l3 + (source ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr));
		__s64 difference = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);

		if (bpf_skb_store_bytes(ctx, offset, to, sizeof(*to), 0))
			return -1;
		return check ? bpf_l4_csum_replace(ctx, check, 0, difference, flags) : 0;
	}
}

static __always_inline int write_port(struct __sk_buff *ctx, struct packet *packet, __be16 from, __be16 to, bool source)
{
	__u32 offset = packet->l4, check;

	if (from == to || !packet->l4)
		return 0;
	if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP) {
		offset += source ? 0 : 2;
		check = checksum_offset(packet->protocol, packet->l4);
	} else if (is_icmp(packet->protocol)) {
		offset += offsetof(struct icmp_header, id);
		check = packet->l4 + offsetof(struct icmp_header, checksum);
	} else {
		return -1; /* the checksum of SCTP covers the whole packet */
	}
	if (bpf_l4_csum_replace(ctx, check, from, to, checksum_flags(packet->protocol) | sizeof(to)))
		return -1;
	return bpf_skb_store_bytes(ctx, offset, &to, sizeof(to), 0);
}

/* Replaces 2 or 4 bytes inside an ICMP error and mends the error's own checksum. */
static __always_inline int write_inner(struct __sk_buff *ctx, struct packet *packet, __u32 offset, const void *from,
				       const void *to, const __u32 size)
{
	__u32 check = packet->l4 + offsetof(struct icmp_header, checksum);
	__s64 difference;
	__be32 before = 0, after = 0;

	if (size == 16) {
		difference = bpf_csum_diff((__be32 *)from, 16, (__be32 *)to, 16, 0);
	} else {
		__builtin_memcpy(&before, from, size < 4 ? size : 4);
		__builtin_memcpy(&after, to, size < 4 ? size : 4);
		difference = bpf_csum_diff(&before, 4, &after, 4, 0);
	}
	if (bpf_l4_csum_replace(ctx, check, 0, difference, 0))
		return -1;
	return bpf_skb_store_bytes(ctx, offset, to, size, 0);
}

/* An address inside an error. IPv4: the inner header's checksum changes by as much as the address, the other way round. */
static __always_inline int write_inner_address(struct __sk_buff *ctx, struct packet *packet, const struct address *from,
					       const struct address *to, bool source)
{
	__u32 l3 = packet->error_l3, check = l3 + offsetof(struct iphdr, check);
	__be16 before, after;

	if (address_equal(from, to))
		return 0;
	if (packet->family == 6)
		return write_inner(ctx, packet,
				   l3 + (source ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr)),
				   from, to, 16);
	if (bpf_skb_load_bytes(ctx, check, &before, sizeof(before)) ||
	    bpf_l3_csum_replace(ctx, check, from->word[3], to->word[3], 4) ||
	    bpf_skb_load_bytes(ctx, check, &after, sizeof(after)) ||
	    bpf_l4_csum_replace(ctx, packet->l4 + offsetof(struct icmp_header, checksum), before, after, sizeof(after)))
		return -1;
	return write_inner(ctx, packet,
			   l3 + (source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr)), &from->word[3],
			   &to->word[3], 4);
}

static __always_inline int write_inner_port(struct __sk_buff *ctx, struct packet *packet, __be16 from, __be16 to,
					    bool source)
{
	__u32 offset = packet->error_l4;

	if (from == to)
		return 0;
	if (is_icmp(packet->flow.protocol))
		offset += offsetof(struct icmp_header, id);
	else if (!source)
		offset += 2;
	return write_inner(ctx, packet, offset, &from, &to, sizeof(to));
}

/* The error's sender is replaced only when it is the peer itself: a router on the way keeps its name. */
static __always_inline int rewrite_error(struct __sk_buff *ctx, struct packet *packet, const struct rewrite *to)
{
	struct address receiver;

	if (packet->family == 4) {
		__be32 address;

		if (bpf_skb_load_bytes(ctx, packet->l3 + offsetof(struct iphdr, daddr), &address, sizeof(address)))
			return -1;
		address_from_ipv4(&receiver, address);
	} else if (bpf_skb_load_bytes(ctx, packet->l3 + offsetof(struct ipv6hdr, daddr), &receiver, sizeof(receiver))) {
		return -1;
	}
	if (address_equal(&packet->sender, &packet->flow.source) &&
	    write_address(ctx, packet, &packet->sender, &to->source, true))
		return -1;
	if (write_address(ctx, packet, &receiver, &to->destination, false))
		return -1;
	if (write_inner_address(ctx, packet, &packet->flow.destination, &to->destination, true) ||
	    write_inner_port(ctx, packet, packet->flow.destination_port, to->destination_port, true) ||
	    write_inner_address(ctx, packet, &packet->flow.source, &to->source, false))
		return -1;
	if (is_icmp(packet->flow.protocol))
		return 0; /* one identifier, written above */
	return write_inner_port(ctx, packet, packet->flow.source_port, to->source_port, false);
}

/* Makes the packet leave as `to` says. 0, or negative when the packet could not be written. */
__noinline int rewrite(struct __sk_buff *ctx, struct packet *packet, struct rewrite *to)
{
	if (!packet || !to)
		return -1;
	if (packet->error_l3)
		return rewrite_error(ctx, packet, to);
	if (write_address(ctx, packet, &packet->flow.source, &to->source, true) ||
	    write_address(ctx, packet, &packet->flow.destination, &to->destination, false) ||
	    write_port(ctx, packet, packet->flow.source_port, to->source_port, true) ||
	    write_port(ctx, packet, packet->flow.destination_port, to->destination_port, false))
		return -1;
	return 0;
}

/* One hop less to live. The caller made sure that it has more than one. */
static __always_inline int decrement_ttl(struct __sk_buff *ctx, struct packet *packet)
{
	if (packet->family == 4) {
		__u32 offset = packet->l3 + offsetof(struct iphdr, ttl);
		__be16 before = bpf_htons((__u16)packet->ttl << 8), after = bpf_htons((__u16)(packet->ttl - 1) << 8);
		__u8 ttl = packet->ttl - 1;

		if (bpf_l3_csum_replace(ctx, packet->l3 + offsetof(struct iphdr, check), before, after, 2))
			return -1;
		return bpf_skb_store_bytes(ctx, offset, &ttl, 1, 0);
	}
	__u8 hops = packet->ttl - 1;

	return bpf_skb_store_bytes(ctx, packet->l3 + offsetof(struct ipv6hdr, hop_limit), &hops, 1, 0);
}

#endif
