/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BPF object files: opened, changed and loaded by libbpf.
 *
 *	open ──▶ changes ──▶ load, a job ──▶ handles of its maps and programs ──▶ close
 */
#define _GNU_SOURCE
#include "handles.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct object {
	struct handle handle;
	struct bpf_object *object;
	bool loading; /* a job owns `object` now; closing waits for it */
	bool settled; /* a load was tried: libbpf's images may be read-only mappings now */
};

static void object_release(struct handle *self)
{
	struct object *object = (struct object *)self;

	if (object->loading)
		return;
	bpf_object__close(object->object);
	object->object = NULL;
}

static bool get_object(napi_env env, napi_value value, struct object **object)
{
	if (!get_handle(env, value, HANDLE_OBJECT, object))
		return false;
	if ((*object)->loading) {
		throw_errno(env, EBUSY, "bpf_object__load", (*object)->handle.name);
		return false;
	}
	return true;
}

static bool get_unloaded(napi_env env, napi_value value)
{
	struct object *object;

	if (!get_object(env, value, &object))
		return false;
	if (object->settled) {
		throw_errno(env, EALREADY, "bpf_object__load", object->handle.name);
		return false;
	}
	return true;
}

static struct bpf_map *get_object_map(napi_env env, napi_value object_value, napi_value name_value)
{
	char name[NAME_BYTES], subject[2 * NAME_BYTES + 32];
	struct object *object;
	struct bpf_map *map;

	if (!get_object(env, object_value, &object) ||
	    !get_string(env, name_value, "map", sizeof(name), name))
		return NULL;
	map = bpf_object__find_map_by_name(object->object, name);
	if (!map) {
		snprintf(subject, sizeof(subject), "map %s of %s", name, object->handle.name);
		throw_errno(env, ENOENT, "bpf_object__find_map_by_name", subject);
	}
	return map;
}

static struct bpf_program *get_object_program(napi_env env, napi_value object_value, napi_value name_value)
{
	char name[NAME_BYTES], subject[2 * NAME_BYTES + 32];
	struct bpf_program *program;
	struct object *object;

	if (!get_object(env, object_value, &object) ||
	    !get_string(env, name_value, "program", sizeof(name), name))
		return NULL;
	program = bpf_object__find_program_by_name(object->object, name);
	if (!program) {
		snprintf(subject, sizeof(subject), "program %s of %s", name, object->handle.name);
		throw_errno(env, ENOENT, "bpf_object__find_program_by_name", subject);
	}
	return program;
}

napi_value object_open(napi_env env, napi_callback_info info)
{
	struct bpf_object *opened;
	struct object *object;
	char path[PATH_BYTES];
	struct text log = {};
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_string(env, argv[0], "path", sizeof(path), path))
		return NULL;
	log_into(&log);
	opened = bpf_object__open_file(path, NULL);
	log_into(NULL);
	if (!opened) {
		throw_failure(env, &(struct failure){.error = errno,
						     .syscall = "bpf_object__open",
						     .subject = path,
						     .log = log.data});
		free(log.data);
		return NULL;
	}
	free(log.data);
	object = handle_new(env, HANDLE_OBJECT, sizeof(*object), basename(path));
	if (!object) {
		bpf_object__close(opened);
		return NULL;
	}
	object->object = opened;
	object->handle.release = object_release;
	return handle_wrap(env, &object->handle);
}

/* ---- what the file declares ---- */

