/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a service address to a backend. */
#ifndef STENTOR_SERVICE_H
#define STENTOR_SERVICE_H

#include "../config.h"
#include "packet.h"

/* LB_ADDRESS_FLAG_*; 0: neither a service's address nor this node's. */
static __always_inline __u32 service_address(const struct address *address)
{
	struct lb_address *known = bpf_map_lookup_elem(&lb_addresses, address);

	return known ? known->flags : 0;
}

/* The service at `address`, whose flags are `flags`. A node's own address has its own frontends and those of every node address. */
static __always_inline struct lb_service *service_find(const struct address *address, __be16 port, __u8 protocol, __u32 flags)
{
	struct lb_frontend key = {.address = *address, .port = port, .protocol = protocol};
	struct lb_service *found = bpf_map_lookup_elem(&lb_services, &key);

	if (found || !(flags & LB_ADDRESS_FLAG_NODE))
		return found;
	if (address_is_ipv4(address))
		key.address.word[3] = 0;
	else
		__builtin_memset(&key.address, 0, sizeof(key.address));
	return bpf_map_lookup_elem(&lb_services, &key);
}

/* A service as clients on the wire have it. */
static __always_inline void service_outside(struct lb_service *to, const struct lb_service *service)
{
	*to = *service;
	to->id = service->outside;
	to->backends = service->outside_backends;
}

/* Whether loadBalancerSourceRanges lets a client on the wire in. */
__noinline int service_admits(const struct lb_service *service, const struct address *client)
{
	struct lb_source_range key = {.prefix_length = 160};

	if (!service || !client)
		return 0;
	if (!(service->flags & LB_SERVICE_FLAG_SOURCE_RANGES))
		return 1;
	key.service = service->outside;
	key.address = *client;
	return !bpf_map_lookup_elem(&lb_source_ranges, &key) == !!(service->flags & LB_SERVICE_FLAG_SOURCE_RANGES_DENY);
}

/* Whether an address answers a client on the wire of its own accord, which says that it lives: those whom some service there lets in.
 * With no guards all services there do. */
__noinline int address_admits(const struct address *address, const struct address *client)
{
	struct lb_source_range key = {.prefix_length = 160};
	struct lb_address *known;
	bool guarded = false;

	if (!address || !client)
		return 0;
	known = bpf_map_lookup_elem(&lb_addresses, address);
	if (!known)
		return 0;
	key.address = *client;
	for (int i = 0; i < LB_ADDRESS_GUARDS; i++) {
		key.service = known->guards[i];
		if (!key.service)
			continue;
		guarded = true;
		if (!bpf_map_lookup_elem(&lb_source_ranges, &key) == !!(known->flags & LB_ADDRESS_FLAG_DENY << i))
			return 1;
	}
	return !guarded;
}

/* A service as a client inside the cluster has it. False: to that one the address is not a service's. */
static __always_inline bool service_inside(struct lb_service *to, const struct lb_service *service, enum lb_skip_kind kind,
					   __u64 client)
{
	struct lb_skip key = {.cookie = client, .kind = kind, .service = service->redirect};

	*to = *service;
	if (service->redirect_backends && !bpf_map_lookup_elem(&lb_skips, &key)) {
		to->id = service->redirect;
		to->backends = service->redirect_backends;
	}
	return to->id;
}

/* The same number for every packet of a flow. A flow that conntrack has lost finds its backend again by it. */
static __always_inline __u32 flow_hash(const struct flow *flow)
{
	__u64 hash = flow->protocol;

	for (int i = 0; i < 4; i++)
		hash = (hash ^ flow->source.word[i]) * 0x9e3779b97f4a7c15;
	for (int i = 0; i < 4; i++)
		hash = (hash ^ flow->destination.word[i]) * 0x9e3779b97f4a7c15;
	hash = (hash ^ (__u32)flow->source_port << 16 ^ flow->destination_port) * 0x9e3779b97f4a7c15;
	return hash >> 32;
}

static __always_inline __u64 mixed_address(__u64 hash, const struct address *address)
{
	for (int i = 0; i < 4; i++) {
		hash = (hash ^ address->word[i]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash;
}

/* Where a flow is in the Maglev table of its service: the same on every node. A node port is one frontend at every node. A client that
 * is to keep its backend is there whatever its port. */
__noinline __u32 maglev_hash(const struct lb_service *service, const struct flow *flow)
{
	__u64 hash;

	if (!service || !flow)
		return 0;
	hash = mixed_address((__u64)maglev_seed << 8 | flow->protocol, &flow->source);
	if (!(service->flags & LB_SERVICE_FLAG_NODE_PORT))
		hash = mixed_address(hash, &flow->destination);
	hash = (hash ^ flow->destination_port) * 0x9e3779b97f4a7c15;
	hash ^= hash >> 32;
	if (service->flags & LB_SERVICE_FLAG_MAGLEV_FLOW && !service->affinity)
		hash ^= flow->source_port;
	hash *= 0x9e3779b97f4a7c15;
	return hash >> 32;
}

/* What service_choose() picks a backend of a packet's flow by. */
static __always_inline __u32 service_choice(const struct lb_service *service, const struct flow *flow)
{
	return service->flags & LB_SERVICE_FLAG_MAGLEV ? maglev_hash(service, flow) : flow_hash(flow);
}

/* The backend in slot `choice` modulo the number of slots; its id in `*id`. A slot that is just being moved is tried once
 * more. NULL: the service has none. */
static __always_inline struct lb_backend *service_backend(const struct lb_service *service, __u32 choice, __u32 *id)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		__u32 backends = service->backends;
		struct lb_slot slot = {.service = service->id};
		struct lb_slot_value *value;
		struct lb_backend *backend;
		struct lb_backend_key key;

		if (!backends)
			return NULL;
		slot.slot = (choice + attempt) % backends;
		value = bpf_map_lookup_elem(&lb_slots, &slot);
		if (!value)
			continue;
		key.id = value->backend;
		backend = bpf_map_lookup_elem(&lb_backends, &key);
		if (backend) {
			*id = key.id;
			return backend;
		}
	}
	return NULL;
}

