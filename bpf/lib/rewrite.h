/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing a translation into a packet, checksums included (RFC 1624). In an ICMP error the packet inside is translated too,
 * in the other direction, so that its receiver recognises what it sent.
 *
 * A NIC may have summed up the whole packet (CHECKSUM_COMPLETE). A change that a checksum inside the packet balances leaves
 * that sum as it is; where nothing balances it, BPF_F_RECOMPUTE_CSUM keeps the sum right. */
#ifndef STENTOR_REWRITE_H
#define STENTOR_REWRITE_H

#include "packet.h"
#include "sctp.h"

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

		/* bpf_l4_csum_replace() takes as much off the sum as if IPv6 had a header checksum */
		if (bpf_skb_store_bytes(ctx, offset, to, sizeof(*to), BPF_F_RECOMPUTE_CSUM))
			return -1;
		return check ? bpf_l4_csum_replace(ctx, check, 0, difference, flags) : 0;
	}
}

/* False for a datagram that came without a checksum: nothing in it balances a change. */
static __always_inline bool is_checked(struct __sk_buff *ctx, __u32 check)
{
	__be16 found;

	return !bpf_skb_load_bytes(ctx, check, &found, sizeof(found)) && found;
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
		return -1;
	}
	if (packet->protocol == IPPROTO_UDP && !is_checked(ctx, check))
		return bpf_skb_store_bytes(ctx, offset, &to, sizeof(to), BPF_F_RECOMPUTE_CSUM);
	if (bpf_l4_csum_replace(ctx, check, from, to, checksum_flags(packet->protocol) | sizeof(to)))
		return -1;
	return bpf_skb_store_bytes(ctx, offset, &to, sizeof(to), 0);
}

/* The checksum of an ICMP message, where a change from `before` to `after` inside the message is balanced. */
static __always_inline int balance(struct __sk_buff *ctx, struct packet *packet, __be16 before, __be16 after)
{
	return bpf_l4_csum_replace(ctx, packet->l4 + offsetof(struct icmp_header, checksum), before, after, sizeof(after));
}

/* The transport checksum of the packet inside an error, at `check`, also changes, if the quote reaches that far. */
static __always_inline int write_inner_checksum(struct __sk_buff *ctx, struct packet *packet, __u32 check,
						__s64 difference)
{
	__u64 flags = checksum_flags(packet->flow.protocol);
	__be16 before, after;

	if (bpf_skb_load_bytes(ctx, check, &before, sizeof(before)))
		return 0;
	if (bpf_l4_csum_replace(ctx, check, 0, difference, flags) ||
	    bpf_skb_load_bytes(ctx, check, &after, sizeof(after)))
		return -1;
	return balance(ctx, packet, before, after);
}

/* An address inside an error. What replaces it there changes the error's own checksum, too. */
static __always_inline int write_inner_address(struct __sk_buff *ctx, struct packet *packet, const struct address *from,
					       const struct address *to, bool source)
{
	__u32 l3 = packet->error_l3, error = packet->l4 + offsetof(struct icmp_header, checksum);
	__u32 check = packet->error_l4 ? checksum_offset(packet->flow.protocol, packet->error_l4) : 0;
	__s64 difference;

	if (address_equal(from, to))
		return 0;
	if (packet->family == 4) {
		__u32 offset = l3 + (source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
		__be32 old = from->word[3], new = to->word[3];
		__be16 before, after;

		difference = bpf_csum_diff(&old, sizeof(old), &new, sizeof(new), 0);
		l3 += offsetof(struct iphdr, check);
		if (bpf_skb_load_bytes(ctx, l3, &before, sizeof(before)) ||
		    bpf_l3_csum_replace(ctx, l3, old, new, sizeof(new)) ||
		    bpf_skb_load_bytes(ctx, l3, &after, sizeof(after)) || balance(ctx, packet, before, after) ||
		    bpf_skb_store_bytes(ctx, offset, &new, sizeof(new), 0))
			return -1;
	} else {
		__u32 offset = l3 + (source ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr));

		difference = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);
		if (bpf_skb_store_bytes(ctx, offset, to, sizeof(*to), 0))
			return -1;
	}
	if (bpf_l4_csum_replace(ctx, error, 0, difference, 0))
		return -1;
	return check ? write_inner_checksum(ctx, packet, check, difference) : 0;
}

