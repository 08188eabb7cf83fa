/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: a program attached to a hook, owned by a descriptor or a pin.
 *
 * bpf(2) is called directly: the libbpf of Debian 12 predates tcx. Attaching to and detaching from tcx wait
 * for an RCU grace period (8 to 16 ms), so both are jobs.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* BPF_LINK_CREATE as of Linux 6.6, the members that tcx, netkit, cgroup, xdp and sk_lookup use. */
struct link_create_attribute {
	uint32_t program;
	uint32_t target; /* descriptor or interface index */
	uint32_t attach_type;
	uint32_t flags;
	uint32_t relative;
	uint32_t pad;
	uint64_t expected_revision;
};

struct link_creation {
	struct job job;
	struct link_create_attribute attribute;
	char target_path[PATH_BYTES]; /* empty: attribute.target is an interface index */
	char netns[PATH_BYTES];	      /* empty: ours */
	char name[NAME_BYTES];
	int program; /* our own descriptor, so that closing the handle meanwhile does not matter */
	int link;
};

static void creation_failed(struct link_creation *creation, const char *syscall, const char *subject)
{
	creation->job.failure = (struct failure){.error = errno, .syscall = syscall, .subject = subject};
}

static void create_link(void *argument)
{
	struct link_creation *creation = argument;
	int target = -1;

	if (creation->target_path[0]) {
		target = open(creation->target_path, O_RDONLY | O_CLOEXEC);
		if (target < 0) {
			creation_failed(creation, "open", creation->target_path);
			return;
		}
		creation->attribute.target = (uint32_t)target;
	}
	creation->link = (int)sys_bpf(BPF_LINK_CREATE, &creation->attribute, sizeof(creation->attribute));
	if (creation->link < 0)
		creation_failed(creation, "bpf(BPF_LINK_CREATE)", creation->name);
	if (target >= 0)
		close(target);
}

static void creation_run(struct job *job)
{
	struct link_creation *creation = (struct link_creation *)job;
	const char *syscall = NULL;
	int error = run_in_netns(creation->netns, create_link, creation, &syscall);

	if (error)
		job->failure =
		    (struct failure){.error = error, .syscall = syscall, .subject = creation->netns};
}

static napi_value creation_result(napi_env env, struct job *job)
{
	struct link_creation *creation = (struct link_creation *)job;
	int fd = creation->link;

	creation->link = -1;
	return wrap_descriptor(env, HANDLE_LINK, fd, creation->name);
}

static void creation_free(struct job *job)
{
	struct link_creation *creation = (struct link_creation *)job;

	if (creation->program >= 0)
		close(creation->program);
	if (creation->link >= 0)
		close(creation->link);
	free(creation);
}

static bool read_creation(napi_env env, napi_value request, struct link_creation *creation)
{
	napi_value target, netns, program_value;
	struct handle *program;

	if (!get_member(env, request, "target", &target) || !get_member(env, request, "netns", &netns) ||
	    !get_member(env, request, "program", &program_value) ||
	    !get_uint32_member(env, request, "attachType", &creation->attribute.attach_type) ||
	    !get_uint32_member(env, request, "flags", &creation->attribute.flags) ||
	    !get_uint32_member(env, request, "relativeId", &creation->attribute.relative) ||
	    !get_optional_string(env, netns, "netns", PATH_BYTES, creation->netns))
		return false;
	if (is_type(env, target, napi_string)) {
		if (!get_string(env, target, "target", PATH_BYTES, creation->target_path))
			return false;
	} else if (!get_uint32(env, target, "target", &creation->attribute.target)) {
		return false;
	}
	if (!get_handle(env, program_value, HANDLE_PROGRAM, &program))
		return false;
	memcpy(creation->name, program->name, NAME_BYTES);
	creation->program = fcntl(program->fd, F_DUPFD_CLOEXEC, 3);
	if (creation->program < 0) {
		throw_errno(env, errno, "fcntl(F_DUPFD_CLOEXEC)", program->name);
		return false;
	}
	creation->attribute.program = (uint32_t)creation->program;
	return true;
}

napi_value link_create(napi_env env, napi_callback_info info)
{
	struct link_creation *creation;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv))
		return NULL;
	creation = calloc(1, sizeof(*creation));
	if (!creation)
		return throw_errno(env, ENOMEM, "calloc", NULL);
	creation->program = -1;
	creation->link = -1;
	creation->job = (struct job){.run = creation_run, .result = creation_result, .free = creation_free};
	if (!read_creation(env, argv[0], creation)) {
		creation_free(&creation->job);
		return NULL;
	}
	return job_start(env, &creation->job, "stentor:attach");
}

/* ---- update and detach ---- */

