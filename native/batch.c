/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps by the hundred: packed buffers hold entry i at i * size. Map types without a batch operation are
 * served entry by entry, here in C, so that JavaScript need not know which those are.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <string.h>

enum { ENOTSUPP = 524 }; /* what bpf(2) returns when the map type lacks a batch operation */

/* ---- writing ---- */

struct batch {
	char *keys;
	char *values; /* NULL for deletes */
	uint32_t count;
	uint64_t flags;
};

static char *batch_key(const struct map *map, const struct batch *batch, uint32_t at)
{
	return batch->keys + (size_t)at * map->key_size;
}

static char *batch_value(const struct map *map, const struct batch *batch, uint32_t at)
{
	return batch->values ? batch->values + (size_t)at * map->value_bytes : NULL;
}

/* The entries from `from` by one call. Returns 0 or a positive errno; `done`: how many of them took effect.
 */
static int whole_batch(const struct map *map, int command, const struct batch *batch, uint32_t from,
		       uint32_t *done)
{
	union bpf_attr attribute = {};
	uint32_t count = batch->count - from;

	attribute.batch.map_fd = (uint32_t)map->handle.fd;
	attribute.batch.keys = (uintptr_t)batch_key(map, batch, from);
	attribute.batch.values = (uintptr_t)batch_value(map, batch, from);
	attribute.batch.count = count;
	attribute.batch.elem_flags = batch->flags;
	*done = count;
	if (sys_bpf(command, &attribute, sizeof(attribute)) >= 0)
		return 0;
	/* Refused at once, the kernel leaves `count` as it was; stopped midway, it is smaller. */
	*done = attribute.batch.count < count ? attribute.batch.count : 0;
	return errno;
}

static int one_by_one(const struct map *map, int command, const struct batch *batch, uint32_t *done)
{
	for (*done = 0; *done < batch->count; ++*done) {
		int error = map_one_entry(map, command, batch_key(map, batch, *done),
					  batch_value(map, batch, *done), batch->flags);

		if (error)
			return error;
	}
	return 0;
}

/* `existing`: how many were there before, and stay as they are. */
static int missing_ones(const struct map *map, const struct batch *batch, uint32_t *done, uint32_t *existing)
{
	for (*done = 0; *done < batch->count; ++*done) {
		int error = map_one_entry(map, BPF_MAP_UPDATE_ELEM, batch_key(map, batch, *done),
					  batch_value(map, batch, *done), batch->flags);

		if (error == EEXIST)
			++*existing;
		else if (error)
			return error;
	}
	return 0;
}

/* How many entries were written. With BPF_NOEXIST an entry that exists is none of them, and no error. */
napi_value map_update_batch(napi_env env, napi_callback_info info)
{
	struct failure failure = {.syscall = "bpf(BPF_MAP_UPDATE_BATCH)", .has_done = true};
	struct bytes keys, values;
	uint32_t count, flags, existing = 0;
	struct batch batch;
	napi_value argv[5];
	struct map *map;

	if (!get_arguments(env, info, 5, argv) || !get_map(env, argv[0], &map) ||
	    !get_uint32(env, argv[3], "count", &count) || !get_uint32(env, argv[4], "flags", &flags) ||
	    !get_bytes(env, argv[1], "keys", (uint64_t)count * map->key_size, &keys) ||
	    !get_bytes(env, argv[2], "values", (uint64_t)count * map->value_bytes, &values))
		return NULL;
	batch = (struct batch){.keys = keys.data, .values = values.data, .count = count, .flags = flags};
	/* The batch operation knows no flag but BPF_F_LOCK. */
	failure.error =
	    flags & ~BPF_F_LOCK ? ENOTSUPP : whole_batch(map, BPF_MAP_UPDATE_BATCH, &batch, 0, &failure.done);
	if (failure.error == ENOTSUPP) {
		failure.syscall = "bpf(BPF_MAP_UPDATE_ELEM)";
		failure.error = flags == BPF_NOEXIST
					? missing_ones(map, &batch, &failure.done, &existing)
					: one_by_one(map, BPF_MAP_UPDATE_ELEM, &batch, &failure.done);
	}
	failure.subject = map->handle.name;
	return failure.error ? throw_failure(env, &failure) : number_value(env, count - existing);
}

/* The kernel's batch stops at the first missing entry; here a missing entry counts as deleted. */
napi_value map_delete_batch(napi_env env, napi_callback_info info)
{
	struct failure failure = {.syscall = "bpf(BPF_MAP_DELETE_BATCH)", .has_done = true};
	uint32_t count, done, missing = 0;
	struct batch batch;
	struct bytes keys;
	napi_value argv[3];
	struct map *map;
	int error = 0;

	if (!get_arguments(env, info, 3, argv) || !get_map(env, argv[0], &map) ||
	    !get_uint32(env, argv[2], "count", &count) ||
	    !get_bytes(env, argv[1], "keys", (uint64_t)count * map->key_size, &keys))
		return NULL;
	batch = (struct batch){.keys = keys.data, .count = count};
	while (failure.done < count) {
		error = whole_batch(map, BPF_MAP_DELETE_BATCH, &batch, failure.done, &done);
		if (error == ENOTSUPP) {
			struct batch one = {.keys = batch_key(map, &batch, failure.done), .count = 1};

			error = one_by_one(map, BPF_MAP_DELETE_ELEM, &one, &done);
		}
		failure.done += done;
		if (error == ENOENT) {
			failure.done++;
			missing++;
		} else if (error) {
			failure.error = error;
			failure.subject = map->handle.name;
			return throw_failure(env, &failure);
		}
	}
	return number_value(env, count - missing);
}

