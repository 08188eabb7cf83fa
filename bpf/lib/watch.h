/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is told of packets that pass. Of a flow: its first packet, the first answer, each TCP flag once in each direction, the rest every
 * five seconds; how much there was when it has ended; and what DNS and HTTP messages begin with. The fields of conntrack that say what
 * was told are in the cache lines that the packet needs anyway. */
#ifndef STENTOR_WATCH_H
#define STENTOR_WATCH_H

#include "conntrack.h"
#include "event.h"

#define REPORT_SECONDS	    5
#define PORT_DNS	    53
#define FIRST_PACKETS	    8 /* of a direction, in which HTTP shows itself */

/* Identities as Hubble clients and other tools know them. */
#define IDENTITY_HOST	     1
#define IDENTITY_WORLD	     2
#define IDENTITY_FIRST_OWN   16 /* those below are no pods */

static __always_inline __u32 identity_of(const struct address *address, bool *elsewhere)
{
	struct ipcache_key key = {.prefix_length = 128, .address = *address};
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, address);
	struct ipcache_entry *known;

	*elsewhere = false;
	if (endpoint)
		return endpoint->identity;
	known = bpf_map_lookup_elem(&ipcache, &key);
	if (!known)
		return IDENTITY_WORLD;
	*elsewhere = !address_is_zero(&known->node) && (!known->identity || known->identity >= IDENTITY_FIRST_OWN);
	return known->identity;
}

/* For the first packet of a flow: who talks to whom, in both entries. Payload is watched where the server is, and for servers that are
 * no pod where the client is. */
__noinline int watch_begin(struct packet *packet, struct conntrack_entry *entry)
{
	struct conntrack_entry *opposite;
	__u32 watched = 0;
	struct flow key;
	bool elsewhere;

	if (!packet || !entry)
		return 0;
	entry->opened = bpf_ktime_get_ns();
	entry->source_identity = identity_of(&packet->flow.source, &elsewhere);
	entry->destination_identity = identity_of(&entry->destination, &elsewhere);
	if (!(entry->flags & CONNTRACK_FLAG_ROUTED) || (packet->hook == HOOK_POD_FROM && !elsewhere))
		watched = CONNTRACK_FLAG_WATCHED;
	__sync_fetch_and_or(&entry->flags, watched);
	opposite_key(&key, entry, packet->flow.protocol);
	opposite = bpf_map_lookup_elem(&conntrack, &key);
	if (!opposite)
		return 0;
	opposite->opened = entry->opened;
	opposite->meant = entry->meant;
	opposite->source_identity = entry->destination_identity;
	opposite->destination_identity = entry->source_identity;
	__sync_fetch_and_or(&opposite->flags, watched);
	return 0;
}

static __always_inline __u8 trace_point(const struct packet *packet, const struct conntrack_entry *entry)
{
	if (packet->hook == HOOK_POD_TO || entry->flags & CONNTRACK_FLAG_LOCAL)
		return TRACE_POINT_TO_ENDPOINT;
	if (packet->hook == HOOK_HOST_TO || entry->flags & CONNTRACK_FLAG_ROUTED)
		return TRACE_POINT_TO_NETWORK;
	return packet->hook == HOOK_HOST_FROM || entry->destination_identity == IDENTITY_HOST ? TRACE_POINT_TO_HOST : TRACE_POINT_TO_STACK;
}

static __always_inline bool is_first(const struct conntrack_entry *entry)
{
	return !(entry->flags & CONNTRACK_FLAG_REPLY) && entry->packets == 1;
}

static __always_inline __u8 trace_reason(const struct packet *packet, const struct conntrack_entry *entry)
{
	if (packet->error_l3)
		return TRACE_REASON_RELATED;
	if (entry->flags & CONNTRACK_FLAG_REPLY)
		return TRACE_REASON_REPLY;
	return is_first(entry) ? TRACE_REASON_NEW : TRACE_REASON_ESTABLISHED;
}

static __always_inline void event_conntrack(struct event *event, const struct packet *packet, const struct conntrack_entry *entry)
{
	event->reason = trace_reason(packet, entry);
	event->point = trace_point(packet, entry);
	event->source = entry->source;
	event->destination = entry->destination;
	event->source_port = entry->source_port;
	event->destination_port = entry->destination_port;
	event->source_identity = entry->source_identity;
	event->destination_identity = entry->destination_identity;
	event->meant = entry->service ?: entry->meant;
	event->conntrack = entry->flags;
	event->answered = entry->answered;
	event->opened = entry->opened;
	event->packets = entry->packets;
	event->bytes = entry->bytes;
	if (entry->flags & (CONNTRACK_FLAG_LOCAL | CONNTRACK_FLAG_ROUTED))
		event->interface_index = entry->interface_index;
}

