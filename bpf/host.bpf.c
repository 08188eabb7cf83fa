/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of an uplink.
 *
 *   wire ──▶ host_from (ingress) ──▶ a pod of this node, or the stack
 *   wire ◀── host_to (egress)    ◀── what the host itself sends (what pods send was seen to by pod_from)
 */
#include "lib/conntrack.h"
#include "lib/drop.h"
#include "lib/forward.h"
#include "lib/masquerade.h"
#include "lib/packet.h"
#include "lib/reply.h"
#include "lib/service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* First packet of a flow from the wire to a pod. Its reply leaves by the uplink that this one came in by. */
static __always_inline enum verdict open_inbound(struct __sk_buff *ctx, struct packet *packet,
						 struct conntrack_entry *entry, const struct endpoint *endpoint)
{
	conntrack_begin(entry, packet);
	entry->flags = CONNTRACK_FLAG_LOCAL;
	entry->interface_index = endpoint->interface_index;
	if (conntrack_open(packet, entry, CONNTRACK_FLAG_ROUTED, ctx->ifindex))
		return drop(ctx, packet, DROP_REASON_CT_MAP_INSERTION_FAILED);
	return forward(ctx, packet, entry);
}

SEC("tc")
int host_from(struct __sk_buff *ctx)
{
	struct packet packet = {.hook = HOOK_HOST_FROM};
	struct conntrack_entry *entry, fresh;
	struct endpoint *endpoint;
	int parsed;

	if (ctx->pkt_type != 0) /* PACKET_HOST: frames for others are flooded here too */
		return VERDICT_STACK;
	parsed = parse(ctx, &packet);
	if (parsed != PARSED && parsed != PARSED_FRAGMENT_UNKNOWN)
		return VERDICT_STACK;
	if (parsed == PARSED_FRAGMENT_UNKNOWN) {
		if (bpf_map_lookup_elem(&endpoints, &packet.flow.destination))
			return drop(ctx, &packet, DROP_REASON_FIRST_FRAGMENT_NOT_FOUND);
		return VERDICT_STACK;
	}
	entry = conntrack_find(&packet);
	if (entry) {
		conntrack_count(entry, &packet);
		return forward(ctx, &packet, entry);
	}
	if (service_owns(&packet.flow.destination))
		return drop(ctx, &packet, DROP_REASON_IS_A_CLUSTERIP);
	endpoint = packet.error_l3 ? NULL : bpf_map_lookup_elem(&endpoints, &packet.flow.destination);
	return endpoint ? open_inbound(ctx, &packet, &fresh, endpoint) : VERDICT_STACK;
}

/* Whether the node's own packet could be mistaken for a masqueraded one. */
static __always_inline bool shares_nat_range(const struct packet *packet, const struct device *device)
{
	const struct address *address = packet->family == 4 ? &device->ipv4 : &device->ipv6;

	if (!address_equal(&packet->flow.source, address) || !has_movable_port(packet))
		return false;
	return is_icmp(packet->protocol) || in_nat_range(packet->flow.source_port);
}

/* What the socket programs let pass: a ping, a datagram to a port that nobody serves, and what a process sends that they do not
 * see, which is not served. */
static __always_inline enum verdict answer_node(struct __sk_buff *ctx, struct packet *packet)
{
	if (is_icmp(packet->protocol) && icmp_is_echo_request(packet->protocol, packet->icmp_type) && packet->l4)
		return answer_echo(ctx, packet);
	if (service_find(&packet->flow.destination, packet->flow.destination_port, packet->flow.protocol))
		return drop(ctx, packet, DROP_REASON_SERVICE_BACKEND_NOT_FOUND);
	return refuse(ctx, packet);
}

SEC("tc")
int host_to(struct __sk_buff *ctx)
{
	struct packet packet = {.hook = HOOK_HOST_TO};
	struct conntrack_entry *entry, fresh;
	__u32 uplink = ctx->ifindex;
	struct device *device;

	if ((ctx->mark & MARK_MASK) == MARK_HANDLED)
		return VERDICT_STACK;
	device = bpf_map_lookup_elem(&devices, &uplink);
	if (!device || parse(ctx, &packet) != PARSED || packet.error_l3)
		return VERDICT_STACK;
	if (service_owns(&packet.flow.destination))
		return answer_node(ctx, &packet);
	if (!shares_nat_range(&packet, device))
		return VERDICT_STACK;
	entry = conntrack_find(&packet);
	if (entry) {
		conntrack_count(entry, &packet);
	} else {
		conntrack_begin(&fresh, &packet);
		if (claim_source(&packet, &fresh, 0, 0))
			return drop(ctx, &packet, DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE);
		entry = &fresh;
	}
	if (conntrack_translate(ctx, &packet, entry))
		return drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return VERDICT_STACK;
}
