/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Direct server return: a packet to a service goes on to the backend's node with the client's address, and that node answers the
 * client itself, in the name of the frontend. Which one that is stands in the packet that opens the flow:
 *
 *   IPv4: an option behind the fixed header, type 0x9a (copied, number 26), length 8, port and address with their bytes reversed
 *   IPv6: a Destination Options header (RFC 8200 section 4.6) with option 0x1b, address and port in network order
 *
 * as Cilium's nodes write and read it, so that nodes of both may serve one cluster while it changes over. With `dsr_geneve` it stands in
 * an envelope (geneve.h); nodes take both.
 */
#ifndef STENTOR_DSR_H
#define STENTOR_DSR_H

#include "../config.h"
#include "conntrack.h"
#include "drop.h"
#include "geneve.h"

struct dsr_ipv4 {
	__u8 type, length;
	__u16 port;
	__u32 address;
};
_Static_assert(sizeof(struct dsr_ipv4) == 8, "size");

struct dsr_ipv6 {
	__u8 next, length; /* of the header, in 8 bytes behind the first 8 */
	__u8 type, option_length;
	struct address address;
	__be16 port;
	__u16 pad;
};
_Static_assert(sizeof(struct dsr_ipv6) == 24, "size");

#define DSR_IPV4_TYPE 0x9a
#define DSR_IPV6_TYPE 0x1b

static __always_inline __u32 dsr_size(const struct packet *packet)
{
	return packet->family == 4 ? sizeof(struct dsr_ipv4) : sizeof(struct dsr_ipv6);
}

/* Whether the backend's node must be told: the flow is new to this node or to its client. Nobody says whether a datagram has arrived, so
 * the first ones tell, and then the first of each second, for a node that has forgotten the flow. */
static __always_inline bool dsr_says(const struct packet *packet, const struct conntrack_entry *entry)
{
	if (packet->protocol == IPPROTO_UDP)
		return entry->packets <= DSR_TOLD || packet->first_in_second;
	return entry->packets <= 1 || packet->tcp_flags & TCP_SYN;
}

/* The first word of an IPv4 header: version, header length, type of service, total length. Both lengths count the option. */
#define DSR_IPV4_LENGTHS ((2 << 24) + sizeof(struct dsr_ipv4))

static __always_inline __u64 dsr_ipv4_sum(const struct dsr_ipv4 *option)
{
	return (__u64)(option->type | (__u32)option->length << 8 | (__u32)option->port << 16) + option->address;
}

