/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers made from the packet that asks: ARP and neighbour advertisements of the pod's gateway, echo replies of service
 * addresses, and refusals (TCP RST, ICMP port unreachable). The answer goes back to the pod that asked, or to the wire; to the
 * node itself it comes in by the uplink. */
#ifndef STENTOR_REPLY_H
#define STENTOR_REPLY_H

#include "../config.h"
#include "drop.h"
#include "packet.h"
#include "rewrite.h"
#include "route.h"

#define GATEWAY_IPV4 bpf_htonl(0xa9fe0101) /* 169.254.1.1 */

struct arp_ipv4 {
	__be16 hardware, protocol;
	__u8 hardware_length, protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

static __always_inline void copy_gateway_mac(__u8 *to)
{
	for (int i = 0; i < 6; i++)
		to[i] = gateway_mac[i];
}

static __always_inline enum verdict answer(struct __sk_buff *ctx, struct packet *packet)
{
	__u8 macs[12], turned[12];

	if (bpf_skb_load_bytes(ctx, 0, macs, sizeof(macs)))
		return drop(ctx, packet, DROP_REASON_INVALID_PACKET);
	__builtin_memcpy(turned, macs + 6, 6);
	__builtin_memcpy(turned + 6, macs, 6);
	if (bpf_skb_store_bytes(ctx, 0, turned, sizeof(turned), 0))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	if (packet->hook == HOOK_POD_FROM)
		return bpf_redirect_peer(ctx->ifindex, 0);
	if (packet->hook == HOOK_HOST_TO)
		return bpf_redirect(ctx->ifindex, BPF_F_INGRESS);
	ctx->mark = (ctx->mark & ~MARK_MASK) | MARK_HANDLED;
	return bpf_redirect(ctx->ifindex, 0);
}

/* Who has the gateway? The host side of the pod's veth (RFC 826). */
__noinline int answer_arp(struct __sk_buff *ctx, struct packet *packet)
{
	struct arp_ipv4 arp, reply;
	__u8 macs[12];

	if (!packet)
		return VERDICT_DROP;
	if (bpf_skb_load_bytes(ctx, ETH_HLEN, &arp, sizeof(arp)))
		return drop(ctx, packet, DROP_REASON_INVALID_PACKET);
	if (arp.operation == bpf_htons(2))
		return VERDICT_STACK; /* the host asked for the pod */
	if (arp.operation != bpf_htons(1) || arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) ||
	    arp.hardware_length != 6 || arp.protocol_length != 4 || arp.target != GATEWAY_IPV4)
		return drop(ctx, packet, DROP_REASON_UNKNOWN_L3_TARGET_ADDRESS);
	reply = arp;
	reply.operation = bpf_htons(2);
	copy_gateway_mac(reply.sender_mac);
	reply.sender = arp.target;
	__builtin_memcpy(reply.target_mac, arp.sender_mac, 6);
	reply.target = arp.sender;
	__builtin_memcpy(macs, arp.sender_mac, 6);
	copy_gateway_mac(macs + 6);
	if (bpf_skb_store_bytes(ctx, ETH_HLEN, &reply, sizeof(reply), 0) || bpf_skb_store_bytes(ctx, 0, macs, 12, 0))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return bpf_redirect_peer(ctx->ifindex, 0);
}

struct neighbour_message {
	struct ipv6hdr ip;
	struct icmp_header icmp; /* flags of an advertisement are where an echo has its identifier */
	struct in6_addr target;
	__u8 option[8];
} __attribute__((packed));

#define NEIGHBOUR_ROUTER    0x8000
#define NEIGHBOUR_SOLICITED 0x4000
#define NEIGHBOUR_OVERRIDE  0x2000
#define OPTION_SOURCE_MAC   1
#define OPTION_TARGET_MAC   2

