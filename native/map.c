/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps: bpf(2) on keys and values that live in JavaScript's buffers.
 *
 * A map handle knows the kernel's sizes, so every buffer is checked before the kernel reads or writes through
 * its pointer.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long sys_bpf(int command, void *attribute, size_t size)
{
	return syscall(SYS_bpf, command, attribute, size);
}

static bool is_per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

static long map_get_info(int fd, struct bpf_map_info *info)
{
	union bpf_attr attribute = {};

	memset(info, 0, sizeof(*info));
	attribute.info.bpf_fd = (uint32_t)fd;
	attribute.info.info_len = sizeof(*info);
	attribute.info.info = (uintptr_t)info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attribute, sizeof(attribute));
}

napi_value wrap_map(napi_env env, int fd, const char *name)
{
	struct bpf_map_info info;
	struct map *map;

	if (map_get_info(fd, &info) < 0) {
		throw_errno(env, errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)", name);
		close(fd);
		return NULL;
	}
	map = handle_new(env, HANDLE_MAP, sizeof(*map), name ? name : info.name);
	if (!map) {
		close(fd);
		return NULL;
	}
	map->handle.fd = fd;
	map->type = info.type;
	map->key_size = info.key_size;
	map->value_size = info.value_size;
	map->value_bytes = info.value_size;
	map->max_entries = info.max_entries;
	if (is_per_cpu(info.type))
		map->value_bytes = ((info.value_size + 7) & ~7u) * (uint32_t)libbpf_num_possible_cpus();
	return handle_wrap(env, &map->handle);
}

napi_value map_create(napi_env env, napi_callback_info info)
{
	union bpf_attr attribute = {};
	char name[BPF_OBJ_NAME_LEN];
	napi_value argv[1], value;
	long fd;

	if (!get_arguments(env, info, 1, argv) || !get_member(env, argv[0], "name", &value) ||
	    !get_string(env, value, "name", sizeof(name), name) ||
	    !get_uint32_member(env, argv[0], "type", &attribute.map_type) ||
	    !get_uint32_member(env, argv[0], "keySize", &attribute.key_size) ||
	    !get_uint32_member(env, argv[0], "valueSize", &attribute.value_size) ||
	    !get_uint32_member(env, argv[0], "maxEntries", &attribute.max_entries) ||
	    !get_uint32_member(env, argv[0], "flags", &attribute.map_flags))
		return NULL;
	memcpy(attribute.map_name, name, sizeof(name));
	fd = sys_bpf(BPF_MAP_CREATE, &attribute, sizeof(attribute));
	if (fd < 0)
		return throw_errno(env, errno, "bpf(BPF_MAP_CREATE)", name);
	return wrap_map(env, (int)fd, name);
}

/* The kernel tells the memory in /proc only; 0 where /proc is not mounted. */
static double memory_bytes(int fd)
{
	char path[64], line[256];
	uint64_t bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file) && sscanf(line, "memlock: %" SCNu64, &bytes) != 1)
		continue;
	fclose(file);
	return (double)bytes;
}

napi_value map_info(napi_env env, napi_callback_info info)
{
	struct bpf_map_info found;
	napi_value argv[1], result;
	struct map *map;

	if (!get_arguments(env, info, 1, argv) || !get_map(env, argv[0], &map))
		return NULL;
	if (map_get_info(map->handle.fd, &found) < 0)
		return throw_errno(env, errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)", map->handle.name);
	if (napi_create_object(env, &result) != napi_ok)
		return throw_napi(env);
	set_number(env, result, "id", found.id);
	set_string(env, result, "name", map->handle.name);
	set_number(env, result, "type", found.type);
	set_number(env, result, "keySize", found.key_size);
	set_number(env, result, "valueSize", found.value_size);
	set_number(env, result, "maxEntries", found.max_entries);
	set_number(env, result, "flags", found.map_flags);
	set_number(env, result, "memoryBytes", memory_bytes(map->handle.fd));
	set_number(env, result, "btfId", found.btf_id);
	set_number(env, result, "btfKeyType", found.btf_key_type_id);
	set_number(env, result, "btfValueType", found.btf_value_type_id);
	return result;
}

/* How many bytes the types of a BTF object have in the kernel, and those bytes if `data` has room for them. -1 with errno. */
static long btf_data(int fd, void *data, uint32_t room)
{
	struct bpf_btf_info info = {.btf = (uintptr_t)data, .btf_size = room};
	union bpf_attr attribute = {};

	attribute.info.bpf_fd = (uint32_t)fd;
	attribute.info.info_len = sizeof(info);
	attribute.info.info = (uintptr_t)&info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attribute, sizeof(attribute)) < 0 ? -1 : (long)info.btf_size;
}