static __always_inline int dsr_insert_ipv4(struct __sk_buff *ctx, const struct packet *packet)
{
	struct dsr_ipv4 option = {
		.type = DSR_IPV4_TYPE,
		.length = sizeof(option),
		.port = __builtin_bswap16(packet->flow.destination_port),
		.address = __builtin_bswap32(packet->flow.destination.word[3]),
	};
	struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;
	__be32 before, after;
	__be16 check;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return -1;
	before = *(__be32 *)ip;
	after = bpf_htonl(bpf_ntohl(before) + DSR_IPV4_LENGTHS);
	check = ~csum_fold((__u16)~ip->check + word_change(before, after) + dsr_ipv4_sum(&option));
	if (bpf_skb_adjust_room(ctx, sizeof(option), BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if ((void *)(ip + 1) + sizeof(option) > (void *)(long)ctx->data_end)
		return -1;
	*(__be32 *)ip = after;
	ip->check = check;
	__builtin_memcpy(ip + 1, &option, sizeof(option));
	return 0;
}

static __always_inline int dsr_insert_ipv6(struct __sk_buff *ctx, const struct packet *packet)
{
	struct dsr_ipv6 header = {
		.length = sizeof(header) / 8 - 1,
		.type = DSR_IPV6_TYPE,
		.option_length = sizeof(header) - 4,
		.address = packet->flow.destination,
		.port = packet->flow.destination_port,
	};
	struct {
		__be16 payload;
		__u8 next;
	} ip;
	__u32 offset = packet->l3 + offsetof(struct ipv6hdr, payload_len);

	if (bpf_skb_load_bytes(ctx, offset, &ip, 3))
		return -1;
	header.next = ip.next;
	ip.payload = bpf_htons(bpf_ntohs(ip.payload) + sizeof(header));
	ip.next = IPPROTO_DSTOPTS;
	if (bpf_skb_adjust_room(ctx, sizeof(header), BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(ctx, offset, &ip, 3, 0))
		return -1;
	return bpf_skb_store_bytes(ctx, packet->l3 + sizeof(struct ipv6hdr), &header, sizeof(header), 0);
}

static __always_inline struct ipcache_entry *dsr_known(const struct address *address)
{
	struct ipcache_key key = {.prefix_length = 128, .address = *address};

	return bpf_map_lookup_elem(&ipcache, &key);
}

/* How the backend's node is told. */
enum dsr_way {
	DSR_WAY_NONE = 0, /* the packet cannot carry it */
	DSR_WAY_OPTION,
	DSR_WAY_ENVELOPE,
};

/* Whether that is by an envelope; the node's address in `packet->node`, zero where that is not known. */
static __always_inline bool dsr_wraps(struct packet *packet, const struct address *backend)
{
	struct ipcache_entry *known = dsr_known(backend);

	__builtin_memset(&packet->node, 0, sizeof(packet->node));
	if (known)
		packet->node = known->node;
	if (dsr_geneve)
		return true;
	known = dsr_known(&packet->node);
	return known && known->flags & (packet->family == 4 ? IPCACHE_FLAG_NO_OPTION_IPV4 : IPCACHE_FLAG_NO_OPTION_IPV6);
}

/* How this packet, which came with no frontend of another node, can carry its own out of `uplink`: enum dsr_way. */
__noinline int dsr_room(struct __sk_buff *ctx, struct packet *packet, struct address *backend, __u32 uplink)
{
	int way = DSR_WAY_OPTION;
	__u32 mtu = 0, size;

	if (!packet || !backend || !packet->l4 || packet->error_l3 || ctx->gso_segs > 1 || !has_ports(packet->protocol) ||
	    packet->protocol == IPPROTO_SCTP)
		return DSR_WAY_NONE;
	size = dsr_size(packet);
	if (dsr_wraps(packet, backend)) {
		if (address_is_zero(&packet->node))
			return DSR_WAY_NONE;
		way = DSR_WAY_ENVELOPE;
		size = geneve_size(packet, address_is_ipv4(&packet->node));
	} else if (packet->family == 4 && packet->l4 - packet->l3 + sizeof(struct dsr_ipv4) > IPV4_HEADER_MAX) {
		return DSR_WAY_NONE;
	}
	if (bpf_check_mtu(ctx, uplink, &mtu, size, 0))
		return DSR_WAY_NONE;
	packet->dsr_way = way; /* its translation changes nothing of that */
	return way;
}

static __always_inline int dsr_insert(struct __sk_buff *ctx, const struct packet *packet)
{
	return packet->family == 4 ? dsr_insert_ipv4(ctx, packet) : dsr_insert_ipv6(ctx, packet);
}

/* Tells the backend's node the frontend that the packet came for, after its translation; what has no room goes without. 0, or negative
 * when it could not be written. */
__noinline int dsr_tell(struct __sk_buff *ctx, struct packet *packet, struct address *backend, __u32 uplink)
{
	struct address from;
	struct device *device;

	if (!packet || !backend)
		return -1;
	switch (packet->dsr_way ? packet->dsr_way : dsr_room(ctx, packet, backend, uplink)) {
	case DSR_WAY_NONE:
		return 0;
	case DSR_WAY_OPTION:
		return dsr_insert(ctx, packet);
	}
	device = bpf_map_lookup_elem(&devices, &uplink);
	if (!device)
		return -1;
	from = address_is_ipv4(&packet->node) ? device->ipv4 : device->ipv6;
	return geneve_insert(ctx, packet, &from, &packet->node);
}

/* Reads the frontend into `packet->frontend` if the packet has one, and takes it out of the packet. 0, or negative when the packet
 * could not be written. */
static __always_inline int dsr_take_ipv4(struct __sk_buff *ctx, struct packet *packet)
{
	struct dsr_ipv4 option;
	__be32 before, after;
	struct iphdr *ip;
	__be16 check;

	if (packet->l4 < packet->l3 + sizeof(*ip) + sizeof(option) ||
	    bpf_skb_load_bytes(ctx, packet->l3 + sizeof(*ip), &option, sizeof(option)) || option.type != DSR_IPV4_TYPE ||
	    option.length != sizeof(option))
		return 0;
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return -1;
	address_from_ipv4(&packet->frontend, __builtin_bswap32(option.address));
	packet->frontend_port = __builtin_bswap16(option.port);
	before = *(__be32 *)ip;
	after = bpf_htonl(bpf_ntohl(before) - DSR_IPV4_LENGTHS);
	option.type = ~option.type;
	option.length = ~option.length;
	option.port = ~option.port;
	option.address = ~option.address;
	check = ~csum_fold((__u16)~ip->check + word_change(before, after) + dsr_ipv4_sum(&option));
	if (bpf_skb_adjust_room(ctx, -(__s32)sizeof(option), BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return -1;
	*(__be32 *)ip = after;
	ip->check = check;
	return 0;
}

static __always_inline int dsr_take_ipv6(struct __sk_buff *ctx, struct packet *packet)
{
	__u32 offset = packet->l3 + offsetof(struct ipv6hdr, payload_len);
	struct dsr_ipv6 header;
	struct {
		__be16 payload;
		__u8 next;
	} ip;

	if (packet->l4 < packet->l3 + sizeof(struct ipv6hdr) + sizeof(header) || bpf_skb_load_bytes(ctx, offset, &ip, 3) ||
	    ip.next != IPPROTO_DSTOPTS ||
	    bpf_skb_load_bytes(ctx, packet->l3 + sizeof(struct ipv6hdr), &header, sizeof(header)) ||
	    header.length != sizeof(header) / 8 - 1 || header.type != DSR_IPV6_TYPE || header.option_length != sizeof(header) - 4)
		return 0;
	packet->frontend = header.address;
	packet->frontend_port = header.port;
	ip.payload = bpf_htons(bpf_ntohs(ip.payload) - sizeof(header));
	ip.next = header.next;
	if (bpf_skb_adjust_room(ctx, -(__s32)sizeof(header), BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	return bpf_skb_store_bytes(ctx, offset, &ip, 3, 0);
}

/* Of other packets dsr_take() need not be asked. */
static __always_inline bool may_carry_frontend(const struct packet *packet)
{
	return packet->l4 > packet->l3 + (packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
}

__noinline int dsr_take(struct __sk_buff *ctx, struct packet *packet)
{
	__u32 size;

	if (!packet)
		return -1;
	if (!packet->l4 || packet->error_l3)
		return 0;
	if (packet->family == 4 ? dsr_take_ipv4(ctx, packet) : dsr_take_ipv6(ctx, packet))
		return -1;
	if (!packet->frontend_port)
		return 0;
	size = dsr_size(packet);
	packet->l4 -= size;
	packet->length -= size;
	return 0;
}

/* The nodes' question to one another: does this option arrive? It says of itself that it came for where it goes. */
static __always_inline bool is_option_probe(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP && packet->l4 && packet->flow.destination_port == bpf_htons(option_probe_port);
}

/* The node's own question, which its socket could not put an option into. */
__noinline int option_probe_send(struct __sk_buff *ctx, struct packet *packet)
{
	return packet && dsr_insert(ctx, packet) ? -1 : 0;
}

/* What has come with its option goes to the next port, so that whoever answers knows. */
__noinline int option_probe_arrived(struct __sk_buff *ctx, struct packet *packet)
{
	if (!packet)
		return -1;
	return write_port(ctx, packet, bpf_htons(option_probe_port), bpf_htons(option_probe_port + 1), false);
}

#endif
