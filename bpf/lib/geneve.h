/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet to the node of a backend in an envelope that says which frontend it came for: Geneve (RFC 8926) with one option, as
 * Cilium's nodes write and read it:
 *
 *   Ethernet | IP, UDP to port 6081 | Geneve, VNI 2 | option class 0x014b, type 0x81: address, port, 2 unused | Ethernet | the packet
 *
 * There is no device of that kind: the programs write the envelope and take it off.
 */
#ifndef STENTOR_GENEVE_H
#define STENTOR_GENEVE_H

#include "conntrack.h"
#include "route.h"
#include "service.h"

#define GENEVE_PORT	    6081
#define GENEVE_OPTION_CLASS 0x014b
#define GENEVE_OPTION_TYPE  0x81 /* critical: who does not know it drops the packet */
#define GENEVE_VNI	    2	 /* the identity "world" */
#define ETH_P_TEB	    0x6558

/* linux/bpf.h has them from Linux 6.18 on. */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

struct geneve {
	struct udphdr udp;
	__u8 words; /* version 0 in the upper two bits, length of the options in 4 bytes */
	__u8 flags;
	__be16 protocol;
	__be32 vni; /* upper 24 bits */
	__be16 option_class;
	__u8 option_type, option_words;
};
_Static_assert(sizeof(struct geneve) == 20, "size");

/* What stands between the fixed part and the packet. */
struct geneve_ipv4 {
	__be32 address;
	__be16 port, unused;
	struct ethhdr eth;
} __attribute__((packed));

struct geneve_ipv6 {
	struct address address;
	__be16 port, unused;
	struct ethhdr eth;
} __attribute__((packed));

static __always_inline __u32 geneve_data(const struct packet *packet)
{
	return packet->family == 4 ? sizeof(struct geneve_ipv4) : sizeof(struct geneve_ipv6);
}

/* Bytes of the envelope around this packet. */
static __always_inline __u32 geneve_size(const struct packet *packet, bool outer_ipv4)
{
	return (outer_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + sizeof(struct geneve) + geneve_data(packet);
}

static __always_inline int geneve_grow(struct __sk_buff *ctx, __u32 size, bool outer_ipv4)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |
		      BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
		      (outer_ipv4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
	long result = bpf_skb_adjust_room(ctx, size, BPF_ADJ_ROOM_MAC, flags);

	/* EALREADY: another machine around this one has taken it out of an envelope, which the skb still remembers */
	return result == -114 ? bpf_skb_adjust_room(ctx, size, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) : result;
}

static __always_inline int geneve_write_ip(struct __sk_buff *ctx, const struct address *from, const struct address *to, __u32 payload)
{
	if (address_is_ipv4(to)) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(sizeof(ip) + payload),
			.frag_off = bpf_htons(0x4000), /* do not fragment */
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = from->word[3],
			.daddr = to->word[3],
		};

		ip.check = ~csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
		return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), 0);
	}
	struct ipv6hdr ip = {.version = 6, .payload_len = bpf_htons(payload), .nexthdr = IPPROTO_UDP, .hop_limit = 64};

	__builtin_memcpy(&ip.saddr, from, sizeof(*from));
	__builtin_memcpy(&ip.daddr, to, sizeof(*to));
	return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline int geneve_write_frontend(struct __sk_buff *ctx, const struct packet *packet, __u32 offset)
{
	const struct flow *flow = &packet->flow;

	if (packet->family == 4) {
		struct geneve_ipv4 data = {.address = flow->destination.word[3],
					   .port = flow->destination_port,
					   .eth.h_proto = bpf_htons(ETH_P_IP)};

		return bpf_skb_store_bytes(ctx, offset, &data, sizeof(data), 0);
	}
	struct geneve_ipv6 data = {.address = flow->destination,
				   .port = flow->destination_port,
				   .eth.h_proto = bpf_htons(ETH_P_IPV6)};

	return bpf_skb_store_bytes(ctx, offset, &data, sizeof(data), 0);
}

