/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs of a pod's interface, shared by all pods.
 *
 *   pod ──▶ pod_from (ingress of the host side) ──▶ another pod: redirect_peer
 *                                               ──▶ the wire:    redirect_neigh
 *                                               ──▶ this host:   stack
 *   pod ◀── pod_to (egress of the host side) ◀── stack: what the host itself sends
 */
#include "lib/conntrack.h"
#include "lib/drop.h"
#include "lib/forward.h"
#include "lib/handover.h"
#include "lib/masquerade.h"
#include "lib/packet.h"
#include "lib/reply.h"
#include "lib/route.h"
#include "lib/service.h"
#include "lib/watch.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* 169.254.42.1 and 100::a9fe:2a01 (RFC 6666): who a pod sees when it reaches itself through a service. */
static __always_inline void hairpin_address(struct address *to, __u8 family)
{
	address_from_ipv4(to, bpf_htonl(0xa9fe2a01));
	if (family == 4)
		return;
	to->word[0] = bpf_htonl(0x01000000);
	to->word[2] = 0;
}

static __always_inline bool keeps_address(const struct address *destination)
{
	struct ipcache_key key = {.prefix_length = 128, .address = *destination};
	struct ipcache_entry *known = bpf_map_lookup_elem(&ipcache, &key);

	return known && known->flags & IPCACHE_FLAG_NO_MASQUERADE;
}

/* The uplink's address for this packet's family, or NULL when pods keep theirs. */
static __always_inline const struct address *masquerade_address(struct packet *packet, const struct device *device,
								const struct address *destination)
{
	const struct address *address = packet->family == 4 ? &device->ipv4 : &device->ipv6;

	if (!(packet->family == 4 ? masquerade_ipv4 : masquerade_ipv6))
		return NULL;
	return address_is_zero(address) || keeps_address(destination) ? NULL : address;
}

/* The way of a first packet that leaves this node's pods. */
static __always_inline enum verdict open_route(struct __sk_buff *ctx, struct packet *packet,
					       struct conntrack_entry *entry)
{
	const struct address *address;
	__u32 uplink;
	long found;
	struct device *device = find_uplink(ctx, packet, &entry->destination, &uplink, &found);

	if (!device) {
		/* no route, or no uplink of ours: the stack knows what to do, and may know better for the next packet;
		 * what it must not forget is a translation, and who began to talk to this host */
		if (found != BPF_FIB_LKUP_RET_NOT_FWDED && !(entry->flags & CONNTRACK_FLAG_DESTINATION_NAT))
			return VERDICT_STACK;
	} else {
		entry->flags |= CONNTRACK_FLAG_ROUTED;
		entry->interface_index = uplink;
	}
	address = device ? masquerade_address(packet, device, &entry->destination) : NULL;
	if (address)
		entry->source = *address;
	if (claim_source(packet, entry, CONNTRACK_FLAG_LOCAL, ctx->ifindex))
		return drop(ctx, packet, DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE);
	return VERDICT_NEXT;
}

/* To a pod of this node; to itself under another name, so that the answer comes back here. */
static __always_inline enum verdict open_local(struct __sk_buff *ctx, struct packet *packet,
					       struct conntrack_entry *entry, const struct endpoint *endpoint)
{
	entry->flags |= CONNTRACK_FLAG_LOCAL;
	entry->interface_index = endpoint->interface_index;
	if (entry->interface_index == ctx->ifindex)
		hairpin_address(&entry->source, packet->family);
	if (claim_source(packet, entry, CONNTRACK_FLAG_LOCAL, ctx->ifindex))
		return drop(ctx, packet, DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE);
	return VERDICT_NEXT;
}

/* Leads a first packet of the pod behind `interface_index` to a backend of the service that it is for. VERDICT_NEXT: it has one now, or
 * its destination serves as it is. A stack frame of its own: what follows needs the room. */