napi_value object_maps(napi_env env, napi_callback_info info)
{
	napi_value argv[1], result, entry;
	struct object *object;
	struct bpf_map *map;
	uint32_t count = 0;

	if (!get_arguments(env, info, 1, argv) || !get_object(env, argv[0], &object))
		return NULL;
	if (napi_create_array(env, &result) != napi_ok)
		return throw_napi(env);
	bpf_object__for_each_map(map, object->object)
	{
		if (napi_create_object(env, &entry) != napi_ok)
			return throw_napi(env);
		set_string(env, entry, "name", bpf_map__name(map));
		set_number(env, entry, "type", bpf_map__type(map));
		set_number(env, entry, "keySize", bpf_map__key_size(map));
		set_number(env, entry, "valueSize", bpf_map__value_size(map));
		set_number(env, entry, "maxEntries", bpf_map__max_entries(map));
		set_number(env, entry, "flags", bpf_map__map_flags(map));
		set_bool(env, entry, "internal", bpf_map__is_internal(map));
		napi_set_element(env, result, count++, entry);
	}
	return result;
}

napi_value object_programs(napi_env env, napi_callback_info info)
{
	napi_value argv[1], result, entry;
	struct bpf_program *program;
	struct object *object;
	uint32_t count = 0;

	if (!get_arguments(env, info, 1, argv) || !get_object(env, argv[0], &object))
		return NULL;
	if (napi_create_array(env, &result) != napi_ok)
		return throw_napi(env);
	bpf_object__for_each_program(program, object->object)
	{
		if (napi_create_object(env, &entry) != napi_ok)
			return throw_napi(env);
		set_string(env, entry, "name", bpf_program__name(program));
		set_string(env, entry, "section", bpf_program__section_name(program));
		set_number(env, entry, "type", bpf_program__type(program));
		napi_set_element(env, result, count++, entry);
	}
	return result;
}

/* ---- changes before the load ---- */

/*
 * libbpf names a section's map "<object>.rodata", cut to the kernel's 15 bytes, but finds it by the section's
 * name.
 */
napi_value object_set_data(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct bytes bytes;
	napi_value argv[4];
	uint32_t offset;
	size_t size = 0;
	char *image;

	if (!get_arguments(env, info, 4, argv) || !get_unloaded(env, argv[0]) ||
	    !get_uint32(env, argv[2], "offset", &offset))
		return NULL;
	map = get_object_map(env, argv[0], argv[1]);
	if (!map || !get_bytes(env, argv[3], "bytes", 0, &bytes))
		return NULL;
	image = (char *)bpf_map__initial_value(map, &size);
	if (!image)
		return throw_errno(env, EINVAL, "bpf_map__initial_value", bpf_map__name(map));
	if (bytes.length > size || offset > size - bytes.length)
		return throw_range(env, "Wanted at most %zu bytes in %s, got %zu at offset %u", size,
				   bpf_map__name(map), bytes.length, offset);
	memcpy(image + offset, bytes.data, bytes.length); /* libbpf creates the map from this image */
	return NULL;
}

napi_value object_set_max_entries(napi_env env, napi_callback_info info)
{
	uint32_t max_entries;
	struct bpf_map *map;
	napi_value argv[3];
	int error;

	if (!get_arguments(env, info, 3, argv) || !get_unloaded(env, argv[0]) ||
	    !get_uint32(env, argv[2], "maxEntries", &max_entries))
		return NULL;
	map = get_object_map(env, argv[0], argv[1]);
	if (!map)
		return NULL;
	error = bpf_map__set_max_entries(map, max_entries);
	if (error)
		return throw_errno(env, -error, "bpf_map__set_max_entries", bpf_map__name(map));
	return NULL;
}

napi_value object_reuse_map(napi_env env, napi_callback_info info)
{
	struct map *existing;
	struct bpf_map *map;
	napi_value argv[3];
	int error;

	if (!get_arguments(env, info, 3, argv) || !get_unloaded(env, argv[0]) ||
	    !get_map(env, argv[2], &existing))
		return NULL;
	map = get_object_map(env, argv[0], argv[1]);
	if (!map)
		return NULL;
	error = bpf_map__reuse_fd(map, existing->handle.fd); /* takes a duplicate */
	if (error)
		return throw_errno(env, -error, "bpf_map__reuse_fd", bpf_map__name(map));
	return NULL;
}

