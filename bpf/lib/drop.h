/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every drop goes through drop(): counted by reason, and told as an event with the line that decided. */
#ifndef STENTOR_DROP_H
#define STENTOR_DROP_H

#include "packet.h"
#include "event.h"

__noinline int drop_at(struct __sk_buff *ctx, struct packet *packet, __u32 reason, __u32 line)
{
	__u64 now = bpf_ktime_get_ns();
	struct counter *count;
	struct event *event;

	if (!packet)
		return VERDICT_DROP;
	count = bpf_map_lookup_elem(&drops, &reason);
	if (count) {
		count->packets++;
		count->bytes += ctx->len;
	}
	event = event_reserve(EVENT_KIND_DROP, sizeof(*event), now, true);
	if (!event)
		return VERDICT_DROP;
	event_begin(event, ctx, packet, now);
	event->kind = EVENT_KIND_DROP;
	event->reason = reason;
	event->line = line;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return VERDICT_DROP;
}

#define drop(ctx, packet, reason) ((enum verdict)drop_at(ctx, packet, reason, __LINE__))

#endif