/* Reads a message of neighbour discovery that has no extension headers. Its option may be missing: then it is zero. */
static __always_inline bool neighbour_read(struct __sk_buff *ctx, const struct packet *packet, struct neighbour_message *message)
{
	__builtin_memset(message->option, 0, sizeof(message->option));
	if (packet->l4 != ETH_HLEN + sizeof(struct ipv6hdr) ||
	    bpf_skb_load_bytes(ctx, ETH_HLEN, message, sizeof(*message) - sizeof(message->option)))
		return false;
	if (packet->length >= sizeof(*message))
		return !bpf_skb_load_bytes(ctx, ETH_HLEN + offsetof(struct neighbour_message, option), message->option,
					   sizeof(message->option));
	return true;
}

/* Makes the packet an advertisement (RFC 4861 section 4.4) of message->target to message->ip.daddr. `macs`: the Ethernet header's; the
 * second one is the target's. */
static __always_inline int neighbour_advertise(struct __sk_buff *ctx, struct neighbour_message *message, __u16 flags,
					       const __u8 *macs)
{
	__be32 pseudo[2] = {bpf_htonl(32), bpf_htonl(IPPROTO_ICMPV6)};
	__s64 sum;

	message->ip.payload_len = bpf_htons(32);
	message->ip.hop_limit = 255;
	message->ip.saddr = message->target;
	__builtin_memset(&message->icmp, 0, sizeof(message->icmp));
	message->icmp.type = 136;
	message->icmp.id = bpf_htons(flags);
	message->option[0] = OPTION_TARGET_MAC;
	message->option[1] = 1;
	__builtin_memcpy(message->option + 2, macs + 6, 6);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&message->ip.saddr, 32, 0);
	sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&message->icmp, 32, sum);
	message->icmp.checksum = ~csum_fold(sum);
	return bpf_skb_change_tail(ctx, ETH_HLEN + sizeof(*message), 0) ||
	       bpf_skb_store_bytes(ctx, ETH_HLEN, message, sizeof(*message), 0) || bpf_skb_store_bytes(ctx, 0, macs, 12, 0);
}

/* Neighbour solicitation for the gateway fe80::1 (RFC 4861 section 7.2): solicited, router, override. */
__noinline int answer_neighbour(struct __sk_buff *ctx, struct packet *packet)
{
	const struct in6_addr gateway = {.s6_addr = {0xfe, 0x80, [15] = 1}};
	struct neighbour_message message;
	struct in6_addr asker;
	__u8 macs[12];

	if (!packet)
		return VERDICT_DROP;
	if (!neighbour_read(ctx, packet, &message) || bpf_skb_load_bytes(ctx, 0, macs, sizeof(macs)))
		return drop(ctx, packet, DROP_REASON_FORBIDDEN_ICMPV6_MESSAGE);
	if (__builtin_memcmp(&message.target, &gateway, sizeof(gateway)))
		return drop(ctx, packet, DROP_REASON_UNKNOWN_L3_TARGET_ADDRESS);
	asker = message.ip.saddr;
	if (!(asker.s6_addr32[0] | asker.s6_addr32[1] | asker.s6_addr32[2] | asker.s6_addr32[3]))
		return drop(ctx, packet, DROP_REASON_FORBIDDEN_ICMPV6_MESSAGE); /* somebody wants to be the gateway */
	message.ip.daddr = asker;
	__builtin_memcpy(macs, macs + 6, 6);
	copy_gateway_mac(macs + 6);
	if (neighbour_advertise(ctx, &message, NEIGHBOUR_SOLICITED | NEIGHBOUR_ROUTER | NEIGHBOUR_OVERRIDE, macs))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return bpf_redirect_peer(ctx->ifindex, 0);
}

/* Turns an IP header around: who was asked answers. TTL 64, no options carried over by the caller. */
static __always_inline int write_ip_header(struct __sk_buff *ctx, struct packet *packet, __u16 payload, __u8 protocol)
{
	if (packet->family == 4) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(sizeof(ip) + payload),
			.frag_off = bpf_htons(0x4000),
			.ttl = 64,
			.protocol = protocol,
			.saddr = packet->flow.destination.word[3],
			.daddr = packet->flow.source.word[3],
		};

		ip.check = ~csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
		return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), 0);
	}
	struct ipv6hdr ip = {
		.version = 6,
		.payload_len = bpf_htons(payload),
		.nexthdr = protocol,
		.hop_limit = 64,
	};

	__builtin_memcpy(&ip.saddr, &packet->flow.destination, 16);
	__builtin_memcpy(&ip.daddr, &packet->flow.source, 16);
	return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), 0);
}

