/* SPDX-License-Identifier: Apache-2.0 */
/* Programs: what the kernel knows about one, running one on a given packet, and which are attached where. */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

napi_value program_info(napi_env env, napi_callback_info info)
{
	union bpf_attr attribute = {};
	struct bpf_prog_info found = {};
	struct handle *program;
	napi_value argv[1], result;
	char tag[2 * BPF_TAG_SIZE + 1];

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_PROGRAM, &program))
		return NULL;
	attribute.info.bpf_fd = (uint32_t)program->fd;
	attribute.info.info_len = sizeof(found);
	attribute.info.info = (uintptr_t)&found;
	if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attribute, sizeof(attribute)) < 0)
		return throw_errno(env, errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)", program->name);
	if (napi_create_object(env, &result) != napi_ok)
		return throw_napi(env);
	for (int i = 0; i < BPF_TAG_SIZE; i++)
		snprintf(tag + 2 * i, 3, "%02x", found.tag[i]);
	set_number(env, result, "id", found.id);
	set_string(env, result, "name", found.name);
	set_number(env, result, "type", found.type);
	set_string(env, result, "tag", tag);
	set_number(env, result, "jitedBytes", found.jited_prog_len);
	set_number(env, result, "translatedBytes", found.xlated_prog_len);
	set_number(env, result, "verifiedInstructions", found.verified_insns);
	set_number(env, result, "runTimeNs", (double)found.run_time_ns);
	set_number(env, result, "runCount", (double)found.run_cnt);
	return result;
}

/* ---- BPF_PROG_TEST_RUN ---- */

/* Empty stands for absent: the kernel wants a null pointer then. */
static uintptr_t pointer_to(const struct bytes *bytes)
{
	return bytes->length ? (uintptr_t)bytes->data : 0;
}

napi_value program_test_run(napi_env env, napi_callback_info info)
{
	struct bytes data, data_out, context, context_out;
	napi_value argv[2], in, out, in_context, out_context, result;
	union bpf_attr attribute = {};
	struct handle *program;
	uint32_t repeat;

	/* Members first: a getter could take a buffer away whose pointer we hold. */
	if (!get_arguments(env, info, 2, argv) || !get_member(env, argv[1], "data", &in) ||
	    !get_member(env, argv[1], "dataOut", &out) || !get_member(env, argv[1], "context", &in_context) ||
	    !get_member(env, argv[1], "contextOut", &out_context) ||
	    !get_uint32_member(env, argv[1], "repeat", &repeat) ||
	    !get_handle(env, argv[0], HANDLE_PROGRAM, &program) || !get_bytes(env, in, "data", 0, &data) ||
	    !get_bytes(env, out, "dataOut", 0, &data_out) ||
	    !get_bytes(env, in_context, "context", 0, &context) ||
	    !get_bytes(env, out_context, "contextOut", 0, &context_out))
		return NULL;
	attribute.test.prog_fd = (uint32_t)program->fd;
	attribute.test.repeat = repeat;
	attribute.test.data_in = pointer_to(&data);
	attribute.test.data_size_in = (uint32_t)data.length;
	attribute.test.data_out = pointer_to(&data_out);
	attribute.test.data_size_out = (uint32_t)data_out.length;
	attribute.test.ctx_in = pointer_to(&context);
	attribute.test.ctx_size_in = (uint32_t)context.length;
	attribute.test.ctx_out = pointer_to(&context_out);
	attribute.test.ctx_size_out = (uint32_t)context_out.length;
	if (sys_bpf(BPF_PROG_TEST_RUN, &attribute, sizeof(attribute)) < 0)
		return throw_errno(env, errno, "bpf(BPF_PROG_TEST_RUN)", program->name);
	if (napi_create_object(env, &result) != napi_ok)
		return throw_napi(env);
	set_number(env, result, "verdict", (int32_t)attribute.test.retval);
	set_number(env, result, "durationNs", attribute.test.duration);
	set_number(env, result, "dataBytes", attribute.test.data_size_out);
	set_number(env, result, "contextBytes", attribute.test.ctx_size_out);
	return result;
}

/* ---- BPF_PROG_QUERY ---- */

enum { QUERY_ROOM = 64 }; /* BPF_MPROG_MAX and BPF_CGROUP_MAX_PROGS: no hook has more */

/* As of Linux 6.6; older headers lack the ids of links. */
struct query_attribute {
	uint32_t target; /* descriptor or interface index */
	uint32_t attach_type;
	uint32_t query_flags;
	uint32_t attach_flags;
	uint64_t program_ids;
	uint32_t count;
	uint32_t pad;
	uint64_t program_flags;
	uint64_t link_ids;
	uint64_t link_flags;
	uint64_t revision;
};

struct query {
	struct query_attribute attribute;
	const char *path; /* of the target, or NULL */
	uint32_t program_ids[QUERY_ROOM];
	uint32_t link_ids[QUERY_ROOM];
	int error;
	const char *syscall;
};

static void query_run(void *argument)
{
	struct query *query = argument;
	int target = -1;

	if (query->path) {
		target = open(query->path, O_RDONLY | O_CLOEXEC);
		query->attribute.target = (uint32_t)target;
		if (target < 0) {
			query->error = errno;
			query->syscall = "open";
			return;
		}
	}
	if (sys_bpf(BPF_PROG_QUERY, &query->attribute, sizeof(query->attribute)) < 0)
		query->error = errno;
	if (target >= 0)
		close(target);
}

napi_value program_query(napi_env env, napi_callback_info info)
{
	struct query query = {.syscall = "bpf(BPF_PROG_QUERY)"};
	char path[PATH_BYTES], netns[PATH_BYTES];
	napi_value argv[3], result, entry;
	int error;

	if (!get_arguments(env, info, 3, argv) ||
	    !get_uint32(env, argv[0], "attachType", &query.attribute.attach_type) ||
	    !get_optional_string(env, argv[2], "netns", sizeof(netns), netns))
		return NULL;
	if (is_type(env, argv[1], napi_string)) {
		if (!get_string(env, argv[1], "target", sizeof(path), path))
			return NULL;
		query.path = path;
	} else if (!get_uint32(env, argv[1], "target", &query.attribute.target)) {
		return NULL;
	}
	query.attribute.program_ids = (uintptr_t)query.program_ids;
	query.attribute.link_ids = (uintptr_t)query.link_ids;
	query.attribute.count = QUERY_ROOM;
	error = run_in_netns(netns, query_run, &query, &query.syscall);
	if (error)
		return throw_errno(env, error, query.syscall, netns);
	if (query.error == ENOENT && !query.path)
		query.attribute.count = 0; /* how tcx says that it has never had a program */
	else if (query.error)
		return throw_errno(env, query.error, query.syscall, query.path);
	if (napi_create_array(env, &result) != napi_ok)
		return throw_napi(env);
	for (uint32_t i = 0; i < query.attribute.count && i < QUERY_ROOM; i++) {
		if (napi_create_object(env, &entry) != napi_ok)
			return throw_napi(env);
		set_number(env, entry, "programId", query.program_ids[i]);
		set_number(env, entry, "linkId", query.link_ids[i]);
		napi_set_element(env, result, i, entry);
	}
	return result;
}
