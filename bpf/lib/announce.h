/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses that this node answers for on the segment: ARP (RFC 826, RFC 5227), neighbour discovery (RFC 4861), and the heartbeats of
 * other nodes. Only while the lease lasts: a frozen agent stops answering before its peers take over.
 *
 *   heartbeat: | Ethernet 0x88b5 | magic | version | kind | hold, ms | node | interface |
 */
#ifndef STENTOR_ANNOUNCE_H
#define STENTOR_ANNOUNCE_H

#include "../config.h"
#include "packet.h"
#include "reply.h"

#define ETH_P_STENTOR 0x88b5	 /* IEEE 802: for local experiments */
#define FRAME_MAGIC   0x53746e74 /* 'Stnt' */
#define FRAME_VERSION 1
#define FRAME_BEAT    1

struct beat_frame {
	__be32 magic;
	__u8 version, kind;
	__be16 hold; /* milliseconds for which the sender asks to be waited for */
	__u64 node;
	__be32 interface_index;
} __attribute__((packed));

/* The entry by which this node may answer now, or NULL. */
static __always_inline struct l2_answer *answer_for(const struct l2_key *key)
{
	struct l2_answer *answer = bpf_map_lookup_elem(&l2_answers, key);
	struct l2_lease *lease;
	__u32 zero = 0;

	if (!answer)
		return NULL;
	lease = bpf_map_lookup_elem(&l2_lease, &zero);
	return lease && lease->until > bpf_ktime_get_ns() ? answer : NULL;
}

static __always_inline void count_answer(const struct l2_key *key)
{
	struct l2_asked *asked = bpf_map_lookup_elem(&l2_asked, key);
	struct l2_asked first = {.answers = 1, .last = bpf_ktime_get_ns()};

	if (!asked) {
		bpf_map_update_elem(&l2_asked, key, &first, BPF_ANY);
		return;
	}
	__sync_fetch_and_add(&asked->answers, 1);
	asked->last = first.last;
}

/* Remembers who says that he has an address which is ours to answer for. */
static __always_inline void note_claim(const struct l2_key *key, const __u8 *mac)
{
	struct l2_answer *answer = bpf_map_lookup_elem(&l2_answers, key);
	struct l2_claim_key claimed = {.address = key->address, .interface_index = key->interface_index};
	struct l2_claim first = {.last = bpf_ktime_get_ns(), .count = 1};
	struct l2_claim *claim;

	if (!answer || !__builtin_memcmp(answer->mac, mac, 6))
		return;
	__builtin_memcpy(claimed.mac, mac, 6);
	claim = bpf_map_lookup_elem(&l2_claims, &claimed);
	if (!claim) {
		bpf_map_update_elem(&l2_claims, &claimed, &first, BPF_ANY);
		return;
	}
	__sync_fetch_and_add(&claim->count, 1);
	claim->last = first.last;
}

static __always_inline enum verdict send_back(struct __sk_buff *ctx)
{
	ctx->mark = (ctx->mark & ~MARK_MASK) | MARK_HANDLED;
	return bpf_redirect(ctx->ifindex, 0);
}

/* Who has this address? We do. The answer goes to the sender that the request names, which an access point or a bridge may have put its
 * own Ethernet address before. */
__noinline int announce_arp(struct __sk_buff *ctx)
{
	struct packet packet = {.hook = HOOK_HOST_FROM};
	struct l2_key key = {.interface_index = ctx->ifindex};
	struct arp_ipv4 arp, reply;
	struct l2_answer *found;
	__u8 macs[12];

	if (ctx->pkt_type == PACKET_OTHERHOST || bpf_skb_load_bytes(ctx, ETH_HLEN, &arp, sizeof(arp)) ||
	    arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_length != 6 || arp.protocol_length != 4)
		return VERDICT_STACK;
	if (arp.sender) {
		address_from_ipv4(&key.address, arp.sender);
		note_claim(&key, arp.sender_mac);
	}
	if (arp.operation != bpf_htons(1) || arp.sender == arp.target)
		return VERDICT_STACK;
	address_from_ipv4(&key.address, arp.target);
	found = answer_for(&key);
	if (!found)
		return VERDICT_STACK;
	reply = arp;
	reply.operation = bpf_htons(2);
	__builtin_memcpy(reply.sender_mac, found->mac, 6);
	reply.sender = arp.target;
	__builtin_memcpy(reply.target_mac, arp.sender_mac, 6);
	reply.target = arp.sender;
	__builtin_memcpy(macs, arp.sender_mac, 6);
	__builtin_memcpy(macs + 6, found->mac, 6);
	if (bpf_skb_store_bytes(ctx, ETH_HLEN, &reply, sizeof(reply), 0) || bpf_skb_store_bytes(ctx, 0, macs, sizeof(macs), 0))
		return drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	count_answer(&key);
	return send_back(ctx);
}

