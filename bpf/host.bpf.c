/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of an uplink.
 *
 *   wire ──▶ host_from (ingress) ──▶ a pod of this node, or the stack
 *                                ──▶ the wire again: to the backend of another node, and its answer to the client
 *   wire ◀── host_to (egress)    ◀── what the host itself sends (what pods send was seen to by pod_from)
 */
#include "lib/announce.h"
#include "lib/conntrack.h"
#include "lib/drop.h"
#include "lib/forward.h"
#include "lib/handover.h"
#include "lib/lasthop.h"
#include "lib/masquerade.h"
#include "lib/packet.h"
#include "lib/reply.h"
#include "lib/route.h"
#include "lib/service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* To the backend of another node, which answers the client itself if it can be told so (`direct`), or under an address of this node,
 * so that the answer comes back here; or to this node itself. */
static __always_inline enum verdict open_remote(struct __sk_buff *ctx, struct packet *packet, struct conntrack_entry *entry, bool direct)
{
	__u32 uplink;
	long found;
	struct device *device = find_uplink(ctx, packet, &entry->destination, &uplink, &found);

	if (!device)
		return found == BPF_FIB_LKUP_RET_NOT_FWDED ? VERDICT_NEXT : drop(ctx, packet, DROP_REASON_FIB_LOOKUP_FAILED);
	entry->interface_index = uplink;
	/* on another segment than the client's the backend's node need not reach it */
	if (direct && uplink == ctx->ifindex && dsr_room(ctx, packet, &entry->destination, uplink)) {
		entry->flags |= CONNTRACK_FLAG_ROUTED | CONNTRACK_FLAG_DIRECT;
		if (!claim_as_it_is(packet, entry, CONNTRACK_FLAG_ROUTED, ctx->ifindex))
			return VERDICT_NEXT;
		entry->flags &= ~CONNTRACK_FLAG_DIRECT;
	}
	entry->flags |= CONNTRACK_FLAG_ROUTED;
	entry->source = packet->family == 4 ? device->ipv4 : device->ipv6;
	if (address_is_zero(&entry->source))
		return drop(ctx, packet, DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE);
	return VERDICT_NEXT;
}

/* Whether another node may answer: not to clients inside the cluster, and not in the name of an address of this node that other nodes do
 * not know as one. */
__noinline int may_be_direct(struct packet *packet, __u32 flags)
{
	if (!packet || is_inside(&packet->flow.source))
		return 0;
	return !(flags & LB_ADDRESS_FLAG_NODE) || is_inside(&packet->flow.destination);
}

/* Whether a service has `packet->frontend`, and its answers may be another node's: nobody else's word is taken. Node ports are at the
 * addresses of all nodes. */
__noinline int is_direct_frontend(struct packet *packet)
{
	struct lb_service *service;
	__u32 flags = 0;

	if (!packet)
		return 0;
	if (is_inside(&packet->frontend))
		flags = LB_ADDRESS_FLAG_NODE;
	service = service_find(&packet->frontend, packet->frontend_port, packet->protocol, flags);
	return service && service->flags & LB_SERVICE_FLAG_DSR;
}

