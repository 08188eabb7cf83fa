/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* While the maps of another version are taken over, a connection may have begun at a program that wrote to those. What its packets need
 * is copied in a moment. Until then they are dropped, and sent again: whoever went on with one as if its flow were new would choose
 * another backend or another port, and a host that gets one without a socket for it ends the connection. */
#ifndef STENTOR_HANDOVER_H
#define STENTOR_HANDOVER_H

#include "packet.h"

/* Whether a packet that no flow is known of has to wait for one. */
__noinline int awaits_handover(struct packet *packet)
{
	struct handover *handover;
	__u32 key = 0;

	if (!packet || packet->protocol != IPPROTO_TCP || (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return 0;
	handover = bpf_map_lookup_elem(&handovers, &key);
	return handover && bpf_ktime_get_coarse_ns() < handover->until;
}

/* Whether a connection of the host itself has this packet, whose addresses and ports are those of the packet as it came. */
__noinline int has_socket(struct __sk_buff *ctx, struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 size = sizeof(tuple.ipv6);
	int connected;

	if (!packet)
		return 0;
	if (packet->family == 4) {
		tuple.ipv4.saddr = packet->flow.source.word[3];
		tuple.ipv4.daddr = packet->flow.destination.word[3];
		tuple.ipv4.sport = packet->flow.source_port;
		tuple.ipv4.dport = packet->flow.destination_port;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &packet->flow.source, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, &packet->flow.destination, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = packet->flow.source_port;
		tuple.ipv6.dport = packet->flow.destination_port;
	}
	socket = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;
	connected = socket->state != BPF_TCP_LISTEN;
	bpf_sk_release(socket);
	return connected;
}

#endif