napi_value btf_read(napi_env env, napi_callback_info info)
{
	union bpf_attr attribute = {};
	napi_value argv[1], buffer;
	void *data = NULL;
	uint32_t id;
	long fd, size;

	if (!get_arguments(env, info, 1, argv) || !get_uint32(env, argv[0], "id", &id))
		return NULL;
	attribute.btf_id = id;
	fd = sys_bpf(BPF_BTF_GET_FD_BY_ID, &attribute, sizeof(attribute));
	if (fd < 0)
		return throw_errno(env, errno, "bpf(BPF_BTF_GET_FD_BY_ID)", "BTF");
	size = btf_data((int)fd, NULL, 0);
	if (size >= 0 && napi_create_buffer(env, (size_t)size, &data, &buffer) != napi_ok) {
		close((int)fd);
		return throw_napi(env);
	}
	if (size >= 0)
		size = btf_data((int)fd, data, (uint32_t)size);
	close((int)fd);
	return size < 0 ? throw_errno(env, errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)", "BTF") : buffer;
}

napi_value map_value_bytes(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	struct map *map;

	if (!get_arguments(env, info, 1, argv) || !get_map(env, argv[0], &map))
		return NULL;
	return number_value(env, map->value_bytes);
}

napi_value map_freeze(napi_env env, napi_callback_info info)
{
	union bpf_attr attribute = {};
	napi_value argv[1];
	struct map *map;

	if (!get_arguments(env, info, 1, argv) || !get_map(env, argv[0], &map))
		return NULL;
	attribute.map_fd = (uint32_t)map->handle.fd;
	if (sys_bpf(BPF_MAP_FREEZE, &attribute, sizeof(attribute)) < 0)
		return throw_errno(env, errno, "bpf(BPF_MAP_FREEZE)", map->handle.name);
	return NULL;
}

/* ---- one entry ---- */

int map_one_entry(const struct map *map, int command, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attribute = {};

	attribute.map_fd = (uint32_t)map->handle.fd;
	attribute.key = (uintptr_t)key;
	attribute.value = (uintptr_t)value;
	attribute.flags = flags;
	return sys_bpf(command, &attribute, sizeof(attribute)) < 0 ? errno : 0;
}

static napi_value read_entry(napi_env env, napi_callback_info info, int command, const char *syscall)
{
	struct bytes key, value;
	napi_value argv[3];
	struct map *map;
	int error;

	if (!get_arguments(env, info, 3, argv) || !get_map(env, argv[0], &map) ||
	    !get_bytes(env, argv[1], "key", map->key_size, &key) ||
	    !get_bytes(env, argv[2], "value", map->value_bytes, &value))
		return NULL;
	error = map_one_entry(map, command, key.data, value.data, 0);
	if (error && error != ENOENT)
		return throw_errno(env, error, syscall, map->handle.name);
	return bool_value(env, !error);
}

napi_value map_lookup(napi_env env, napi_callback_info info)
{
	return read_entry(env, info, BPF_MAP_LOOKUP_ELEM, "bpf(BPF_MAP_LOOKUP_ELEM)");
}

napi_value map_take(napi_env env, napi_callback_info info)
{
	return read_entry(env, info, BPF_MAP_LOOKUP_AND_DELETE_ELEM, "bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM)");
}

napi_value map_update(napi_env env, napi_callback_info info)
{
	struct bytes key, value;
	napi_value argv[4];
	uint32_t flags;
	struct map *map;
	int error;

	if (!get_arguments(env, info, 4, argv) || !get_map(env, argv[0], &map) ||
	    !get_uint32(env, argv[3], "flags", &flags) ||
	    !get_bytes(env, argv[1], "key", map->key_size, &key) ||
	    !get_bytes(env, argv[2], "value", map->value_bytes, &value))
		return NULL;
	error = map_one_entry(map, BPF_MAP_UPDATE_ELEM, key.data, value.data, flags);
	if (error)
		return throw_errno(env, error, "bpf(BPF_MAP_UPDATE_ELEM)", map->handle.name);
	return NULL;
}

napi_value map_delete(napi_env env, napi_callback_info info)
{
	napi_value argv[2];
	struct bytes key;
	struct map *map;
	int error;

	if (!get_arguments(env, info, 2, argv) || !get_map(env, argv[0], &map) ||
	    !get_bytes(env, argv[1], "key", map->key_size, &key))
		return NULL;
	error = map_one_entry(map, BPF_MAP_DELETE_ELEM, key.data, NULL, 0);
	if (error && error != ENOENT)
		return throw_errno(env, error, "bpf(BPF_MAP_DELETE_ELEM)", map->handle.name);
	return bool_value(env, !error);
}