napi_value object_set_autoload(napi_env env, napi_callback_info info)
{
	struct bpf_program *program;
	napi_value argv[3];
	bool autoload;
	int error;

	if (!get_arguments(env, info, 3, argv) || !get_unloaded(env, argv[0]))
		return NULL;
	if (napi_get_value_bool(env, argv[2], &autoload) != napi_ok)
		return throw_type(env, "Wanted a boolean for autoload");
	program = get_object_program(env, argv[0], argv[1]);
	if (!program)
		return NULL;
	error = bpf_program__set_autoload(program, autoload);
	if (error)
		return throw_errno(env, -error, "bpf_program__set_autoload", bpf_program__name(program));
	return NULL;
}

napi_value object_set_program_type(napi_env env, napi_callback_info info)
{
	uint32_t type, attach_type;
	struct bpf_program *program;
	napi_value argv[4];
	int error;

	if (!get_arguments(env, info, 4, argv) || !get_unloaded(env, argv[0]) ||
	    !get_uint32(env, argv[2], "type", &type) || !get_uint32(env, argv[3], "attachType", &attach_type))
		return NULL;
	program = get_object_program(env, argv[0], argv[1]);
	if (!program)
		return NULL;
	error = bpf_program__set_type(program, type);
	if (!error)
		error = bpf_program__set_expected_attach_type(program, attach_type);
	if (error)
		return throw_errno(env, -error, "bpf_program__set_type", bpf_program__name(program));
	return NULL;
}

/* ---- the load ---- */

struct load {
	struct job job;
	struct object *object;
	struct text log;
};

static void load_run(struct job *job)
{
	struct load *load = (struct load *)job;
	int error;

	log_into(&load->log);
	error = bpf_object__load(load->object->object);
	log_into(NULL);
	if (error)
		job->failure = (struct failure){.error = -error,
						.syscall = "bpf_object__load",
						.subject = load->object->handle.name,
						.log = load->log.data};
}

static napi_value load_result(napi_env env, struct job *job)
{
	napi_value undefined = NULL;

	(void)job;
	napi_get_undefined(env, &undefined);
	return undefined;
}

static void load_free(struct job *job)
{
	struct load *load = (struct load *)job;
	struct object *object = load->object;

	object->loading = false;
	if (object->handle.closed)
		object_release(&object->handle);
	handle_drop(&object->handle);
	free(load->log.data);
	free(load);
}

napi_value object_load(napi_env env, napi_callback_info info)
{
	struct object *object;
	struct load *load;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_object(env, argv[0], &object) ||
	    !get_unloaded(env, argv[0]))
		return NULL;
	load = calloc(1, sizeof(*load));
	if (!load)
		return throw_errno(env, ENOMEM, "calloc", NULL);
	load->job = (struct job){.run = load_run, .result = load_result, .free = load_free};
	load->object = object;
	object->loading = true;
	object->settled = true;
	handle_hold(&object->handle);
	return job_start(env, &load->job, "stentor:load");
}

/* ---- what the load made ---- */

napi_value object_map(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	napi_value argv[2];
	int fd;

	if (!get_arguments(env, info, 2, argv))
		return NULL;
	map = get_object_map(env, argv[0], argv[1]);
	if (!map)
		return NULL;
	fd = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return throw_errno(env, errno, "fcntl(F_DUPFD_CLOEXEC)", bpf_map__name(map));
	return wrap_map(env, fd, bpf_map__name(map));
}

napi_value object_program(napi_env env, napi_callback_info info)
{
	struct bpf_program *program;
	napi_value argv[2];
	int fd;

	if (!get_arguments(env, info, 2, argv))
		return NULL;
	program = get_object_program(env, argv[0], argv[1]);
	if (!program)
		return NULL;
	fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return throw_errno(env, errno, "fcntl(F_DUPFD_CLOEXEC)", bpf_program__name(program));
	return wrap_descriptor(env, HANDLE_PROGRAM, fd, bpf_program__name(program));
}
