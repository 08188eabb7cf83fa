/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a service address to a backend. */
#ifndef STENTOR_SERVICE_H
#define STENTOR_SERVICE_H

#include "packet.h"

static __always_inline struct lb_service *service_find(const struct address *address, __be16 port, __u8 protocol)
{
	struct lb_frontend key = {.address = *address, .port = port, .protocol = protocol};

	return bpf_map_lookup_elem(&lb_services, &key);
}

static __always_inline bool service_owns(const struct address *address)
{
	return bpf_map_lookup_elem(&lb_addresses, address) != NULL;
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

#endif
