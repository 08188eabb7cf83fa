/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Both directions of a flow are entries of one map, made together when its first packet is seen. Afterwards one lookup says
 * everything: translation and way out. The key is the flow as it arrives, so the reply's key is the reverse of what the
 * first direction leaves as.
 *
 *   client ──▶ 10.96.0.10:80   entry 1   ──▶ leaves as client ──▶ pod:8080
 *   client ◀── 10.96.0.10:80   entry 2   ◀── arrives as  client ◀── pod:8080
 */
#ifndef STENTOR_CONNTRACK_H
#define STENTOR_CONNTRACK_H

#include "../config.h"
#include "packet.h"
#include "rewrite.h"
#include "service.h"

static __always_inline __u32 now_seconds(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000000;
}

/* What nobody has answered yet ends soon, so that it does not keep a port. `now` may be older than the entry: another CPU
 * touched it meanwhile. */
static __always_inline bool conntrack_expired(const struct conntrack_entry *entry, __u8 protocol, __u32 now)
{
	__s32 idle = now - entry->last_seen;
	__u32 timeout = timeout_any;

	if (protocol == IPPROTO_TCP && entry->flags & CONNTRACK_FLAG_CLOSING)
		timeout = timeout_tcp_closing;
	else if (protocol == IPPROTO_TCP && entry->flags & CONNTRACK_FLAG_ANSWERED)
		timeout = timeout_tcp;
	return idle > 0 && (__u32)idle > timeout;
}

/* Whether a flow lets another have what it leaves as. The side that has not ended a connection may never do so: its process forgot
 * it, or the packet was lost. It goes on like that for as long as others find ports, and RFC 5382 (REQ-5) wants it to have four
 * minutes in any case. */
static __always_inline bool conntrack_yields(const struct conntrack_entry *entry, __u8 protocol, __u32 now)
{
	__s32 idle = now - entry->last_seen;

	if (protocol == IPPROTO_TCP && entry->flags & CONNTRACK_FLAG_HALF_CLOSED && idle > 0 &&
	    (__u32)idle > timeout_tcp_half_closed)
		return true;
	return conntrack_expired(entry, protocol, now);
}

/* Whether the backend that was chosen for a flow may go on with it. A datagram begins nothing, so what draws a flow away from a
 * backend is that its service has it no more; a connection ends with the backend itself. */
static __always_inline bool conntrack_has_backend(const struct conntrack_entry *entry, __u8 protocol)
{
	struct lb_backend_key key = {.id = entry->backend};

	if (protocol != IPPROTO_TCP)
		return service_member(entry->service, entry->backend);
	return bpf_map_lookup_elem(&lb_backends, &key) != NULL;
}

/* The key of the other direction: the reverse of what this one leaves as. */
static __always_inline void opposite_key(struct flow *key, const struct conntrack_entry *entry, __u8 protocol)
{
	key->source = entry->destination;
	key->destination = entry->source;
	key->source_port = entry->destination_port;
	key->destination_port = entry->source_port;
	key->protocol = protocol;
	__builtin_memset(key->pad, 0, sizeof(key->pad));
}

/* Whether the answer to this packet finds its way back: the other entry may have been evicted, or have become another flow's, which may
 * have begun at the same port, and mean the same backend by a service or without one. */
static __always_inline bool conntrack_is_paired(const struct packet *packet, const struct conntrack_entry *entry)
{
	struct conntrack_entry *reply;
	struct flow key;

	opposite_key(&key, entry, packet->flow.protocol);
	reply = bpf_map_lookup_elem(&conntrack, &key);
	return reply && reply->destination_port == packet->flow.source_port && reply->service == entry->service &&
	       reply->backend == entry->backend && address_equal(&reply->destination, &packet->flow.source);
}

/* Whether answers to this packet go out in the name of the frontend that it says it came for. */
__noinline int conntrack_answers_for(struct packet *packet, struct conntrack_entry *entry)
{
	struct conntrack_entry *reply;
	struct flow key;

	if (!packet || !entry)
		return 0;
	opposite_key(&key, entry, packet->flow.protocol);
	reply = bpf_map_lookup_elem(&conntrack, &key);
	return reply && reply->source_port == packet->frontend_port && address_equal(&reply->source, &packet->frontend);
}

