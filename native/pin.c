/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins and ids: the two ways to a map, program or link that somebody else holds.
 *
 * BPF_OBJ_GET answers with a descriptor of whatever was pinned there, so its kind is asked for before it
 * becomes a handle.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

napi_value pin(napi_env env, napi_callback_info info)
{
	union bpf_attr attribute = {};
	struct handle *handle;
	char path[PATH_BYTES];
	napi_value argv[2];

	if (!get_arguments(env, info, 2, argv) || !get_descriptor_handle(env, argv[0], &handle) ||
	    !get_string(env, argv[1], "path", sizeof(path), path))
		return NULL;
	attribute.pathname = (uintptr_t)path;
	attribute.bpf_fd = (uint32_t)handle->fd;
	if (sys_bpf(BPF_OBJ_PIN, &attribute, sizeof(attribute)) < 0)
		return throw_errno(env, errno, "bpf(BPF_OBJ_PIN)", path);
	return NULL;
}

/* Whether /proc/self/fd shows this kind: "anon_inode:bpf-map", "…bpf-prog", "…bpf-link", or "…bpf_link". */
static bool is_inode_of(const char *inode, enum handle_kind kind)
{
	static const char prefix[] = "anon_inode:bpf";
	const char *word = kind == HANDLE_MAP ? "map" : kind == HANDLE_PROGRAM ? "prog" : "link";

	return !strncmp(inode, prefix, sizeof(prefix) - 1) && !strcmp(inode + sizeof(prefix), word);
}

static napi_value open_pinned(napi_env env, napi_callback_info info, enum handle_kind kind)
{
	char path[PATH_BYTES], proc[64], inode[64] = "";
	union bpf_attr attribute = {};
	const char *name;
	napi_value argv[1];
	long fd;

	if (!get_arguments(env, info, 1, argv) || !get_string(env, argv[0], "path", sizeof(path), path))
		return NULL;
	attribute.pathname = (uintptr_t)path;
	fd = sys_bpf(BPF_OBJ_GET, &attribute, sizeof(attribute));
	if (fd < 0)
		return throw_errno(env, errno, "bpf(BPF_OBJ_GET)", path);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%ld", fd);
	if (readlink(proc, inode, sizeof(inode) - 1) < 0) {
		throw_errno(env, errno, "readlink", proc);
		close((int)fd);
		return NULL;
	}
	if (!is_inode_of(inode, kind)) {
		close((int)fd);
		return throw_type(env, "Wanted a pinned %s at %.256s, found %s",
				  kind == HANDLE_MAP	   ? "map"
				  : kind == HANDLE_PROGRAM ? "program"
							   : "link",
				  path, inode);
	}
	name = basename(path);
	if (kind == HANDLE_MAP)
		return wrap_map(env, (int)fd, name);
	return wrap_descriptor(env, kind, (int)fd, name);
}

napi_value map_open_pinned(napi_env env, napi_callback_info info)
{
	return open_pinned(env, info, HANDLE_MAP);
}

napi_value program_open_pinned(napi_env env, napi_callback_info info)
{
	return open_pinned(env, info, HANDLE_PROGRAM);
}

napi_value link_open_pinned(napi_env env, napi_callback_info info)
{
	return open_pinned(env, info, HANDLE_LINK);
}

static napi_value open_by_id(napi_env env, napi_callback_info info, int command, enum handle_kind kind)
{
	static const char *const calls[] = {
	    [BPF_MAP_GET_FD_BY_ID] = "bpf(BPF_MAP_GET_FD_BY_ID)",
	    [BPF_PROG_GET_FD_BY_ID] = "bpf(BPF_PROG_GET_FD_BY_ID)",
	    [BPF_LINK_GET_FD_BY_ID] = "bpf(BPF_LINK_GET_FD_BY_ID)",
	};
	union bpf_attr attribute = {};
	napi_value argv[1];
	char name[32];
	uint32_t id;
	long fd;

	if (!get_arguments(env, info, 1, argv) || !get_uint32(env, argv[0], "id", &id))
		return NULL;
	attribute.map_id = id; /* the same place for all three */
	snprintf(name, sizeof(name), "id %u", id);
	fd = sys_bpf(command, &attribute, sizeof(attribute));
	if (fd < 0)
		return throw_errno(env, errno, calls[command], name);
	if (kind == HANDLE_MAP)
		return wrap_map(env, (int)fd, NULL);
	return wrap_descriptor(env, kind, (int)fd, name);
}

napi_value map_open_by_id(napi_env env, napi_callback_info info)
{
	return open_by_id(env, info, BPF_MAP_GET_FD_BY_ID, HANDLE_MAP);
}

napi_value program_open_by_id(napi_env env, napi_callback_info info)
{
	return open_by_id(env, info, BPF_PROG_GET_FD_BY_ID, HANDLE_PROGRAM);
}

napi_value link_open_by_id(napi_env env, napi_callback_info info)
{
	return open_by_id(env, info, BPF_LINK_GET_FD_BY_ID, HANDLE_LINK);
}
