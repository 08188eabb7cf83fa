/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One packet, parsed once. Nobody after parse() computes an offset.
 *
 *   ETH_HLEN          l3                 l4
 *   | Ethernet | IPv4/IPv6 + options | TCP, UDP, ICMP … |
 *                                     ICMP error: | 8 | inner IP (error_l3) | inner L4 (error_l4) |
 */
#ifndef STENTOR_PACKET_H
#define STENTOR_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../types.h"
#include "../maps.h"

/* skb->pkt_type; linux/if_packet.h has more than is needed here. */
#define PACKET_HOST	 0
#define PACKET_MULTICAST 2
#define PACKET_OTHERHOST 3

/* What a step decides. The three that end a program have the values of tc's actions. */
enum verdict {
	VERDICT_NEXT = -1,	/* the next step decides */
	VERDICT_REFUSE = -2,	/* nobody takes it: say so */
	VERDICT_ECHO = -3,	/* a service address is asked whether it lives */
	VERDICT_STACK = 0,	/* TC_ACT_OK: the host's stack goes on */
	VERDICT_DROP = 2,	/* TC_ACT_SHOT */
	VERDICT_REDIRECT = 7,	/* TC_ACT_REDIRECT */
};

enum parsed {
	PARSED = 0,
	PARSED_ARP,
	PARSED_INVALID,		 /* shorter than its headers say */
	PARSED_NOT_IP,
	PARSED_FRAGMENT_UNKNOWN, /* a later fragment whose first one was not seen: addresses only */
};

struct packet {
	struct flow flow; /* of an ICMP error: the reverse of the packet that it is about */
	struct address sender; /* of the IP header; flow.source unless an ICMP error */
	__u32 length;	  /* IP packet, bytes */
	__u32 hook;	  /* enum hook */
	__u16 l3;
	__u16 l4;	  /* 0 in a later fragment */
	__u16 error_l3;	  /* 0 unless an ICMP error */
	__u16 error_l4;	  /* 0 when the error is about a later fragment */
	__u8 family;	  /* 4 or 6 */
	__u8 ttl;
	__u8 tcp_flags;	  /* byte 13 of the TCP header */
	__u8 icmp_type;
	__u8 protocol;	  /* of the packet itself, also of an ICMP error */
	__u8 tcp_length;  /* of the TCP header, bytes */
	__u8 icmp_code;
	__u8 pad;
	__u32 now;	  /* seconds of CLOCK_MONOTONIC, once conntrack_find() has looked */
	union {
		struct address frontend; /* whose answer the client expects, as another node says: see dsr.h */
		struct address node;	 /* where an envelope goes, once dsr_room() has said that there shall be one */
	};
	__be16 frontend_port; /* 0: none was said */
	__u8 first_in_second; /* of its flow, for what conntrack_count() has counted */
	__u8 dsr_way;	      /* enum dsr_way, once dsr_room() has looked */
};

/* The header of ICMP and ICMPv6 messages; id and sequence where the message is an echo. linux/icmp.h needs a C library. */
struct icmp_header {
	__u8 type, code;
	__be16 checksum, id, sequence;
};

#define ICMP_ECHO_REPLY	       0
#define ICMP_UNREACHABLE       3
#define ICMP_ECHO_REQUEST      8
#define ICMP_TIME_EXCEEDED     11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMP_CODE_PORT	       3
#define ICMPV6_UNREACHABLE     1
#define ICMPV6_ECHO_REQUEST    128
#define ICMPV6_ECHO_REPLY      129
#define ICMPV6_CODE_PORT       4

/* Says to host_to that this packet has been seen to. The other bits of skb->mark belong to others. */
#define MARK_MASK    0x0f00
#define MARK_HANDLED 0x0200

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_FRAGMENT	     0x3fff /* more-fragments bit and offset */
#define IPV4_OFFSET	     0x1fff
#define IPV4_HEADER_MAX	     60
#define IPV6_FRAGMENT	     0xfff9 /* the same of the fragment header */
#define IPV6_OFFSET	     0xfff8
#define IPV6_EXTENSIONS_MAX  6