/* The living entry of this packet's flow. A SYN on a connection that one side has ended, from whichever side, and a first packet whose
 * backend is gone or whose answer would not come back, start over: then there is none. */
static __always_inline struct conntrack_entry *conntrack_find(struct packet *packet)
{
	struct conntrack_entry *entry = bpf_map_lookup_elem(&conntrack, &packet->flow);
	__u8 protocol = packet->flow.protocol;
	bool opens;

	if (!entry)
		return NULL;
	packet->now = now_seconds();
	if (conntrack_expired(entry, protocol, packet->now))
		return NULL;
	if (packet->error_l3 || (entry->flags & CONNTRACK_FLAG_REPLY && protocol != IPPROTO_TCP))
		return entry;
	opens = protocol != IPPROTO_TCP || (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if (!opens)
		return entry;
	if (entry->flags & (CONNTRACK_FLAG_CLOSING | CONNTRACK_FLAG_FINISHED | CONNTRACK_FLAG_HALF_CLOSED))
		return NULL;
	if (entry->backend && !(entry->flags & CONNTRACK_FLAG_REPLY) && !conntrack_has_backend(entry, protocol))
		return NULL;
	/* of datagrams, every one of which opens, the first in a second */
	if (protocol != IPPROTO_TCP && entry->last_seen == packet->now)
		return entry;
	return conntrack_is_paired(packet, entry) ? entry : NULL;
}

/* What concerns the flow as a whole goes into both of its entries: they live and end together. */
__noinline int conntrack_note(struct packet *packet, struct conntrack_entry *entry)
{
	__u32 both = 0;
	struct conntrack_entry *opposite;
	bool finished;
	struct flow key;

	if (!packet || !entry)
		return -1;
	opposite_key(&key, entry, packet->flow.protocol);
	opposite = bpf_map_lookup_elem(&conntrack, &key);
	if (entry->flags & CONNTRACK_FLAG_REPLY) {
		both |= CONNTRACK_FLAG_ANSWERED;
		if (entry->opened && !entry->answered) {
			entry->answered = (bpf_ktime_get_ns() - entry->opened) / 1000 + 1;
			if (opposite)
				opposite->answered = entry->answered;
		}
	}
	if (packet->tcp_flags & TCP_FIN) {
		both |= CONNTRACK_FLAG_HALF_CLOSED;
		__sync_fetch_and_or(&entry->flags, CONNTRACK_FLAG_FINISHED);
	}
	if (entry->flags & CONNTRACK_FLAG_DIRECT) /* the other side passes this node by: what the client says of it must do */
		both |= packet->tcp_flags & TCP_FIN	? CONNTRACK_FLAG_ANSWERED | CONNTRACK_FLAG_CLOSING
			: packet->tcp_flags & TCP_ACK ? CONNTRACK_FLAG_ANSWERED
						      : 0;
	finished = opposite && opposite->flags & CONNTRACK_FLAG_FINISHED;
	if (packet->tcp_flags & TCP_RST || (packet->tcp_flags & TCP_FIN && finished))
		both |= CONNTRACK_FLAG_CLOSING;
	entry->last_seen = packet->now;
	__sync_fetch_and_or(&entry->flags, both);
	if (opposite) {
		opposite->last_seen = packet->now;
		__sync_fetch_and_or(&opposite->flags, both);
	}
	return 0;
}

/* For what conntrack_find() has found. Looks at the other direction at most once a second, and for what changes the state of both. */
static __always_inline void conntrack_count(struct conntrack_entry *entry, struct packet *packet)
{
	if (packet->error_l3)
		return; /* an error about a flow does not keep it alive */
	__u32 silent = entry->flags & (CONNTRACK_FLAG_REPLY | CONNTRACK_FLAG_DIRECT | CONNTRACK_FLAG_ANSWERED);

	packet->first_in_second = entry->last_seen != packet->now;
	if (packet->first_in_second || packet->tcp_flags & (TCP_FIN | TCP_RST) || silent == CONNTRACK_FLAG_REPLY ||
	    (silent == CONNTRACK_FLAG_DIRECT && packet->protocol == IPPROTO_TCP))
		conntrack_note(packet, entry);
	entry->packets++;
	entry->bytes += packet->length;
}

/* Where the other entry of a flow is put together. */
static __always_inline struct conntrack_entry *conntrack_scratch(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&scratch, &only);
}