static __always_inline void event_opposite(struct event *event, const struct conntrack_entry *opposite)
{
	if (!opposite)
		return;
	event->whole = 1;
	event->reply_packets = opposite->packets;
	event->reply_bytes = opposite->bytes;
}

/* A connection that has just ended, once. */
__noinline int watch_end(struct __sk_buff *ctx, struct packet *packet, struct conntrack_entry *entry)
{
	struct conntrack_entry *opposite;
	__u64 now = bpf_ktime_get_ns();
	struct event *event;
	struct flow key;

	if (!packet || !entry)
		return 0;
	opposite_key(&key, entry, packet->flow.protocol);
	opposite = bpf_map_lookup_elem(&conntrack, &key);
	__sync_fetch_and_or(&entry->flags, CONNTRACK_FLAG_TOLD);
	if (opposite)
		__sync_fetch_and_or(&opposite->flags, CONNTRACK_FLAG_TOLD);
	event = event_reserve(EVENT_KIND_CONNECTION, sizeof(*event), now, true);
	if (!event)
		return 0;
	event_begin(event, ctx, packet, now);
	event->kind = EVENT_KIND_CONNECTION;
	event_conntrack(event, packet, entry);
	event_opposite(event, opposite);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* `periodic`: nothing new is to be told but how much there was. */
__noinline int watch_packet(struct __sk_buff *ctx, struct packet *packet, struct conntrack_entry *entry, __u32 periodic)
{
	struct conntrack_entry *opposite = NULL;
	__u64 now = bpf_ktime_get_ns();
	struct event *event;
	struct flow key;

	if (!packet || !entry)
		return 0;
	if (!packet->error_l3) {
		entry->reported = entry->last_seen;
		entry->seen_flags |= packet->tcp_flags;
	}
	if (periodic) {
		opposite_key(&key, entry, packet->flow.protocol);
		opposite = bpf_map_lookup_elem(&conntrack, &key);
	}
	event = event_reserve(EVENT_KIND_TRACE, sizeof(*event), now, is_first(entry));
	if (!event)
		return 0;
	event_begin(event, ctx, packet, now);
	event->kind = EVENT_KIND_TRACE;
	event_conntrack(event, packet, entry);
	event_opposite(event, opposite);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Offset of what the transport header carries. */
static __always_inline __u32 payload_offset(const struct packet *packet)
{
	return packet->l4 + (packet->protocol == IPPROTO_TCP ? packet->tcp_length : sizeof(struct udphdr));
}

/* The pod that asks, on its way out and on the way back: whoever serves it may be anywhere. */
static __always_inline bool is_dns(const struct packet *packet, const struct conntrack_entry *entry)
{
	const __be16 dns = bpf_htons(PORT_DNS);

	if (entry->flags & CONNTRACK_FLAG_REPLY)
		return (packet->flow.source_port == dns || entry->source_port == dns) &&
		       (entry->flags & CONNTRACK_FLAG_LOCAL || packet->hook == HOOK_POD_TO);
	return packet->hook == HOOK_POD_FROM && (packet->flow.destination_port == dns || entry->destination_port == dns);
}

static __always_inline bool may_be_http(const struct conntrack_entry *entry)
{
	return entry->flags & CONNTRACK_FLAG_WATCHED && (entry->packets <= FIRST_PACKETS || entry->flags & CONNTRACK_FLAG_HTTP);
}

/* Whether a message begins with the name of a method, or is an answer. */
static __always_inline bool is_http(const char first[8])
{
#define BEGINS(word) (!__builtin_memcmp(first, word, sizeof(word) - 1))
	return BEGINS("GET ") || BEGINS("HTTP/1.") || BEGINS("POST ") || BEGINS("PUT ") || BEGINS("HEAD ") || BEGINS("DELETE ") ||
	       BEGINS("PATCH ") || BEGINS("OPTIONS ") || BEGINS("CONNECT ") || BEGINS("TRACE ");
}

#define FRAME_HEADER 9

/* Whether a packet of HTTP/2 begins with a frame, and headers may be among what is kept of it. Data has none, and goes on in packets
 * that do not begin with a frame. */
static __always_inline bool is_frame(const __u8 first[8], __u32 length)
{
	__u32 frame = (__u32)first[0] << 16 | (__u32)first[1] << 8 | first[2];
	__u32 end = frame + 2 * FRAME_HEADER;

	return first[3] <= 9 && !(first[5] & 0x80) && (first[3] || (end <= length && end <= PAYLOAD_MAX));
}

static __always_inline void note_http(const struct packet *packet, struct conntrack_entry *entry, __u32 flags)
{
	struct conntrack_entry *opposite;
	struct flow key;

	if ((entry->flags & flags) == flags)
		return;
	opposite_key(&key, entry, packet->flow.protocol);
	opposite = bpf_map_lookup_elem(&conntrack, &key);
	__sync_fetch_and_or(&entry->flags, flags);
	if (opposite)
		__sync_fetch_and_or(&opposite->flags, flags);
}

/* Whether a packet of TCP is told. */
static __always_inline bool note_payload(const struct packet *packet, struct conntrack_entry *entry, const char first[8], __u32 length)
{
	if (BEGINS("PRI * HT"))
		note_http(packet, entry, CONNTRACK_FLAG_HTTP | CONNTRACK_FLAG_HTTP2);
	else if (entry->flags & CONNTRACK_FLAG_HTTP2)
		return is_frame((const __u8 *)first, length);
	else if (is_http(first))
		note_http(packet, entry, CONNTRACK_FLAG_HTTP);
	else
		return false;
	return true;
}

__noinline int watch_payload_at(struct __sk_buff *ctx, struct packet *packet, struct conntrack_entry *entry)
{
	__u64 now = bpf_ktime_get_ns();
	struct payload_event *payload;
	__u32 offset, length, kept;
	__be32 sequence = 0;
	char first[8] = {};

	if (!packet || !entry)
		return 0;
	offset = payload_offset(packet);
	length = packet->length + packet->l3;
	if (length <= offset || length - offset < sizeof(first))
		return 0;
	length -= offset;
	if (!is_dns(packet, entry)) {
		if (bpf_skb_load_bytes(ctx, offset, first, sizeof(first)) || !note_payload(packet, entry, first, length))
			return 0;
	}
	payload = event_reserve(EVENT_KIND_PAYLOAD, sizeof(*payload), now, false);
	if (!payload)
		return 0;
	kept = length < PAYLOAD_MAX ? length : PAYLOAD_MAX;
	payload->length = length;
	payload->kept = kept;
	if ((packet->protocol == IPPROTO_TCP &&
	     bpf_skb_load_bytes(ctx, packet->l4 + offsetof(struct tcphdr, seq), &sequence, sizeof(sequence))) ||
	    bpf_skb_load_bytes(ctx, offset, payload->bytes, kept)) {
		bpf_ringbuf_discard(payload, BPF_RB_NO_WAKEUP);
		return 0;
	}
	event_begin(&payload->event, ctx, packet, now);
	payload->event.kind = EVENT_KIND_PAYLOAD;
	payload->sequence = bpf_ntohl(sequence);
	payload->pad = 0;
	event_conntrack(&payload->event, packet, entry);
	bpf_ringbuf_submit(payload, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Before the packet is translated, and after it was counted. */
static __always_inline void watch(struct __sk_buff *ctx, struct packet *packet, struct conntrack_entry *entry)
{
	bool news;

	if (!watch_flows)
		return;
	news = packet->tcp_flags & ~entry->seen_flags || packet->error_l3 || !entry->reported;
	if (is_first(entry))
		watch_begin(packet, entry);
	if (news || entry->last_seen - entry->reported >= REPORT_SECONDS)
		watch_packet(ctx, packet, entry, !news);
	if ((entry->flags & (CONNTRACK_FLAG_CLOSING | CONNTRACK_FLAG_TOLD)) == CONNTRACK_FLAG_CLOSING)
		watch_end(ctx, packet, entry);
	if (!watch_payload || !packet->l4 || packet->error_l3)
		return;
	if (packet->protocol == IPPROTO_TCP ? may_be_http(entry) || is_dns(packet, entry)
					    : packet->protocol == IPPROTO_UDP && is_dns(packet, entry))
		watch_payload_at(ctx, packet, entry);
}

#endif