static __always_inline __s64 pseudo_header_sum(struct packet *packet, __u16 payload, __u8 protocol)
{
	__be32 pseudo[2] = {bpf_htonl(payload), bpf_htonl(protocol)};
	__s64 sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), 0);

	/* the words that map IPv4 are no part of its pseudo header */
	if (packet->family == 4) {
		__be32 addresses[2] = {packet->flow.source.word[3], packet->flow.destination.word[3]};

		return bpf_csum_diff(NULL, 0, addresses, sizeof(addresses), sum);
	}
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&packet->flow.source, 16, sum);
	return bpf_csum_diff(NULL, 0, (__be32 *)&packet->flow.destination, 16, sum);
}

static __always_inline enum answer_to asker(struct packet *packet)
{
	if (packet->hook != HOOK_HOST_FROM)
		return ANSWER_TO_NODE;
	return is_inside(&packet->flow.source) ? ANSWER_TO_CLUSTER : ANSWER_TO_WIRE;
}

/* Whether one more answer is within the rate (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f): a bucket of answer_burst that fills
 * again at the rate, kept as the time at which it will be full. If other CPUs are always first, there are enough answers. */
__noinline int may_answer(struct packet *packet, enum answer_kind kind)
{
	__u64 now = bpf_ktime_get_coarse_ns(), each;
	struct answer_budget *budget;
	__u32 rate, key;

	if (!packet)
		return 0;
	rate = kind == ANSWER_KIND_UNREACHABLE ? errors_per_second : answers_per_second;
	if (!rate)
		return 0;
	each = 1000000000 / rate;
	key = 3 * asker(packet) + kind;
	budget = bpf_map_lookup_elem(&answer_budgets, &key);
	if (!budget)
		return 0;
	for (int attempt = 0; attempt < 4; attempt++) {
		__u64 due = *(volatile __u64 *)&budget->due;
		__u64 from = due > now ? due : now;

		if (from - now + each > each * answer_burst)
			return 0;
		if (__sync_val_compare_and_swap(&budget->due, due, from + each) != due)
			continue;
		__sync_fetch_and_add(&budget->given, 1);
		return 1;
	}
	return 0;
}

/* A reset for a segment that nobody will take (RFC 9293 section 3.5.2). */
__noinline int refuse_tcp(struct __sk_buff *ctx, struct packet *packet)
{
	struct tcphdr asked, reset = {};
	__u32 header, segment;

	if (!packet || !packet->l4)
		return VERDICT_DROP;
	if (packet->tcp_flags & TCP_RST)
		return drop(ctx, packet, DROP_REASON_SERVICE_BACKEND_NOT_FOUND);
	if (bpf_skb_load_bytes(ctx, packet->l4, &asked, sizeof(asked)))
		return drop(ctx, packet, DROP_REASON_INVALID_PACKET);
	if (!may_answer(packet, ANSWER_KIND_RESET))
		return drop(ctx, packet, DROP_REASON_RATE_LIMITED);
	header = packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	reset.source = asked.dest;
	reset.dest = asked.source;
	reset.doff = sizeof(reset) / 4;
	reset.rst = 1;
	if (asked.ack) {
		reset.seq = asked.ack_seq;
	} else {
		segment = packet->length - (packet->l4 - packet->l3) - asked.doff * 4 + asked.syn + asked.fin;
		reset.ack_seq = bpf_htonl(bpf_ntohl(asked.seq) + segment);
		reset.ack = 1;
	}
	reset.check = ~csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&reset, sizeof(reset),
					  pseudo_header_sum(packet, sizeof(reset), IPPROTO_TCP)));
	if (bpf_skb_change_tail(ctx, ETH_HLEN + header + sizeof(reset), 0) ||
	    write_ip_header(ctx, packet, sizeof(reset), IPPROTO_TCP) ||
	    bpf_skb_store_bytes(ctx, ETH_HLEN + header, &reset, sizeof(reset), 0))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return answer(ctx, packet);
}