__noinline int open_service(struct packet *packet, struct conntrack_entry *entry, __u32 interface_index)
{
	const struct lb_service *found = NULL;
	struct lb_backend *backend;
	struct lb_service service;
	__u32 flags;

	if (!packet || !entry)
		return VERDICT_DROP;
	flags = service_address(&packet->flow.destination);
	if (flags & (LB_ADDRESS_FLAG_INSIDE | LB_ADDRESS_FLAG_NODE | LB_ADDRESS_FLAG_REDIRECT))
		found = service_find(&packet->flow.destination, packet->flow.destination_port, packet->flow.protocol, flags);
	if (!found || !service_inside(&service, found, LB_SKIP_KIND_INTERFACE, interface_index)) {
		if (!(flags & LB_ADDRESS_FLAG_INSIDE))
			return VERDICT_NEXT;
		return is_ping(packet) ? VERDICT_ECHO : VERDICT_REFUSE;
	}
	backend = service_choose(&service, service_choice(&service, &packet->flow), &packet->flow.source, &entry->backend);
	if (!backend)
		return VERDICT_REFUSE;
	entry->service = service.id;
	entry->destination = backend->address;
	entry->destination_port = backend->port;
	entry->flags |= CONNTRACK_FLAG_DESTINATION_NAT;
	return VERDICT_NEXT;
}

/* Decides once for a flow: service, then the way. VERDICT_NEXT: its conntrack entry says what to do. */
__noinline int open_flow(struct __sk_buff *ctx, struct packet *packet)
{
	struct conntrack_entry entry;
	struct endpoint *endpoint;
	int verdict;

	if (!packet)
		return VERDICT_DROP;
	conntrack_begin(&entry, packet);
	verdict = open_service(packet, &entry, ctx->ifindex);
	if (verdict != VERDICT_NEXT)
		return verdict;
	endpoint = bpf_map_lookup_elem(&endpoints, &entry.destination);
	return endpoint ? open_local(ctx, packet, &entry, endpoint) : open_route(ctx, packet, &entry);
}

/* The id of the service that the sender's socket is connected to, if it was translated before there was a packet; 0: it means the backend. */
__noinline int service_meant(struct __sk_buff *ctx, struct packet *packet)
{
	struct sock_reverse_key key = {.cookie = bpf_get_socket_cookie(ctx)};
	struct lb_service *service;
	struct sock_reverse *meant;

	if (!packet || !key.cookie)
		return 0;
	key.address = packet->flow.destination;
	key.port = packet->flow.destination_port;
	meant = bpf_map_lookup_elem(&sock_reverse, &key);
	if (!meant)
		return 0;
	service = service_find(&meant->address, meant->port, packet->protocol, service_address(&meant->address));
	return service ? service->id : 0;
}

static __always_inline bool is_neighbour_discovery(const struct packet *packet)
{
	return packet->family == 6 && packet->protocol == IPPROTO_ICMPV6 && packet->icmp_type >= 133 && packet->icmp_type <= 137;
}

/* Whether an address belongs to the pod that sends. */
static __always_inline bool owns(const struct endpoint *endpoint, const struct __sk_buff *ctx)
{
	return endpoint && endpoint->interface_index == ctx->ifindex;
}

/* Whether the frame comes from the pod's own link address: what sits behind it with another is not the pod. After parse(). */
static __always_inline bool has_own_mac(const struct endpoint *endpoint, const struct __sk_buff *ctx)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;
	__u8 other = 0;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return false;
	for (int i = 0; i < ETH_ALEN; i++)
		other |= eth->h_source[i] ^ endpoint->mac[i];
	return !other;
}