/* A solicitation or an advertisement that arrived from this very segment: its hop limit of 255 has crossed no router. */
__noinline int announce_neighbour(struct __sk_buff *ctx, struct packet *packet)
{
	struct l2_key key = {.interface_index = ctx->ifindex};
	struct neighbour_message message;
	struct l2_answer *found;
	__u16 flags = NEIGHBOUR_OVERRIDE;
	__u8 macs[12];

	if (!packet)
		return VERDICT_DROP;
	if (packet->ttl != 255 || !neighbour_read(ctx, packet, &message) || message.icmp.code ||
	    bpf_skb_load_bytes(ctx, 0, macs, sizeof(macs)))
		return VERDICT_STACK;
	address_from_ipv6(&key.address, &message.target);
	if (message.icmp.type == 136) {
		if (message.option[0] == OPTION_TARGET_MAC && message.option[1] == 1)
			note_claim(&key, message.option + 2);
		return VERDICT_STACK;
	}
	found = answer_for(&key);
	if (!found)
		return VERDICT_STACK;
	if (address_is_zero(&packet->sender)) { /* somebody looks whether it is free: all shall hear that it is not */
		const struct in6_addr all_nodes = {.s6_addr = {0xff, 0x02, [15] = 1}};
		const __u8 all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

		message.ip.daddr = all_nodes;
		__builtin_memcpy(macs, all_nodes_mac, 6);
	} else {
		flags |= NEIGHBOUR_SOLICITED;
		message.ip.daddr = message.ip.saddr;
		if (message.option[0] == OPTION_SOURCE_MAC && message.option[1] == 1)
			__builtin_memcpy(macs, message.option + 2, 6);
		else
			__builtin_memcpy(macs, macs + 6, 6);
	}
	__builtin_memcpy(macs + 6, found->mac, 6);
	if (neighbour_advertise(ctx, &message, flags, macs))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	count_answer(&key);
	return send_back(ctx);
}

/* A service address answers this node, which has knocked: a half-open connection that no socket has begun. To the stack it would be a stray. */
__noinline int hear_answer(struct packet *packet)
{
	struct l2_knock_key key = {};
	struct l2_knock *knock;

	if (!packet)
		return 0;
	key.address = packet->flow.source;
	key.port = packet->flow.source_port;
	knock = bpf_map_lookup_elem(&l2_knocks, &key);
	if (!knock)
		return 0;
	knock->answered = bpf_ktime_get_ns();
	return 1;
}

static __always_inline bool is_answer_to_knock(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP && packet->l4 && packet->flow.destination_port == bpf_htons(knock_port);
}

/* Another node lives. Messages of other kinds are the agent's, by way of the stack. */
static __always_inline enum verdict hear_beat(struct __sk_buff *ctx)
{
	struct l2_beat_key key = {};
	struct beat_frame frame;
	struct l2_beat *beat;

	if (ctx->pkt_type != PACKET_HOST || bpf_skb_load_bytes(ctx, ETH_HLEN, &frame, sizeof(frame)) ||
	    frame.magic != bpf_htonl(FRAME_MAGIC) || frame.version != FRAME_VERSION || frame.kind != FRAME_BEAT)
		return VERDICT_STACK;
	key.node = frame.node;
	key.interface_index = bpf_ntohl(frame.interface_index);
	beat = bpf_map_lookup_elem(&l2_beats, &key);
	if (beat)
		beat->seen = bpf_ktime_get_ns() + bpf_ntohs(frame.hold) * 1000000ULL;
	return VERDICT_DROP; /* heard, and nobody else's */
}

#endif
