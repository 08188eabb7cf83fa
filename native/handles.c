/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles: what a JavaScript value must be before C follows its pointer.
 *
 *	external ──type tag──▶ kind ──▶ struct handle { references, closed, fd, … }
 *
 * The tag is checked before the pointer is read, so a foreign external or a handle of another kind is a
 * TypeError. After close() the memory stays until the last reference is gone, so a closed handle is an error
 * too and never a wild pointer.
 */
#include "handles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const kind_names[] = {
    [HANDLE_OBJECT] = "BPF object", [HANDLE_MAP] = "map",	   [HANDLE_PROGRAM] = "program",
    [HANDLE_LINK] = "link",	    [HANDLE_RING] = "ring buffer", [HANDLE_SOCKET] = "socket",
    [HANDLE_POLL] = "poll",	    [HANDLE_BEAT] = "heartbeats",
};

enum { HANDLE_KINDS = sizeof(kind_names) / sizeof(kind_names[0]) };

/* The lower half is drawn once at random, so that no other addon's tag is the same. */
static napi_type_tag tag_of(enum handle_kind kind)
{
	return (napi_type_tag){.lower = 0x9d1c7a40e65b23f8, .upper = kind};
}

static void close_descriptor(struct handle *self)
{
	if (self->fd >= 0)
		close(self->fd);
}

void *handle_new(napi_env env, enum handle_kind kind, size_t size, const char *name)
{
	struct handle *handle = calloc(1, size);

	if (!handle) {
		throw_errno(env, ENOMEM, "calloc", NULL);
		return NULL;
	}
	handle->kind = kind;
	handle->fd = -1;
	handle->release = close_descriptor;
	atomic_init(&handle->references, 1);
	snprintf(handle->name, sizeof(handle->name), "%s", name);
	return handle;
}

void handle_hold(struct handle *handle)
{
	atomic_fetch_add(&handle->references, 1);
}

void handle_close(struct handle *handle)
{
	if (handle->closed)
		return;
	handle->closed = true;
	handle->release(handle);
	handle->fd = -1;
}

void handle_drop(struct handle *handle)
{
	if (atomic_fetch_sub(&handle->references, 1) != 1)
		return;
	handle_close(handle);
	free(handle);
}

static void finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	handle_drop(data);
}

napi_value handle_wrap(napi_env env, struct handle *handle)
{
	napi_type_tag tag = tag_of(handle->kind);
	napi_value value;

	if (napi_create_external(env, handle, finalize, NULL, &value) != napi_ok) {
		handle_drop(handle);
		return throw_napi(env);
	}
	if (napi_type_tag_object(env, value, &tag) != napi_ok)
		return throw_napi(env); /* the value owns the reference now */
	return value;
}

/* The kind that the value is tagged with, or HANDLE_KINDS. */
static int kind_of(napi_env env, napi_value value)
{
	if (!is_type(env, value, napi_external))
		return HANDLE_KINDS;
	for (int kind = 0; kind < HANDLE_KINDS; kind++) {
		napi_type_tag tag = tag_of(kind);
		bool same = false;

		if (napi_check_object_type_tag(env, value, &tag, &same) == napi_ok && same)
			return kind;
	}
	return HANDLE_KINDS;
}

static bool check_open(napi_env env, struct handle *handle)
{
	char message[NAME_BYTES + 64];

	if (!handle->closed)
		return true;
	snprintf(message, sizeof(message), "Could not use %s %s: it is closed", kind_names[handle->kind],
		 handle->name);
	throw_closed(env, message);
	return false;
}

bool get_handle(napi_env env, napi_value value, enum handle_kind kind, void *handle)
{
	napi_type_tag tag = tag_of(kind);
	struct handle *found;
	bool same = false;

	if (!is_type(env, value, napi_external) ||
	    napi_check_object_type_tag(env, value, &tag, &same) != napi_ok || !same ||
	    napi_get_value_external(env, value, (void **)&found) != napi_ok) {
		int actual = kind_of(env, value);

		throw_type(env, "Wanted a handle of kind %s, got %s", kind_names[kind],
			   actual == HANDLE_KINDS ? "something that is no handle" : kind_names[actual]);
		return false;
	}
	if (!check_open(env, found))
		return false;
	*(struct handle **)handle = found;
	return true;
}

bool get_map(napi_env env, napi_value value, struct map **map)
{
	return get_handle(env, value, HANDLE_MAP, map);
}

/* Any handle, closed or not. */
static bool get_any_handle(napi_env env, napi_value value, struct handle **handle)
{
	if (kind_of(env, value) != HANDLE_KINDS &&
	    napi_get_value_external(env, value, (void **)handle) == napi_ok)
		return true;
	throw_type(env, "Wanted a handle");
	return false;
}

bool get_descriptor_handle(napi_env env, napi_value value, struct handle **handle)
{
	if (!get_any_handle(env, value, handle) || !check_open(env, *handle))
		return false;
	if ((*handle)->fd < 0) {
		throw_type(env, "Wanted a handle with a descriptor, got a %s", kind_names[(*handle)->kind]);
		return false;
	}
	return true;
}

napi_value wrap_descriptor(napi_env env, enum handle_kind kind, int fd, const char *name)
{
	struct handle *handle = handle_new(env, kind, sizeof(*handle), name);

	if (!handle) {
		close(fd);
		return NULL;
	}
	handle->fd = fd;
	return handle_wrap(env, handle);
}

napi_value close_handle(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_value argv[1];

	if (get_arguments(env, info, 1, argv) && get_any_handle(env, argv[0], &handle))
		handle_close(handle);
	return NULL;
}

napi_value is_closed(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_any_handle(env, argv[0], &handle))
		return NULL;
	return bool_value(env, handle->closed);
}

napi_value descriptor(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_descriptor_handle(env, argv[0], &handle))
		return NULL;
	return number_value(env, handle->fd);
}
