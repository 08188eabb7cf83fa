/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every drop goes through drop(): counted by reason, and told as an event with the line that decided. */
#ifndef STENTOR_DROP_H
#define STENTOR_DROP_H

#include "packet.h"

__noinline int drop_at(struct __sk_buff *ctx, struct packet *packet, __u32 reason, __u32 line)
{
	struct counter *count;
	struct event *event;

	if (!packet)
		return VERDICT_DROP;
	count = bpf_map_lookup_elem(&drops, &reason);
	if (count) {
		count->packets++;
		count->bytes += ctx->len;
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return VERDICT_DROP;
	event->time = bpf_ktime_get_ns();
	event->kind = EVENT_KIND_DROP;
	event->reason = reason;
	event->hook = packet->hook;
	event->pad = 0;
	event->interface_index = ctx->ifindex;
	event->length = packet->length;
	event->line = line;
	event->flow = packet->flow;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return VERDICT_DROP;
}

#define drop(ctx, packet, reason) ((enum verdict)drop_at(ctx, packet, reason, __LINE__))

#endif