SEC("tc")
int pod_from(struct __sk_buff *ctx)
{
	struct packet packet = {.hook = HOOK_POD_FROM};
	struct conntrack_entry *entry;
	struct endpoint *sender;
	int verdict;

	switch (parse(ctx, &packet)) {
	case PARSED:
		break;
	case PARSED_ARP:
		return answer_arp(ctx, &packet);
	case PARSED_NOT_IP:
		return drop(ctx, &packet, DROP_REASON_UNSUPPORTED_L3_PROTOCOL);
	case PARSED_FRAGMENT_UNKNOWN:
		return drop(ctx, &packet, DROP_REASON_FIRST_FRAGMENT_NOT_FOUND);
	default:
		return drop(ctx, &packet, DROP_REASON_INVALID_PACKET);
	}
	sender = bpf_map_lookup_elem(&endpoints, &packet.sender);
	if (is_neighbour_discovery(&packet)) {
		if (packet.icmp_type == 135)
			return answer_neighbour(ctx, &packet);
		if (packet.icmp_type == 136) /* the host asked for the pod; a hop limit of 255 has crossed no router (RFC 4861) */
			return packet.ttl == 255 && (owns(sender, ctx) || address_is_link_local(&packet.sender))
				       ? VERDICT_STACK
				       : drop(ctx, &packet, DROP_REASON_INVALID_SOURCE_IP);
		return drop(ctx, &packet, DROP_REASON_FORBIDDEN_ICMPV6_MESSAGE); /* a pod is no router */
	}
	if (address_is_multicast(&packet.flow.destination, packet.family))
		return drop(ctx, &packet, DROP_REASON_MULTICAST_HANDLED);
	if (!owns(sender, ctx))
		return drop(ctx, &packet, DROP_REASON_INVALID_SOURCE_IP);
	if (!has_own_mac(sender, ctx))
		return drop(ctx, &packet, DROP_REASON_INVALID_SOURCE_MAC);
	entry = conntrack_find(&packet);
	if (entry) {
		conntrack_count(entry, &packet);
		return forward(ctx, &packet, entry, false);
	}
	if (packet.error_l3)
		return drop(ctx, &packet, DROP_REASON_STALE_OR_UNROUTABLE_IP);
	if (awaits_handover(&packet))
		return drop(ctx, &packet, DROP_REASON_UNKNOWN_CONNECTION_TRACKING_STATE);
	verdict = open_flow(ctx, &packet);
	if (verdict == VERDICT_REFUSE)
		return refuse(ctx, &packet);
	if (verdict == VERDICT_ECHO)
		return answer_echo(ctx, &packet);
	if (verdict != VERDICT_NEXT)
		return verdict;
	entry = bpf_map_lookup_elem(&conntrack, &packet.flow);
	if (!entry)
		return drop(ctx, &packet, DROP_REASON_CT_MAP_INSERTION_FAILED);
	if (watch_flows && !entry->service)
		entry->meant = service_meant(ctx, &packet);
	return forward(ctx, &packet, entry, false);
}

SEC("tc")
int pod_to(struct __sk_buff *ctx)
{
	struct packet packet = {.hook = HOOK_POD_TO};
	struct conntrack_entry *entry, fresh;

	if (parse(ctx, &packet) != PARSED || is_neighbour_discovery(&packet) ||
	    address_is_multicast(&packet.flow.destination, packet.family))
		return VERDICT_STACK;
	entry = conntrack_find(&packet);
	if (entry) {
		conntrack_count(entry, &packet);
		watch(ctx, &packet, entry);
		if (conntrack_translate(ctx, &packet, entry))
			return drop(ctx, &packet, DROP_REASON_ERROR_WRITING_TO_PACKET);
	} else if (!packet.error_l3) {
		conntrack_begin(&fresh, &packet);
		if (conntrack_open(&packet, &fresh, 0, 0))
			return drop(ctx, &packet, DROP_REASON_CT_MAP_INSERTION_FAILED);
		entry = watch_flows ? bpf_map_lookup_elem(&conntrack, &packet.flow) : NULL;
		if (entry)
			watch(ctx, &packet, entry);
	}
	return VERDICT_STACK;
}