union maglev_word {
	struct lb_maglev table;
	__u64 word;
};

/* The id of the backend at `choice` in a service's Maglev table. 0: it has none, which is so with one backend; a table that is just
 * being replaced is tried once more. */
static __always_inline __u32 maglev_backend(__u32 service, __u32 choice)
{
	struct lb_maglev_key of = {.service = service};

	for (int attempt = 0; attempt < 2; attempt++) {
		struct lb_maglev_part_key key = {.service = service};
		struct lb_maglev *table = bpf_map_lookup_elem(&lb_maglev, &of);
		union maglev_word seen;
		struct lb_maglev_part *part;

		if (!table)
			return 0;
		seen.word = *(volatile __u64 *)table; /* both of one table */
		if (!seen.table.size)
			return 0;
		choice %= seen.table.size;
		key.generation = seen.table.generation;
		key.part = choice / LB_MAGLEV_PART;
		part = bpf_map_lookup_elem(&lb_maglev_parts, &key);
		if (part)
			return *(__u32 *)(part->backends + 4 * (choice % LB_MAGLEV_PART));
	}
	return 0;
}

/* The id of a backend for `choice`, 0: the service has none. One of a Maglev table may be gone since. */
__noinline __u32 service_pick(const struct lb_service *service, __u32 choice)
{
	__u32 id = 0;

	if (!service)
		return 0;
	if (service->flags & LB_SERVICE_FLAG_MAGLEV)
		id = maglev_backend(service->id, choice);
	return id || service_backend(service, choice, &id) ? id : 0;
}

/* LB_MEMBER_STATE_*, 0: the backend is none of the service's, or nobody keeps count. */
static __always_inline __u32 service_member(__u32 service, __u32 backend)
{
	struct lb_member key = {.service = service, .backend = backend};
	struct lb_member_value *member = bpf_map_lookup_elem(&lb_members, &key);

	return member ? member->state : 0;
}

union affinity_word {
	struct lb_affinity affinity;
	__u64 word;
};

/* Whether a client may go on with the backend that it has; if so its time begins anew. */
static __always_inline bool service_holds(const struct lb_service *service, struct lb_affinity *held, __u32 now)
{
	__s32 idle = now - held->last_used; /* below zero: another CPU looked at the clock later */

	if (idle >= (__s32)service->affinity || service_member(service->id, held->backend) != LB_MEMBER_STATE_ACTIVE)
		return false;
	if (idle > 0)
		held->last_used = now;
	return true;
}

/* The id of the backend that `client` of a service with session affinity has, or gets now: `backend`. Of two
 * connections that come first at once, both get what one of them has written. 0: the service has no backend. It
 * does not pick one itself: the stack of its callers has no room for two frames more. */
__noinline __u32 service_affine_backend(const struct lb_service *service, __u32 backend, const struct address *client)
{
	__u32 now = bpf_ktime_get_coarse_ns() / 1000000000;
	struct lb_client key = {};

	if (!service || !client)
		return 0;
	key.address = *client;
	key.service = service->id;
	for (int attempt = 0; attempt < 2; attempt++) {
		struct lb_affinity *held = bpf_map_lookup_elem(&lb_affinities, &key);
		union affinity_word seen = {}, fresh = {};

		if (held) {
			seen.word = *(volatile __u64 *)held;
			if (service_holds(service, held, now))
				return seen.affinity.backend;
		}
		if (!backend)
			return 0;
		fresh.affinity.backend = backend;
		fresh.affinity.last_used = now;
		if (held ? __sync_val_compare_and_swap((__u64 *)held, seen.word, fresh.word) == seen.word
			 : !bpf_map_update_elem(&lb_affinities, &key, &fresh.affinity, BPF_NOEXIST))
			return backend;
	}
	return backend;
}

/* The backend for a new connection of `client`; its id in `*id`. NULL: the service has none. */
static __always_inline struct lb_backend *service_choose(const struct lb_service *service, __u32 choice,
							 const struct address *client, __u32 *id)
{
	struct lb_backend_key key;
	struct lb_backend *backend;

	if (!service->affinity && !(service->flags & LB_SERVICE_FLAG_MAGLEV))
		return service_backend(service, choice, id);
	key.id = service_pick(service, choice);
	if (service->affinity)
		key.id = service_affine_backend(service, key.id, client);
	*id = key.id;
	backend = bpf_map_lookup_elem(&lb_backends, &key);
	return backend ? backend : service_backend(service, choice, id);
}

#endif