static __always_inline void address_from_ipv4(struct address *to, __be32 from)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = bpf_htonl(0xffff);
	to->word[3] = from;
}

static __always_inline void address_from_ipv6(struct address *to, const void *from)
{
	__builtin_memcpy(to, from, sizeof(*to));
}

static __always_inline bool address_equal(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* ::ffff:0:0/96 */
static __always_inline bool address_is_ipv4(const struct address *a)
{
	return !(a->word[0] | a->word[1]) && a->word[2] == bpf_htonl(0xffff);
}

/* 127.0.0.0/8, ::1 */
static __always_inline bool address_is_loopback(const struct address *a)
{
	if (address_is_ipv4(a))
		return (a->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !(a->word[0] | a->word[1] | a->word[2]) && a->word[3] == bpf_htonl(1);
}

static __always_inline bool address_is_zero(const struct address *a)
{
	return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

static __always_inline bool address_is_multicast(const struct address *a, __u8 family)
{
	if (family == 4)
		return (a->word[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || a->word[3] == 0xffffffff;
	return (a->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

/* fe80::/10 */
static __always_inline bool address_is_link_local(const struct address *a)
{
	return (a->word[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* Ones' complement sum folded to 16 bits. */
static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* What a change adds to a ones' complement sum. */
static __always_inline __u64 word_change(__be32 from, __be32 to)
{
	return (__u64)(__u32)~from + to;
}

static __always_inline __u64 address_change(const struct address *from, const struct address *to, __u8 family)
{
	if (family == 4)
		return word_change(from->word[3], to->word[3]);
	return word_change(from->word[0], to->word[0]) + word_change(from->word[1], to->word[1]) +
	       word_change(from->word[2], to->word[2]) + word_change(from->word[3], to->word[3]);
}

static __always_inline __u32 port_change(__be16 from, __be16 to)
{
	return (__u32)(__u16)~from + to;
}

static __always_inline void flow_reverse(struct flow *to, const struct flow *from)
{
	to->source = from->destination;
	to->destination = from->source;
	to->source_port = from->destination_port;
	to->destination_port = from->source_port;
	to->protocol = from->protocol;
	__builtin_memset(to->pad, 0, sizeof(to->pad));
}

static __always_inline bool icmp_is_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMP)
		return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
	return type < 128; /* RFC 4443 section 2.1 */
}

static __always_inline bool icmp_is_echo_request(__u8 protocol, __u8 type)
{
	return type == (protocol == IPPROTO_ICMP ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST);
}

static __always_inline bool icmp_is_echo_reply(__u8 protocol, __u8 type)
{
	return type == (protocol == IPPROTO_ICMP ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY);
}

static __always_inline bool is_icmp(__u8 protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* An echo request that can be answered: its first fragment, or all of it. */
static __always_inline bool is_ping(const struct packet *packet)
{
	return is_icmp(packet->protocol) && packet->l4 && icmp_is_echo_request(packet->protocol, packet->icmp_type);
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* Ports of `flow` from the transport header at `offset`; the first 8 bytes of it are enough. */
static __always_inline enum parsed parse_ports(struct __sk_buff *ctx, struct flow *flow, __u32 offset, __u8 icmp_kind[2])
{
	if (has_ports(flow->protocol)) {
		struct {
			__be16 source, destination;
		} ports;

		if (bpf_skb_load_bytes(ctx, offset, &ports, sizeof(ports)))
			return PARSED_INVALID;
		flow->source_port = ports.source;
		flow->destination_port = ports.destination;
		return PARSED;
	}
	if (is_icmp(flow->protocol)) {
		struct icmp_header icmp;

		if (bpf_skb_load_bytes(ctx, offset, &icmp, sizeof(icmp)))
			return PARSED_INVALID;
		icmp_kind[0] = icmp.type;
		icmp_kind[1] = icmp.code;
		if (icmp_is_echo_request(flow->protocol, icmp.type))
			flow->source_port = icmp.id;
		else if (icmp_is_echo_reply(flow->protocol, icmp.type))
			flow->destination_port = icmp.id;
	}
	return PARSED;
}

/* Walks the extension headers of RFC 8200 from `*offset`; afterwards `*offset` is the transport header. */
static __always_inline enum parsed parse_extensions(struct __sk_buff *ctx, __u8 *next, __u32 *offset,
						    __be32 *fragment_id, __u16 *fragment_offset)
{
	for (int i = 0; i <= IPV6_EXTENSIONS_MAX; i++) {
		struct {
			__u8 next, length;
		} extension;

		switch (*next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_AH:
			if (bpf_skb_load_bytes(ctx, *offset, &extension, sizeof(extension)))
				return PARSED_INVALID;
			*offset += *next == IPPROTO_AH ? (extension.length + 2) * 4 : (extension.length + 1) * 8;
			*next = extension.next;
			break;
		case IPPROTO_FRAGMENT: {
			struct {
				__u8 next, reserved;
				__be16 offset;
				__be32 id;
			} fragment;

			if (bpf_skb_load_bytes(ctx, *offset, &fragment, sizeof(fragment)))
				return PARSED_INVALID;
			*fragment_id = fragment.id;
			*fragment_offset = bpf_ntohs(fragment.offset) & IPV6_FRAGMENT;
			*offset += sizeof(fragment);
			*next = fragment.next;
			if (*fragment_offset & IPV6_OFFSET)
				return PARSED; /* what follows is payload */
			break;
		}
		default:
			return PARSED;
		}
	}
	return PARSED_INVALID;
}

/* The flow of an ICMP error: the packet inside it, reversed. */
static __always_inline enum parsed parse_error(struct __sk_buff *ctx, struct packet *packet)
{
	struct flow inner = {};
	__u32 offset = packet->l4 + 8;
	enum parsed result = PARSED;
	__u16 fragment = 0;
	__be32 id;
	__u8 kind[2];
	bool later;

	packet->error_l3 = offset;
	if (packet->family == 4) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(ctx, offset, &ip, sizeof(ip)))
			return PARSED_INVALID;
		address_from_ipv4(&inner.source, ip.saddr);
		address_from_ipv4(&inner.destination, ip.daddr);
		inner.protocol = ip.protocol;
		offset += ip.ihl * 4;
		later = bpf_ntohs(ip.frag_off) & IPV4_OFFSET;
	} else {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(ctx, offset, &ip, sizeof(ip)))
			return PARSED_INVALID;
		address_from_ipv6(&inner.source, &ip.saddr);
		address_from_ipv6(&inner.destination, &ip.daddr);
		inner.protocol = ip.nexthdr;
		offset += sizeof(ip);
		result = parse_extensions(ctx, &inner.protocol, &offset, &id, &fragment);
		later = fragment & IPV6_OFFSET;
	}
	packet->error_l4 = offset;
	if (later)
		packet->error_l4 = 0;
	else if (result == PARSED)
		result = parse_ports(ctx, &inner, offset, kind);
	flow_reverse(&packet->flow, &inner);
	return result;
}

/* Remembers the ports of a first fragment, or finds those of a later one. */
static __always_inline enum parsed parse_fragment(struct __sk_buff *ctx, struct packet *packet, __be32 id, bool later)
{
	struct fragment_key key = {
		.source = packet->flow.source,
		.destination = packet->flow.destination,
		.id = id,
		.interface_index = ctx->ifindex,
		.protocol = packet->protocol,
	};
	struct fragment_ports ports = {
		.source_port = packet->flow.source_port,
		.destination_port = packet->flow.destination_port,
	};
	struct fragment_ports *found;

	if (!later) {
		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
		return PARSED;
	}
	packet->l4 = 0;
	found = bpf_map_lookup_elem(&fragments, &key);
	if (!found)
		return PARSED_FRAGMENT_UNKNOWN;
	packet->flow.source_port = found->source_port;
	packet->flow.destination_port = found->destination_port;
	return PARSED;
}

static __always_inline enum parsed parse_l4(struct __sk_buff *ctx, struct packet *packet)
{
	enum parsed result;
	__u8 icmp_kind[2] = {};

	if (packet->protocol == IPPROTO_TCP) {
		struct {
			__be16 source, destination;
			__u8 other[8], length, flags;
		} tcp;

		if (bpf_skb_load_bytes(ctx, packet->l4, &tcp, sizeof(tcp)))
			return PARSED_INVALID;
		packet->flow.source_port = tcp.source;
		packet->flow.destination_port = tcp.destination;
		packet->tcp_flags = tcp.flags;
		packet->tcp_length = (tcp.length >> 4) * 4;
		return PARSED;
	}
	result = parse_ports(ctx, &packet->flow, packet->l4, icmp_kind);
	packet->icmp_type = icmp_kind[0];
	packet->icmp_code = icmp_kind[1];
	if (result != PARSED)
		return result;
	if (is_icmp(packet->protocol) && icmp_is_error(packet->protocol, packet->icmp_type))
		return parse_error(ctx, packet);
	return PARSED;
}

static __always_inline enum parsed parse_ipv4(struct __sk_buff *ctx, struct packet *packet)
{
	struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;
	__u16 fragment;
	__be16 id;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || ip->ihl < 5)
		return PARSED_INVALID;
	packet->family = 4;
	address_from_ipv4(&packet->flow.source, ip->saddr);
	address_from_ipv4(&packet->flow.destination, ip->daddr);
	packet->sender = packet->flow.source;
	packet->flow.protocol = packet->protocol = ip->protocol;
	packet->length = bpf_ntohs(ip->tot_len);
	packet->ttl = ip->ttl;
	packet->l4 = ETH_HLEN + ip->ihl * 4;
	fragment = bpf_ntohs(ip->frag_off);
	id = ip->id;
	if (!(fragment & IPV4_FRAGMENT))
		return parse_l4(ctx, packet);
	if (!(fragment & IPV4_OFFSET)) {
		enum parsed result = parse_l4(ctx, packet);

		if (result != PARSED)
			return result;
	}
	return parse_fragment(ctx, packet, bpf_htonl(bpf_ntohs(id)), fragment & IPV4_OFFSET);
}

static __always_inline enum parsed parse_ipv6(struct __sk_buff *ctx, struct packet *packet)
{
	struct ipv6hdr *ip = (void *)(long)ctx->data + ETH_HLEN;
	__u32 offset = ETH_HLEN + sizeof(*ip);
	__u16 fragment = 0;
	__be32 id = 0;
	enum parsed result;
	__u8 next;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return PARSED_INVALID;
	packet->family = 6;
	address_from_ipv6(&packet->flow.source, &ip->saddr);
	address_from_ipv6(&packet->flow.destination, &ip->daddr);
	packet->sender = packet->flow.source;
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->ttl = ip->hop_limit;
	next = ip->nexthdr;
	result = parse_extensions(ctx, &next, &offset, &id, &fragment);
	if (result != PARSED)
		return result;
	packet->flow.protocol = packet->protocol = next;
	packet->l4 = offset;
	if (!fragment)
		return parse_l4(ctx, packet);
	if (!(fragment & IPV6_OFFSET)) {
		result = parse_l4(ctx, packet);
		if (result != PARSED)
			return result;
	}
	return parse_fragment(ctx, packet, id, fragment & IPV6_OFFSET);
}

/* Fills `packet` except for its hook. */
__noinline int parse(struct __sk_buff *ctx, struct packet *packet)
{
	struct ethhdr *eth;

	if (!packet)
		return PARSED_INVALID;
	if (ctx->data + ETH_HLEN + sizeof(struct ipv6hdr) > ctx->data_end)
		bpf_skb_pull_data(ctx, ctx->len < ETH_HLEN + 60 ? ctx->len : ETH_HLEN + 60);
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return PARSED_INVALID;
	packet->l3 = ETH_HLEN;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(ctx, packet);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(ctx, packet);
	return eth->h_proto == bpf_htons(ETH_P_ARP) ? PARSED_ARP : PARSED_NOT_IP;
}

#endif