static __always_inline int write_inner_port(struct __sk_buff *ctx, struct packet *packet, __be16 from, __be16 to,
					    bool source)
{
	__u32 offset = packet->error_l4, check = checksum_offset(packet->flow.protocol, packet->error_l4);
	__be32 before = from, after = to;

	if (from == to || !packet->error_l4)
		return 0;
	if (is_icmp(packet->flow.protocol)) {
		check = offset + offsetof(struct icmp_header, checksum);
		offset += offsetof(struct icmp_header, id);
	} else if (!source) {
		offset += 2;
	}
	if (bpf_skb_store_bytes(ctx, offset, &to, sizeof(to), 0) || balance(ctx, packet, from, to))
		return -1;
	if (!check)
		return 0;
	return write_inner_checksum(ctx, packet, check,
				    bpf_csum_diff(&before, sizeof(before), &after, sizeof(after), 0));
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

/* Both ports. The checksum, if there is one, has taken them in. */
static __always_inline int write_ports(struct __sk_buff *ctx, const struct packet *packet, const struct rewrite *to)
{
	struct {
		__be16 source, destination;
	} ports = {to->source_port, to->destination_port};
	__u32 offset = packet->l4;
	struct udphdr *udp;
	bool balanced;

	if (offset <= ETH_HLEN + IPV4_HEADER_MAX) {
		udp = (void *)(long)ctx->data + offset;
		if ((void *)(udp + 1) <= (void *)(long)ctx->data_end && (packet->protocol == IPPROTO_TCP || udp->check)) {
			udp->source = ports.source;
			udp->dest = ports.destination;
			return 0;
		}
	}
	balanced = packet->protocol == IPPROTO_TCP || is_checked(ctx, checksum_offset(packet->protocol, offset));
	return bpf_skb_store_bytes(ctx, offset, &ports, sizeof(ports), balanced ? 0 : BPF_F_RECOMPUTE_CSUM);
}

/* Both addresses, whose change the transport's checksum balances; that of the IPv4 header does so here. */
static __always_inline int write_addresses(struct __sk_buff *ctx, const struct packet *packet, const struct rewrite *to, __u64 change)
{
	void *l3 = (void *)(long)ctx->data + ETH_HLEN, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ipv6 = l3;
	struct iphdr *ipv4 = l3;

	if (packet->family == 4) {
		if ((void *)(ipv4 + 1) > end)
			return -1;
		ipv4->saddr = to->source.word[3];
		ipv4->daddr = to->destination.word[3];
		ipv4->check = ~csum_fold((__u16)~ipv4->check + change);
		return 0;
	}
	if ((void *)(ipv6 + 1) > end)
		return -1;
	__builtin_memcpy(&ipv6->saddr, &to->source, 16);
	__builtin_memcpy(&ipv6->daddr, &to->destination, 16);
	return 0;
}

/* TCP and UDP, which nearly all packets are: each checksum is written once, and everything else in place. */
static __always_inline int rewrite_transport(struct __sk_buff *ctx, struct packet *packet, const struct rewrite *to)
{
	const struct flow *flow = &packet->flow;
	__u32 check = checksum_offset(packet->protocol, packet->l4), sum;
	__u64 flags = checksum_flags(packet->protocol), change = 0;

	if (!address_equal(&flow->source, &to->source))
		change = address_change(&flow->source, &to->source, packet->family);
	if (!address_equal(&flow->destination, &to->destination))
		change += address_change(&flow->destination, &to->destination, packet->family);
	if (change) {
		sum = csum_fold(change);
		if (bpf_l4_csum_replace(ctx, check, 0, sum, flags | BPF_F_PSEUDO_HDR))
			return -1;
		if (packet->family == 6) /* it takes as much off the sum of the NIC as if IPv6 had a header checksum */
			bpf_csum_update(ctx, sum);
	}
	if (flow->source_port != to->source_port || flow->destination_port != to->destination_port) {
		sum = port_change(flow->source_port, to->source_port) + port_change(flow->destination_port, to->destination_port);
		if (bpf_l4_csum_replace(ctx, check, 0, sum, flags) || write_ports(ctx, packet, to))
			return -1;
	}
	return change ? write_addresses(ctx, packet, to, change) : 0;
}

/* Makes the packet leave as `to` says. 0, or negative when the packet could not be written. */
__noinline int rewrite(struct __sk_buff *ctx, struct packet *packet, struct rewrite *to)
{
	if (!packet || !to)
		return -1;
	if (packet->error_l3)
		return rewrite_error(ctx, packet, to);
	if (packet->l4 && (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP))
		return rewrite_transport(ctx, packet, to);
	if (write_address(ctx, packet, &packet->flow.source, &to->source, true) ||
	    write_address(ctx, packet, &packet->flow.destination, &to->destination, false))
		return -1;
	if (packet->l4 && packet->protocol == IPPROTO_SCTP)
		return sctp_write_ports(ctx, packet, to->source_port, to->destination_port);
	if (write_port(ctx, packet, packet->flow.source_port, to->source_port, true) ||
	    write_port(ctx, packet, packet->flow.destination_port, to->destination_port, false))
		return -1;
	return 0;
}

/* One hop less to live. The caller made sure that it has more than one. */
static __always_inline int decrement_ttl(struct __sk_buff *ctx, struct packet *packet)
{
	if (packet->family == 4) {
		struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;
		__u32 check;

		if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
			return -1;
		check = ip->check + (__u32)bpf_htons(0x0100); /* RFC 1141 */
		ip->check = check + (check >= 0xffff);
		ip->ttl--;
		return 0;
	}
	__u8 hops = packet->ttl - 1;

	return bpf_skb_store_bytes(ctx, packet->l3 + offsetof(struct ipv6hdr, hop_limit), &hops, 1,
				   BPF_F_RECOMPUTE_CSUM);
}

#endif
