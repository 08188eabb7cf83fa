/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An uplink's short cut, where its driver runs programs before there is an skb:
 *
 *   wire ──▶ xdp_from ──▶ the wire again: packets of flows between a client and the backend of another node
 *                     ──▶ host_from: everything else
 *
 * It decides nothing. host_from opens flows, sees how they begin and end, and looks at each once a second, which is when it touches
 * `last_seen`; until the second is over packets of that flow go by what its entry says. So a flow that host_from would treat
 * otherwise (its time is over, its backend is gone) is treated so within a second, and a program that is taken off is missed by nobody.
 */
#include "lib/conntrack.h"
#include "lib/packet.h"
#include "lib/xdp.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Whether the entry says all that there is to do: the way is another wire's, and nothing is to be noted or told. */
static __always_inline bool is_settled(const struct xdp_packet *packet, const struct conntrack_entry *entry)
{
	const __u32 other = CONNTRACK_FLAG_LOCAL | CONNTRACK_FLAG_CLOSING | CONNTRACK_FLAG_FINISHED | CONNTRACK_FLAG_LAST_HOP;
	bool is_tcp = packet->flow.protocol == IPPROTO_TCP, direct = entry->flags & CONNTRACK_FLAG_DIRECT;

	if (!(entry->flags & CONNTRACK_FLAG_ROUTED) || entry->flags & other || entry->last_seen != now_seconds())
		return false;
	if (!(entry->flags & (CONNTRACK_FLAG_SOURCE_NAT | CONNTRACK_FLAG_DESTINATION_NAT)))
		return false;
	/* of a direct flow of datagrams no answer is seen here */
	if (!(entry->flags & CONNTRACK_FLAG_ANSWERED) && (is_tcp || !direct))
		return false;
	/* the first packets of a direct flow carry its frontend */
	return !direct || entry->packets > (is_tcp ? 1 : DSR_TOLD);
}

SEC("xdp")
int xdp_from(struct xdp_md *ctx)
{
	struct xdp_packet packet = {};
	struct conntrack_entry *entry;

	if (xdp_parse(ctx, &packet))
		return XDP_PASS;
	entry = bpf_map_lookup_elem(&conntrack, &packet.flow);
	if (!entry || !is_settled(&packet, entry))
		return XDP_PASS;
	return xdp_forward(ctx, &packet, entry);
}