/* The reply's entry: it is translated back to what the first packet was, and goes where `flags` and `interface_index` say. */
static __always_inline void conntrack_reply(struct conntrack_entry *reply, const struct packet *packet,
					    const struct conntrack_entry *entry, __u32 flags, __u32 interface_index)
{
	reply->source = packet->frontend_port ? packet->frontend : packet->flow.destination;
	reply->destination = packet->flow.source;
	reply->source_port = packet->frontend_port ? packet->frontend_port : packet->flow.destination_port;
	reply->destination_port = packet->flow.source_port;
	reply->flags = CONNTRACK_FLAG_REPLY | flags |
		       (entry->flags & (CONNTRACK_FLAG_CLOSING | CONNTRACK_FLAG_LAST_HOP | CONNTRACK_FLAG_WATCHED));
	if (entry->flags & CONNTRACK_FLAG_DESTINATION_NAT || packet->frontend_port)
		reply->flags |= CONNTRACK_FLAG_SOURCE_NAT;
	if (entry->flags & CONNTRACK_FLAG_SOURCE_NAT)
		reply->flags |= CONNTRACK_FLAG_DESTINATION_NAT;
	reply->interface_index = interface_index;
	reply->last_seen = entry->last_seen;
	reply->service = entry->service;
	reply->backend = entry->backend;
	reply->packets = 0;
	reply->bytes = 0;
	reply->opened = entry->opened;
	reply->reported = 0;
	reply->answered = 0;
	reply->source_identity = entry->destination_identity;
	reply->destination_identity = entry->source_identity;
	reply->meant = entry->meant;
	reply->seen_flags = 0;
	__builtin_memset(reply->pad, 0, sizeof(reply->pad));
}

/* Makes both entries of a flow whose first direction is `entry`; the reply goes where `flags` and `interface_index` say.
 * 0, or negative when the map takes no more. */
__noinline int conntrack_open(struct packet *packet, struct conntrack_entry *entry, __u32 flags, __u32 interface_index)
{
	struct conntrack_entry *reply = conntrack_scratch();
	struct flow key;

	if (!packet || !entry || !reply)
		return -1;
	entry->last_seen = now_seconds();
	conntrack_reply(reply, packet, entry, flags, interface_index);
	opposite_key(&key, entry, packet->flow.protocol);
	if (bpf_map_update_elem(&conntrack, &key, reply, BPF_ANY))
		return -1;
	return bpf_map_update_elem(&conntrack, &packet->flow, entry, BPF_ANY);
}

/* Datagrams of a direct flow whose frontend its backend's node is told for certain: the first ones may all be lost but one. */
#define DSR_TOLD 8

/* A first direction that changes nothing yet, with its first packet counted. What begins with a RST has ended. */
static __always_inline void conntrack_begin(struct conntrack_entry *entry, const struct packet *packet)
{
	__builtin_memset(entry, 0, sizeof(*entry));
	entry->source = packet->flow.source;
	entry->destination = packet->flow.destination;
	entry->source_port = packet->flow.source_port;
	entry->destination_port = packet->flow.destination_port;
	entry->flags = packet->tcp_flags & TCP_RST ? CONNTRACK_FLAG_CLOSING : 0;
	entry->packets = 1;
	entry->bytes = packet->length;
}

static __always_inline int conntrack_translate(struct __sk_buff *ctx, struct packet *packet,
					       const struct conntrack_entry *entry)
{
	struct rewrite to;

	if (!(entry->flags & (CONNTRACK_FLAG_SOURCE_NAT | CONNTRACK_FLAG_DESTINATION_NAT)))
		return 0;
	to.source = entry->source;
	to.destination = entry->destination;
	to.source_port = entry->source_port;
	to.destination_port = entry->destination_port;
	return rewrite(ctx, packet, &to);
}

#endif