/* Decides once for a flow from the wire: service, then the way there and back. VERDICT_NEXT: its conntrack entry says what to do. */
__noinline int open_flow(struct __sk_buff *ctx, struct packet *packet)
{
	const struct flow *flow = &packet->flow;
	const struct lb_service *service = NULL;
	struct conntrack_entry entry;
	struct endpoint *endpoint;
	bool direct = false, delegate = false;
	__u32 flags;

	if (!packet)
		return VERDICT_DROP;
	conntrack_begin(&entry, packet);
	if (packet->frontend_port)
		entry.flags |= CONNTRACK_FLAG_DIRECT;
	flags = packet->frontend_port ? 0 : service_address(&flow->destination);
	if (flags & (LB_ADDRESS_FLAG_OUTSIDE | LB_ADDRESS_FLAG_NODE))
		service = service_find(&flow->destination, flow->destination_port, flow->protocol, flags);
	if (service && service->outside) {
		struct lb_service outside;
		struct lb_backend *backend;

		if (!service_admits(service, &flow->source))
			return drop(ctx, packet, DROP_REASON_DENIED_BY_LB_SRC_RANGE_CHECK);
		service_outside(&outside, service);
		backend = service_choose(&outside, service_choice(&outside, flow), &flow->source, &entry.backend);
		if (!backend)
			return VERDICT_REFUSE;
		delegate = service->flags & LB_SERVICE_FLAG_DELEGATE;
		direct = service->flags & LB_SERVICE_FLAG_DSR && may_be_direct(packet, flags);
		entry.service = outside.id;
		entry.destination = backend->address;
		entry.destination_port = backend->port;
		entry.flags |= CONNTRACK_FLAG_DESTINATION_NAT;
	} else if (flags & LB_ADDRESS_FLAG_OUTSIDE) {
		if (!address_admits(&flow->destination, &flow->source))
			return drop(ctx, packet, DROP_REASON_DENIED_BY_LB_SRC_RANGE_CHECK);
		return is_ping(packet) ? VERDICT_ECHO : VERDICT_REFUSE;
	} else if (flags & LB_ADDRESS_FLAG_INSIDE) {
		return drop(ctx, packet, DROP_REASON_IS_A_CLUSTERIP);
	}
	endpoint = bpf_map_lookup_elem(&endpoints, &entry.destination);
	if (endpoint) {
		entry.flags |= CONNTRACK_FLAG_LOCAL;
		entry.interface_index = endpoint->interface_index;
	} else if (entry.backend) {
		int verdict = open_remote(ctx, packet, &entry, direct);

		if (verdict == VERDICT_NEXT && delegate && !(entry.flags & CONNTRACK_FLAG_ROUTED))
			return VERDICT_STACK; /* each packet of the flow comes here again, and is led to the same backend */

		if (verdict != VERDICT_NEXT || entry.flags & CONNTRACK_FLAG_DIRECT)
			return verdict; /* what is direct has been claimed */
	} else if (!packet->frontend_port) {
		return VERDICT_STACK;
	}
	if (!packet->frontend_port)
		entry.flags |= last_hop_flag(ctx, packet);
	if (claim_source(packet, &entry, CONNTRACK_FLAG_ROUTED, ctx->ifindex))
		return drop(ctx, packet, DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE);
	return VERDICT_NEXT;
}

/* For what comes to this host itself: if its answers would leave by another uplink, both entries of its flow send them back by this
 * one. They change nothing else. */
