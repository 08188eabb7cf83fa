/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records for user space. Nobody is woken: it looks at its own pace. Each kind has its share of what is told in a second, so that a
 * flood of one hides no other, and whatever is not told is counted. */
#ifndef STENTOR_EVENT_H
#define STENTOR_EVENT_H

#include "../config.h"
#include "packet.h"

/* Whether one more of this kind may be told at `now`. Half of what may come at once is kept for those that `begin` something. */
static __always_inline bool event_is_due(__u32 kind, __u64 now, bool begins)
{
	struct event_share *share = bpf_map_lookup_elem(&event_shares, &kind);
	__u64 due, second = 1000000000, ahead = begins ? second : second / 2;

	if (!share)
		return false;
	due = *(volatile __u64 *)&share->due;
	if (due > now + ahead && due < now + 2 * second)
		return false;
	/* that another CPU was first costs one event more than there should be */
	share->due = (due < now || due >= now + 2 * second ? now : due) + second / (events_per_second | 1);
	return true;
}

static __always_inline void event_lost(__u32 kind, bool limited)
{
	struct event_losses *losses = bpf_map_lookup_elem(&event_losses, &kind);

	if (!losses)
		return;
	if (limited)
		losses->limited++;
	else
		losses->full++;
}

/* Room for a record of `size` bytes, a constant; NULL: it is counted as lost. */
#define event_reserve(kind, size, now, begins)                                     \
	({                                                                         \
		void *record = NULL;                                               \
		bool due = event_is_due(kind, now, begins);                        \
		if (due)                                                           \
			record = bpf_ringbuf_reserve(&events, size, 0);            \
		if (!record)                                                       \
			event_lost(kind, !due);                                    \
		record;                                                            \
	})

/* What every event says of a packet; the rest of it is zero. */
static __always_inline void event_begin(struct event *event, struct __sk_buff *ctx, const struct packet *packet, __u64 now)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->time = now;
	event->hook = packet->hook;
	event->interface_index = ctx->ifindex;
	event->length = packet->length;
	event->flow = packet->flow;
	event->tcp_flags = packet->tcp_flags;
	event->icmp_type = packet->icmp_type;
	event->icmp_code = packet->icmp_code;
	if (packet->error_l3) {
		event->flow.source = packet->sender;
		event->flow.protocol = packet->protocol;
		event->flow.source_port = 0;
		event->flow.destination_port = 0;
	}
}

#endif
