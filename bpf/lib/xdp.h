/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets as a driver hands them over: what is not simple is left to those who have an skb. */
#ifndef STENTOR_XDP_H
#define STENTOR_XDP_H

#include "packet.h"

struct xdp_packet {
	struct flow flow;
	__u32 length; /* IP packet, bytes */
	__u8 family;  /* 4 or 6 */
	__u8 pad[3];
};

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	for (int i = 0; i < 6; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static __always_inline int xdp_parse_ipv4(struct xdp_md *ctx, struct xdp_packet *packet)
{
	struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || ip->ihl != 5 || ip->ttl <= 1 || ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return -1;
	address_from_ipv4(&packet->flow.source, ip->saddr);
	address_from_ipv4(&packet->flow.destination, ip->daddr);
	packet->flow.protocol = ip->protocol;
	packet->length = bpf_ntohs(ip->tot_len);
	packet->family = 4;
	return 0;
}

static __always_inline int xdp_parse_ipv6(struct xdp_md *ctx, struct xdp_packet *packet)
{
	struct ipv6hdr *ip = (void *)(long)ctx->data + ETH_HLEN;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || ip->hop_limit <= 1)
		return -1;
	address_from_ipv6(&packet->flow.source, &ip->saddr);
	address_from_ipv6(&packet->flow.destination, &ip->daddr);
	packet->flow.protocol = ip->nexthdr;
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->family = 6;
	return 0;
}

/* 0: TCP in the middle of a connection, or UDP, with all that has to be known. */
static __always_inline int xdp_parse(struct xdp_md *ctx, struct xdp_packet *packet)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp;
	struct udphdr *udp;
	int result = -1;

	if ((void *)(eth + 1) > end)
		return -1;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		result = xdp_parse_ipv4(ctx, packet);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		result = xdp_parse_ipv6(ctx, packet);
	if (result)
		return -1;
	if ((void *)eth + ETH_HLEN + packet->length > end)
		return -1;
	udp = (void *)eth + (packet->family == 4 ? ETH_HLEN + sizeof(struct iphdr) : ETH_HLEN + sizeof(struct ipv6hdr));
	if ((void *)(udp + 1) > end)
		return -1;
	packet->flow.source_port = udp->source;
	packet->flow.destination_port = udp->dest;
	if (packet->flow.protocol == IPPROTO_UDP)
		return 0;
	tcp = (void *)udp;
	if (packet->flow.protocol != IPPROTO_TCP || (void *)(tcp + 1) > end)
		return -1;
	return ((__u8 *)tcp)[13] & (TCP_FIN | TCP_SYN | TCP_RST) ? -1 : 0;
}

static __always_inline __be16 checksum_after(__be16 checksum, __u64 change)
{
	return ~csum_fold((__u16)~checksum + change);
}

static __always_inline void xdp_write_ipv4(struct iphdr *ip, const struct conntrack_entry *entry, __u64 change)
{
	__u32 sum;

	ip->saddr = entry->source.word[3];
	ip->daddr = entry->destination.word[3];
	ip->check = checksum_after(ip->check, change);
	sum = ip->check + (__u32)bpf_htons(0x0100); /* RFC 1141 */
	ip->check = sum + (sum >= 0xffff);
	ip->ttl--;
}

/* Where the packet goes and from whom to whom on that wire. 0, or negative when the stack knows better. */
static __always_inline int xdp_route(struct xdp_md *ctx, const struct xdp_packet *packet, const struct conntrack_entry *entry,
				     struct bpf_fib_lookup *fib)
{
	fib->ifindex = ctx->ingress_ifindex;
	fib->tot_len = packet->length;
	fib->l4_protocol = packet->flow.protocol;
	if (packet->family == 4) {
		fib->family = 2; /* AF_INET */
		fib->ipv4_src = entry->source.word[3];
		fib->ipv4_dst = entry->destination.word[3];
	} else {
		fib->family = 10; /* AF_INET6 */
		__builtin_memcpy(fib->ipv6_src, &entry->source, 16);
		__builtin_memcpy(fib->ipv6_dst, &entry->destination, 16);
	}
	if (bpf_fib_lookup(ctx, fib, sizeof(*fib), 0) != BPF_FIB_LKUP_RET_SUCCESS || fib->ifindex != entry->interface_index)
		return -1;
	return 0;
}

static __always_inline int xdp_write(struct xdp_md *ctx, const struct xdp_packet *packet, const struct conntrack_entry *entry)
{
	const struct flow *flow = &packet->flow;
	__u64 change = address_change(&flow->source, &entry->source, packet->family) +
		       address_change(&flow->destination, &entry->destination, packet->family);
	__u32 ports = port_change(flow->source_port, entry->source_port) + port_change(flow->destination_port, entry->destination_port);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	bool ipv4 = packet->family == 4;
	struct udphdr *udp = data + (ipv4 ? ETH_HLEN + sizeof(struct iphdr) : ETH_HLEN + sizeof(struct ipv6hdr));
	bool is_tcp = flow->protocol == IPPROTO_TCP;
	__be16 *checksum = is_tcp ? &((struct tcphdr *)udp)->check : &udp->check;

	if ((void *)(udp + 1) > end || (void *)(checksum + 1) > end)
		return -1;
	if (ipv4) {
		xdp_write_ipv4(data + ETH_HLEN, entry, change);
	} else {
		struct ipv6hdr *ip = data + ETH_HLEN;

		__builtin_memcpy(&ip->saddr, &entry->source, 16);
		__builtin_memcpy(&ip->daddr, &entry->destination, 16);
		ip->hop_limit--;
	}
	udp->source = entry->source_port;
	udp->dest = entry->destination_port;
	if (!is_tcp && !*checksum)
		return 0; /* its sender has left it out */
	*checksum = checksum_after(*checksum, change + ports);
	if (!is_tcp && !*checksum)
		*checksum = 0xffff;
	return 0;
}

/* Whether the frame is for this very machine: a bridge floods others here, too. */
static __always_inline bool xdp_is_ours(struct xdp_md *ctx, const struct bpf_fib_lookup *fib)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	__u32 index = ctx->ingress_ifindex;
	struct device *device;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	if (fib->ifindex == index)
		return mac_equal(eth->h_dest, fib->smac);
	device = bpf_map_lookup_elem(&devices, &index);
	return device && mac_equal(eth->h_dest, device->mac);
}

/* Out of the wire that the flow's entry says, which may be the one that the packet came by. */
static __always_inline int xdp_forward(struct xdp_md *ctx, const struct xdp_packet *packet, struct conntrack_entry *entry)
{
	struct bpf_fib_lookup fib = {};
	struct ethhdr *eth;

	if (xdp_route(ctx, packet, entry, &fib) || !xdp_is_ours(ctx, &fib) || xdp_write(ctx, packet, entry))
		return XDP_PASS;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, fib.dmac, 6);
	__builtin_memcpy(eth->h_source, fib.smac, 6);
	entry->packets++;
	entry->bytes += packet->length;
	return fib.ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(fib.ifindex, 0);
}

#endif