napi_value link_update(napi_env env, napi_callback_info info)
{
	struct handle *link, *program, *expected = NULL;
	union bpf_attr attribute = {};
	napi_value argv[3];

	if (!get_arguments(env, info, 3, argv) || !get_handle(env, argv[0], HANDLE_LINK, &link) ||
	    !get_handle(env, argv[1], HANDLE_PROGRAM, &program))
		return NULL;
	if (!is_type(env, argv[2], napi_undefined) && !get_handle(env, argv[2], HANDLE_PROGRAM, &expected))
		return NULL;
	attribute.link_update.link_fd = (uint32_t)link->fd;
	attribute.link_update.new_prog_fd = (uint32_t)program->fd;
	if (expected) {
		attribute.link_update.flags = BPF_F_REPLACE;
		attribute.link_update.old_prog_fd = (uint32_t)expected->fd;
	}
	if (sys_bpf(BPF_LINK_UPDATE, &attribute, sizeof(attribute)) < 0)
		return throw_errno(env, errno, "bpf(BPF_LINK_UPDATE)", link->name);
	return NULL;
}

struct detachment {
	struct job job;
	char name[NAME_BYTES];
	int link;
};

static void detachment_run(struct job *job)
{
	struct detachment *detachment = (struct detachment *)job;
	union bpf_attr attribute = {};

	attribute.link_detach.link_fd = (uint32_t)detachment->link;
	if (sys_bpf(BPF_LINK_DETACH, &attribute, sizeof(attribute)) < 0)
		job->failure = (struct failure){
		    .error = errno, .syscall = "bpf(BPF_LINK_DETACH)", .subject = detachment->name};
}

static napi_value detachment_result(napi_env env, struct job *job)
{
	napi_value undefined = NULL;

	(void)job;
	napi_get_undefined(env, &undefined);
	return undefined;
}

static void detachment_free(struct job *job)
{
	struct detachment *detachment = (struct detachment *)job;

	close(detachment->link);
	free(detachment);
}

napi_value link_detach(napi_env env, napi_callback_info info)
{
	struct detachment *detachment;
	struct handle *link;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_LINK, &link))
		return NULL;
	detachment = calloc(1, sizeof(*detachment));
	if (!detachment)
		return throw_errno(env, ENOMEM, "calloc", NULL);
	detachment->job =
	    (struct job){.run = detachment_run, .result = detachment_result, .free = detachment_free};
	memcpy(detachment->name, link->name, NAME_BYTES);
	detachment->link = fcntl(link->fd, F_DUPFD_CLOEXEC, 3);
	if (detachment->link < 0) {
		free(detachment);
		return throw_errno(env, errno, "fcntl(F_DUPFD_CLOEXEC)", link->name);
	}
	return job_start(env, &detachment->job, "stentor:detach");
}

/* ---- what the kernel knows about one ---- */

/* enum bpf_link_type */
enum { LINK_CGROUP = 3, LINK_NETNS = 5, LINK_XDP = 6, LINK_TCX = 11, LINK_NETKIT = 13 };

/* struct bpf_link_info as of Linux 6.6, with room for its largest member. */
struct link_information {
	uint32_t type;
	uint32_t id;
	uint32_t program_id;
	uint32_t pad;
	union {
		struct {
			uint32_t ifindex;
			uint32_t attach_type; /* not for XDP */
		} device;
		struct {
			uint64_t id;
			uint32_t attach_type;
		} cgroup;
		struct {
			uint32_t inode;
			uint32_t attach_type;
		} netns;
		uint64_t room[8];
	};
};

napi_value link_info(napi_env env, napi_callback_info info)
{
	struct link_information found = {};
	union bpf_attr attribute = {};
	napi_value argv[1], result;
	struct handle *link;

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_LINK, &link))
		return NULL;
	attribute.info.bpf_fd = (uint32_t)link->fd;
	attribute.info.info_len = sizeof(found);
	attribute.info.info = (uintptr_t)&found;
	if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attribute, sizeof(attribute)) < 0)
		return throw_errno(env, errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)", link->name);
	if (napi_create_object(env, &result) != napi_ok)
		return throw_napi(env);
	set_number(env, result, "id", found.id);
	set_number(env, result, "type", found.type);
	set_number(env, result, "programId", found.program_id);
	if (found.type == LINK_TCX || found.type == LINK_NETKIT || found.type == LINK_XDP)
		set_number(env, result, "ifindex", found.device.ifindex);
	if (found.type == LINK_TCX || found.type == LINK_NETKIT)
		set_number(env, result, "attachType", found.device.attach_type);
	if (found.type == LINK_CGROUP) {
		napi_set_named_property(env, result, "cgroupId", bigint_value(env, found.cgroup.id));
		set_number(env, result, "attachType", found.cgroup.attach_type);
	}
	if (found.type == LINK_NETNS) {
		set_number(env, result, "netnsInode", found.netns.inode);
		set_number(env, result, "attachType", found.netns.attach_type);
	}
	return result;
}