#define QUOTE_SIZE 80 /* bytes of the refused packet that the error quotes, at most: the longest IPv4 header and ports */

/* ICMP port unreachable (RFC 792, RFC 4443 section 3.1) that quotes the beginning of the packet. */
__noinline int refuse_datagram(struct __sk_buff *ctx, struct packet *packet)
{
	struct {
		__u8 type, code;
		__be16 check;
		__be32 unused;
		__u8 quote[QUOTE_SIZE];
	} error;
	__u32 quote, header, payload;
	__u8 protocol;
	__s64 sum = 0;

	if (!packet)
		return VERDICT_DROP;
	if (!packet->l4 || is_icmp(packet->protocol))
		return drop(ctx, packet, DROP_REASON_SERVICE_BACKEND_NOT_FOUND);
	if (!may_answer(packet, ANSWER_KIND_UNREACHABLE))
		return drop(ctx, packet, DROP_REASON_RATE_LIMITED);
	__builtin_memset(&error, 0, sizeof(error));
	quote = packet->length;
	if (quote > QUOTE_SIZE)
		quote = QUOTE_SIZE;
	asm volatile("" : "+r"(quote)); /* else clang proves the bounds to itself and not to the verifier */
	if (!quote || quote > QUOTE_SIZE || bpf_skb_load_bytes(ctx, ETH_HLEN, error.quote, quote))
		return drop(ctx, packet, DROP_REASON_INVALID_PACKET);
	if (packet->family == 4) {
		error.type = ICMP_UNREACHABLE;
		error.code = ICMP_CODE_PORT;
		protocol = IPPROTO_ICMP;
		header = sizeof(struct iphdr);
	} else {
		error.type = ICMPV6_UNREACHABLE;
		error.code = ICMPV6_CODE_PORT;
		protocol = IPPROTO_ICMPV6;
		header = sizeof(struct ipv6hdr);
	}
	payload = 8 + quote;
	if (packet->family == 6)
		sum = pseudo_header_sum(packet, payload, protocol);
	error.check = ~csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)&error, sizeof(error), sum)); /* zeroes after the quote */
	if (bpf_skb_change_tail(ctx, ETH_HLEN + header + sizeof(error), 0) ||
	    write_ip_header(ctx, packet, payload, protocol) ||
	    bpf_skb_store_bytes(ctx, ETH_HLEN + header, &error, sizeof(error), 0) ||
	    bpf_skb_change_tail(ctx, ETH_HLEN + header + payload, 0))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return answer(ctx, packet);
}

/* Echo request to a service address: its reply. */
__noinline int answer_echo(struct __sk_buff *ctx, struct packet *packet)
{
	struct rewrite turned;
	__u8 reply;
	__be16 before, after;

	if (!packet || !packet->l4)
		return VERDICT_DROP;
	if (!may_answer(packet, ANSWER_KIND_ECHO))
		return drop(ctx, packet, DROP_REASON_RATE_LIMITED);
	turned.source = packet->flow.destination;
	turned.destination = packet->flow.source;
	turned.source_port = packet->flow.source_port; /* the identifier stays */
	turned.destination_port = packet->flow.destination_port;
	reply = packet->family == 4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY;
	before = bpf_htons((__u16)packet->icmp_type << 8);
	after = bpf_htons((__u16)reply << 8);
	if (rewrite(ctx, packet, &turned) ||
	    bpf_l4_csum_replace(ctx, packet->l4 + offsetof(struct icmp_header, checksum), before, after, 2) ||
	    bpf_skb_store_bytes(ctx, packet->l4, &reply, 1, 0))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return answer(ctx, packet);
}

/* A service address that serves nothing at this port, or has nobody to serve it. */
static __always_inline enum verdict refuse(struct __sk_buff *ctx, struct packet *packet)
{
	if (!no_backend_reject)
		return drop(ctx, packet, DROP_REASON_SERVICE_BACKEND_NOT_FOUND);
	if (packet->protocol == IPPROTO_TCP && packet->l4)
		return refuse_tcp(ctx, packet);
	return refuse_datagram(ctx, packet);
}

#endif