__noinline int open_host(struct __sk_buff *ctx, struct packet *packet)
{
	struct conntrack_entry entry;
	bool opens;
	int way;

	if (!packet || packet->error_l3 || !packet->l4 || address_is_link_local(&packet->flow.source))
		return 0;
	opens = packet->protocol == IPPROTO_TCP ? (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN
						: packet->protocol == IPPROTO_UDP || is_ping(packet);
	if (!opens || !has_other_uplinks(ctx))
		return 0;
	way = way_back(ctx, packet, 0);
	if ((__u32)way == ctx->ifindex)
		return 0;
	conntrack_begin(&entry, packet);
	entry.flags |= last_hop_flag(ctx, packet);
	return claim_as_it_is(packet, &entry, CONNTRACK_FLAG_ROUTED, ctx->ifindex);
}

#define SERVICE_ADDRESS (LB_ADDRESS_FLAG_INSIDE | LB_ADDRESS_FLAG_OUTSIDE)

/* Whether the stack would only send it back to the wire, or past what a pod is due. */
static __always_inline bool is_foreign_to_stack(const struct address *destination)
{
	return service_address(destination) & SERVICE_ADDRESS || bpf_map_lookup_elem(&endpoints, destination);
}

SEC("tc")
int host_from(struct __sk_buff *ctx)
{
	struct packet packet = {.hook = HOOK_HOST_FROM};
	struct conntrack_entry *entry;
	int result;

	if (ctx->protocol == bpf_htons(ETH_P_ARP))
		return announce_arp(ctx);
	if (ctx->protocol == bpf_htons(ETH_P_STENTOR))
		return hear_beat(ctx);
	/* frames for others are flooded here too; of those for many, solicitations matter */
	if (ctx->pkt_type != PACKET_HOST && !(ctx->pkt_type == PACKET_MULTICAST && ctx->protocol == bpf_htons(ETH_P_IPV6)))
		return VERDICT_STACK;
	result = parse(ctx, &packet);
	if (result == PARSED && packet.protocol == IPPROTO_ICMPV6 && (packet.icmp_type == 135 || packet.icmp_type == 136))
		return announce_neighbour(ctx, &packet);
	if (ctx->pkt_type != PACKET_HOST)
		return VERDICT_STACK;
	if (result != PARSED && result != PARSED_FRAGMENT_UNKNOWN)
		return VERDICT_STACK;
	if (result == PARSED_FRAGMENT_UNKNOWN) {
		if (is_foreign_to_stack(&packet.flow.destination))
			return drop(ctx, &packet, DROP_REASON_FIRST_FRAGMENT_NOT_FOUND);
		return VERDICT_STACK;
	}
	result = is_for_geneve(&packet) ? geneve_take(ctx, &packet) : 0;
	if (result < 0 || (!result && may_carry_frontend(&packet) && dsr_take(ctx, &packet)))
		return drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	if (result && parse(ctx, &packet) != PARSED)
		return drop(ctx, &packet, DROP_REASON_INVALID_PACKET);
	if (packet.frontend_port && is_option_probe(&packet) && address_equal(&packet.frontend, &packet.flow.destination))
		return option_probe_arrived(ctx, &packet) ? drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET) : VERDICT_STACK;
	entry = conntrack_find(&packet);
	if (entry && (!packet.frontend_port || conntrack_answers_for(&packet, entry))) {
		conntrack_count(entry, &packet);
		if ((entry->flags & (CONNTRACK_FLAG_LAST_HOP | CONNTRACK_FLAG_REPLY)) == CONNTRACK_FLAG_LAST_HOP)
			last_hop_learn(ctx, &packet);
		return forward(ctx, &packet, entry, true);
	}
	if (packet.frontend_port && !is_direct_frontend(&packet))
		return drop(ctx, &packet, DROP_REASON_SERVICE_BACKEND_NOT_FOUND);
	if (packet.error_l3)
		return service_address(&packet.flow.destination) & SERVICE_ADDRESS
			       ? drop(ctx, &packet, DROP_REASON_STALE_OR_UNROUTABLE_IP)
			       : VERDICT_STACK;
	if (is_answer_to_knock(&packet) && hear_answer(&packet))
		return VERDICT_DROP; /* heard, and nobody else's */
	if (awaits_handover(&packet) && !has_socket(ctx, &packet))
		return drop(ctx, &packet, DROP_REASON_UNKNOWN_CONNECTION_TRACKING_STATE);
	result = open_flow(ctx, &packet);
	if (result == VERDICT_REFUSE)
		return refuse(ctx, &packet);
	if (result == VERDICT_ECHO)
		return answer_echo(ctx, &packet);
	if (result == VERDICT_STACK)
		open_host(ctx, &packet); /* without entries the answers go as the node's routes say */
	if (result != VERDICT_NEXT)
		return result;
	entry = bpf_map_lookup_elem(&conntrack, &packet.flow);
	return entry ? forward(ctx, &packet, entry, true) : drop(ctx, &packet, DROP_REASON_CT_MAP_INSERTION_FAILED);
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
	if (is_ping(packet))
		return answer_echo(ctx, packet);
	if (service_find(&packet->flow.destination, packet->flow.destination_port, packet->flow.protocol, 0))
		return drop(ctx, packet, DROP_REASON_SERVICE_BACKEND_NOT_FOUND);
	return refuse(ctx, packet);
}

/* By the uplink that the client came in by, whatever the node's routes prefer. */
static __always_inline enum verdict leave(struct __sk_buff *ctx, struct conntrack_entry *entry)
{
	__u32 uplink = entry->interface_index;

	if (!(entry->flags & CONNTRACK_FLAG_ROUTED) || uplink == ctx->ifindex)
		return VERDICT_STACK;
	return leave_by(ctx, entry);
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
	if (!device || parse(ctx, &packet) != PARSED)
		return VERDICT_STACK;
	if (is_option_probe(&packet) && packet.flow.source_port == packet.flow.destination_port)
		return option_probe_send(ctx, &packet) ? drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET) : VERDICT_STACK;
	if (!packet.error_l3 && service_address(&packet.flow.destination) & LB_ADDRESS_FLAG_INSIDE)
		return answer_node(ctx, &packet);
	entry = conntrack_find(&packet);
	if (entry) {
		conntrack_count(entry, &packet);
	} else if (packet.error_l3 || !shares_nat_range(&packet, device)) {
		return VERDICT_STACK;
	} else {
		conntrack_begin(&fresh, &packet);
		if (claim_source(&packet, &fresh, 0, 0))
			return drop(ctx, &packet, DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE);
		entry = &fresh;
	}
	if (conntrack_translate(ctx, &packet, entry))
		return drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	return leave(ctx, entry);
}