/* ---- reading all entries, a buffer at a time ---- */

enum cursor_state { CURSOR_START, CURSOR_BATCH, CURSOR_KEY, CURSOR_END };

/* Lives in a Uint8Array of the caller's; nothing in it is trusted beyond its length. */
struct cursor {
	uint32_t state;
	uint32_t pad;
	char place[]; /* CURSOR_BATCH: the kernel's; CURSOR_KEY: the last key */
};

struct entries {
	char *keys;
	char *values;
	uint32_t room;
};

static int read_batch(const struct map *map, struct cursor *cursor, const struct entries *entries,
		      uint32_t *count)
{
	union bpf_attr attribute = {};

	attribute.batch.map_fd = (uint32_t)map->handle.fd;
	attribute.batch.in_batch = cursor->state == CURSOR_BATCH ? (uintptr_t)cursor->place : 0;
	attribute.batch.out_batch = (uintptr_t)cursor->place;
	attribute.batch.keys = (uintptr_t)entries->keys;
	attribute.batch.values = (uintptr_t)entries->values;
	attribute.batch.count = entries->room;
	*count = 0;
	if (sys_bpf(BPF_MAP_LOOKUP_BATCH, &attribute, sizeof(attribute)) >= 0) {
		cursor->state = CURSOR_BATCH;
		*count = attribute.batch.count;
		return 0;
	}
	if (errno == ENOENT) {
		cursor->state = CURSOR_END;
		*count = attribute.batch.count;
		return 0;
	}
	if (errno == EINTR && attribute.batch.count > 0 && attribute.batch.count < entries->room) {
		/* Before 6.13: entries vanished while the kernel read them. Go on behind them. */
		cursor->state = CURSOR_BATCH;
		*count = attribute.batch.count;
		return 0;
	}
	return errno;
}

/* For map types without a batch operation. */
static int read_by_key(const struct map *map, struct cursor *cursor, const struct entries *entries,
		       uint32_t *count)
{
	for (*count = 0; *count < entries->room;) {
		char *key = entries->keys + (size_t)*count * map->key_size;
		char *value = entries->values + (size_t)*count * map->value_bytes;
		int error = map_one_entry(map, BPF_MAP_GET_NEXT_KEY,
					  cursor->state == CURSOR_KEY ? cursor->place : NULL, key, 0);

		if (error == ENOENT)
			cursor->state = CURSOR_END;
		if (error)
			return error == ENOENT ? 0 : error;
		memcpy(cursor->place, key, map->key_size);
		cursor->state = CURSOR_KEY;
		error = map_one_entry(map, BPF_MAP_LOOKUP_ELEM, key, value, 0);
		if (!error)
			++*count;
		else if (error != ENOENT) /* deleted since */
			return error;
	}
	return 0;
}

napi_value map_read(napi_env env, napi_callback_info info)
{
	struct bytes cursor_bytes, keys, values;
	struct cursor *cursor;
	struct entries entries;
	uint32_t count = 0;
	napi_value argv[4];
	struct map *map;
	int error = 0;

	if (!get_arguments(env, info, 4, argv) || !get_map(env, argv[0], &map) ||
	    !get_bytes(env, argv[1], "cursor", sizeof(*cursor) + (map->key_size > 4 ? map->key_size : 4),
		       &cursor_bytes) ||
	    !get_bytes(env, argv[2], "keys", map->key_size, &keys) ||
	    !get_bytes(env, argv[3], "values", map->value_bytes, &values))
		return NULL;
	if (!map->key_size || !map->value_bytes)
		return throw_type(env, "Wanted a map with keys and values, got %s", map->handle.name);
	if ((uintptr_t)cursor_bytes.data % _Alignof(struct cursor))
		return throw_type(env, "Wanted a cursor aligned to %zu bytes", _Alignof(struct cursor));
	cursor = cursor_bytes.data;
	entries = (struct entries){.keys = keys.data, .values = values.data};
	entries.room = (uint32_t)(keys.length / map->key_size);
	if (entries.room > values.length / map->value_bytes)
		entries.room = (uint32_t)(values.length / map->value_bytes);

	while (!error && !count && cursor->state != CURSOR_END) {
		if (cursor->state != CURSOR_KEY) {
			error = read_batch(map, cursor, &entries, &count);
			if (error != ENOTSUPP || cursor->state != CURSOR_START)
				continue;
		}
		error = read_by_key(map, cursor, &entries, &count);
	}
	if (error)
		return throw_errno(env, error,
				   cursor->state == CURSOR_KEY ? "bpf(BPF_MAP_GET_NEXT_KEY)"
							       : "bpf(BPF_MAP_LOOKUP_BATCH)",
				   map->handle.name);
	return number_value(env, count);
}