/* Puts the packet, after its translation, into an envelope from address to address. 0, or negative when it could not be written. */
__noinline int geneve_insert(struct __sk_buff *ctx, struct packet *packet, struct address *from, struct address *to)
{
	__u32 size, offset, payload;
	struct geneve header = {};
	bool outer_ipv4;
	__be16 ethertype;

	if (!packet || !from || !to)
		return -1;
	outer_ipv4 = address_is_ipv4(to);
	size = geneve_size(packet, outer_ipv4);
	offset = ETH_HLEN + (outer_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	payload = ctx->len + size - offset;
	ethertype = outer_ipv4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	header.udp.source = bpf_htons(49152 | (flow_hash(&packet->flow) & 0x3fff));
	header.udp.dest = bpf_htons(GENEVE_PORT);
	header.udp.len = bpf_htons(payload);
	header.option_words = (geneve_data(packet) - ETH_HLEN) / 4;
	header.words = header.option_words + 1;
	header.protocol = bpf_htons(ETH_P_TEB);
	header.vni = bpf_htonl(GENEVE_VNI << 8);
	header.option_class = bpf_htons(GENEVE_OPTION_CLASS);
	header.option_type = GENEVE_OPTION_TYPE;
	if (geneve_grow(ctx, size, outer_ipv4) || geneve_write_ip(ctx, from, to, payload) ||
	    bpf_skb_store_bytes(ctx, offset, &header, sizeof(header), 0) ||
	    bpf_skb_store_bytes(ctx, offsetof(struct ethhdr, h_proto), &ethertype, sizeof(ethertype), 0))
		return -1;
	return geneve_write_frontend(ctx, packet, offset + sizeof(header));
}

static __always_inline bool is_geneve(const struct geneve *header, __u32 words)
{
	return header->words == words + 1 && header->protocol == bpf_htons(ETH_P_TEB) &&
	       header->option_class == bpf_htons(GENEVE_OPTION_CLASS) && header->option_type == GENEVE_OPTION_TYPE &&
	       header->option_words == words;
}

/* Of other packets geneve_take() need not be asked. */
static __always_inline bool is_for_geneve(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP && packet->flow.destination_port == bpf_htons(GENEVE_PORT);
}

/* Reads the frontend into `packet->frontend` and takes the packet out of its envelope if it is in one of another node.
 * 1: it was, and `packet` has to be parsed again; 0: it was not; negative: it could not be written. */
__noinline int geneve_take(struct __sk_buff *ctx, struct packet *packet)
{
	struct geneve header;
	struct geneve_ipv4 ipv4;
	struct geneve_ipv6 ipv6;
	__u32 offset;
	__be16 ethertype;
	bool inner_ipv4;

	if (!packet || !packet->l4 || packet->error_l3 || !is_for_geneve(packet) || !is_inside(&packet->flow.source) ||
	    bpf_map_lookup_elem(&endpoints, &packet->flow.destination) || bpf_skb_load_bytes(ctx, packet->l4, &header, sizeof(header)))
		return 0;
	offset = packet->l4 + sizeof(header);
	inner_ipv4 = is_geneve(&header, (sizeof(ipv4) - ETH_HLEN) / 4);
	if (inner_ipv4) {
		if (bpf_skb_load_bytes(ctx, offset, &ipv4, sizeof(ipv4)) || ipv4.eth.h_proto != bpf_htons(ETH_P_IP))
			return 0;
		address_from_ipv4(&packet->frontend, ipv4.address);
		packet->frontend_port = ipv4.port;
		offset += sizeof(ipv4);
	} else if (is_geneve(&header, (sizeof(ipv6) - ETH_HLEN) / 4)) {
		if (bpf_skb_load_bytes(ctx, offset, &ipv6, sizeof(ipv6)) || ipv6.eth.h_proto != bpf_htons(ETH_P_IPV6))
			return 0;
		packet->frontend = ipv6.address;
		packet->frontend_port = ipv6.port;
		offset += sizeof(ipv6);
	} else {
		return 0;
	}
	ethertype = inner_ipv4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	bpf_csum_level(ctx, BPF_CSUM_LEVEL_DEC); /* what the NIC has verified was the envelope's */
	if (bpf_skb_adjust_room(ctx, -(__s32)(offset - ETH_HLEN), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | (inner_ipv4 ? ADJ_ROOM_DECAP_L3_IPV4 : ADJ_ROOM_DECAP_L3_IPV6)) ||
	    bpf_skb_store_bytes(ctx, offsetof(struct ethhdr, h_proto), &ethertype, sizeof(ethertype), 0))
		return -1;
	return 1;
}

#endif
