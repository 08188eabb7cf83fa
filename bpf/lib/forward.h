/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last step of every packet: translation as its conntrack entry says, then to a pod, to the wire or to the stack. */
#ifndef STENTOR_FORWARD_H
#define STENTOR_FORWARD_H

#include "conntrack.h"
#include "drop.h"
#include "dsr.h"
#include "lasthop.h"
#include "watch.h"

/* Whoever delivers to a local pod does it here: bpf_redirect_peer skips the veth's own hooks. */
static __always_inline enum verdict deliver_to_pod(struct __sk_buff *ctx, struct packet *packet,
						   const struct conntrack_entry *entry)
{
	struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &entry->destination);
	__u8 *data;

	if (!endpoint)
		return drop(ctx, packet, DROP_REASON_STALE_OR_UNROUTABLE_IP);
	data = (void *)(long)ctx->data;
	if (data + ETH_HLEN > (__u8 *)(long)ctx->data_end)
		return drop(ctx, packet, DROP_REASON_INVALID_PACKET);
	for (int i = 0; i < 6; i++) {
		data[i] = endpoint->mac[i];
		data[6 + i] = gateway_mac[i];
	}
	return bpf_redirect_peer(endpoint->interface_index, 0);
}

/* `tells`: where the flow is direct, the backend's node is told which frontend it answers for. */
static __always_inline enum verdict forward(struct __sk_buff *ctx, struct packet *packet, struct conntrack_entry *entry, bool tells)
{
	__u32 flags = entry->flags, interface_index = entry->interface_index;
	bool hops = flags & (CONNTRACK_FLAG_LOCAL | CONNTRACK_FLAG_ROUTED);

	if (hops && packet->ttl <= 1)
		return VERDICT_STACK; /* which says "time exceeded" of the packet as it came */
	watch(ctx, packet, entry);
	if (conntrack_translate(ctx, packet, entry) || (hops && decrement_ttl(ctx, packet)))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	if (tells && flags & CONNTRACK_FLAG_DIRECT && flags & CONNTRACK_FLAG_ROUTED && dsr_says(packet, entry) &&
	    dsr_tell(ctx, packet, &entry->destination, interface_index))
		return drop(ctx, packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	if (flags & CONNTRACK_FLAG_LOCAL)
		return deliver_to_pod(ctx, packet, entry);
	if (!(flags & CONNTRACK_FLAG_ROUTED))
		return VERDICT_STACK;
	return leave_by(ctx, entry);
}

#endif
