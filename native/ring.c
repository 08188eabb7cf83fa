/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of a BPF ring buffer (kernel/bpf/ringbuf.c):
 *
 *	descriptor offset  0          1 page       2 pages
 *	                   │ consumer │ producer │ data ……… │ the same data again │
 *	                   read-write   read-only
 *
 * Records are 8-byte aligned and begin with a 4-byte length, whose two upper bits say "still being written"
 * and "discarded", and 4 bytes of no use here. Because the data is mapped twice, no record is ever split.
 * Records go to the caller's buffer, each as its length in 4 bytes of host order and its payload, with
 * nothing in between.
 *
 * The reader is paced by its caller: programs submit with BPF_RB_NO_WAKEUP.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct ring {
	struct handle handle;
	size_t page;
	uint64_t size; /* of the data: a power of two */
	_Atomic uint64_t *consumer;
	const _Atomic uint64_t *producer;
	const char *data;
};

static void ring_release(struct handle *self)
{
	struct ring *ring = (struct ring *)self;

	if (ring->consumer)
		munmap((void *)ring->consumer, ring->page);
	if (ring->producer)
		munmap((void *)ring->producer, ring->page + 2 * ring->size);
	if (self->fd >= 0)
		close(self->fd);
}

napi_value ring_open(napi_env env, napi_callback_info info)
{
	void *consumer, *producer;
	struct ring *ring;
	napi_value argv[1];
	struct map *map;

	if (!get_arguments(env, info, 1, argv) || !get_map(env, argv[0], &map))
		return NULL;
	if (map->type != BPF_MAP_TYPE_RINGBUF)
		return throw_type(env, "Wanted a ring buffer, got map %s of type %u", map->handle.name,
				  map->type);
	ring = handle_new(env, HANDLE_RING, sizeof(*ring), map->handle.name);
	if (!ring)
		return NULL;
	ring->handle.release = ring_release;
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	ring->size = map->max_entries;
	ring->handle.fd = fcntl(map->handle.fd, F_DUPFD_CLOEXEC, 3);
	if (ring->handle.fd < 0) {
		throw_errno(env, errno, "fcntl(F_DUPFD_CLOEXEC)", ring->handle.name);
		handle_drop(&ring->handle);
		return NULL;
	}
	consumer = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, ring->handle.fd, 0);
	if (consumer != MAP_FAILED)
		ring->consumer = consumer;
	producer = mmap(NULL, ring->page + 2 * ring->size, PROT_READ, MAP_SHARED, ring->handle.fd,
			(off_t)ring->page);
	if (producer != MAP_FAILED)
		ring->producer = producer;
	if (!ring->consumer || !ring->producer) {
		throw_errno(env, errno, "mmap", ring->handle.name);
		handle_drop(&ring->handle);
		return NULL;
	}
	ring->data = (const char *)producer + ring->page;
	return handle_wrap(env, &ring->handle);
}

struct drained {
	size_t bytes;
	uint32_t records;
	uint32_t discarded;
	uint32_t too_long; /* length of a record that does not even fit an empty buffer, or 0 */
};

static struct drained drain(struct ring *ring, char *into, size_t room)
{
	/* Nobody else writes the consumer's position. The producer's is acquired before its records. */
	uint64_t at = atomic_load_explicit(ring->consumer, memory_order_relaxed);
	uint64_t end = atomic_load_explicit(ring->producer, memory_order_acquire);
	struct drained drained = {};

	while (at < end) {
		const char *record = ring->data + (at & (ring->size - 1));
		uint32_t header =
		    atomic_load_explicit((const _Atomic uint32_t *)record, memory_order_acquire);
		uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (header & BPF_RINGBUF_DISCARD_BIT) {
			drained.discarded++;
		} else if (sizeof(length) + length <= room - drained.bytes) {
			memcpy(into + drained.bytes, &length, sizeof(length));
			memcpy(into + drained.bytes + sizeof(length), record + BPF_RINGBUF_HDR_SZ, length);
			drained.bytes += sizeof(length) + length;
			drained.records++;
		} else {
			drained.too_long = drained.bytes ? 0 : length;
			break;
		}
		at += (length + BPF_RINGBUF_HDR_SZ + 7) & ~7ull;
	}
	atomic_store_explicit(ring->consumer, at,
			      memory_order_release); /* the kernel may overwrite what is before it */
	return drained;
}

napi_value ring_drain(napi_env env, napi_callback_info info)
{
	napi_value argv[2], result;
	struct drained drained;
	struct bytes into;
	struct ring *ring;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_RING, &ring) ||
	    !get_bytes(env, argv[1], "into", 0, &into))
		return NULL;
	if (napi_create_object(env, &result) != napi_ok) /* before the drain: nothing may fail after it */
		return throw_napi(env);
	drained = drain(ring, into.data, into.length);
	if (drained.too_long)
		return throw_range(env, "Wanted at least %zu bytes for the next record of %s, got %zu",
				   sizeof(uint32_t) + drained.too_long, ring->handle.name, into.length);
	set_number(env, result, "bytes", (double)drained.bytes);
	set_number(env, result, "records", drained.records);
	set_number(env, result, "discarded", drained.discarded);
	return result;
}

napi_value ring_used_bytes(napi_env env, napi_callback_info info)
{
	struct ring *ring;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_RING, &ring))
		return NULL;
	return number_value(env, (double)(atomic_load_explicit(ring->producer, memory_order_acquire) -
					  atomic_load_explicit(ring->consumer, memory_order_relaxed)));
}
