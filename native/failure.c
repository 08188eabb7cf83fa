/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failures as exceptions: KernelError and HandleClosedError of src/kernel/errors.ts, TypeError and
 * RangeError.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The classes of errors.ts, per environment: each worker thread has its own. */
struct error_classes {
	napi_ref kernel_error;
	napi_ref closed_error;
};

/* Node does not do it when an environment ends: each worker would leave two references behind. */
static void free_classes(napi_env env, void *data, void *hint)
{
	struct error_classes *classes = data;

	(void)hint;
	if (classes->kernel_error)
		napi_delete_reference(env, classes->kernel_error);
	if (classes->closed_error)
		napi_delete_reference(env, classes->closed_error);
	free(classes);
}

napi_value set_error_classes(napi_env env, napi_callback_info info)
{
	struct error_classes *classes, *before = NULL;
	napi_value argv[2];

	if (!get_arguments(env, info, 2, argv))
		return NULL;
	if (!is_type(env, argv[0], napi_function) || !is_type(env, argv[1], napi_function))
		return throw_type(env, "Wanted two error classes");
	classes = calloc(1, sizeof(*classes));
	if (!classes)
		return throw_errno(env, ENOMEM, "calloc", NULL);
	if (napi_create_reference(env, argv[0], 1, &classes->kernel_error) != napi_ok ||
	    napi_create_reference(env, argv[1], 1, &classes->closed_error) != napi_ok ||
	    napi_get_instance_data(env, (void **)&before) != napi_ok ||
	    napi_set_instance_data(env, classes, free_classes, NULL) != napi_ok) {
		free_classes(env, classes, NULL);
		return throw_napi(env);
	}
	if (before)
		free_classes(env, before, NULL);
	return NULL;
}

static bool get_classes(napi_env env, struct error_classes **classes)
{
	*classes = NULL;
	return napi_get_instance_data(env, (void **)classes) == napi_ok && *classes;
}

static const char *errno_name(int error, char room[16])
{
	const char *name = strerrorname_np(error);

	if (name)
		return name;
	if (error == 524) /* ENOTSUPP: internal to the kernel, but bpf(2) lets it out */
		return "ENOTSUPP";
	snprintf(room, 16, "E%d", error);
	return room;
}

static const char *errno_text(int error, char room[128])
{
	const char *text = strerrordesc_np(error);

	if (text)
		return text;
	if (error == 524)
		return "Operation is not supported";
	libbpf_strerror(error, room, 128);
	return room;
}

napi_value describe_errno(napi_env env, napi_callback_info info)
{
	napi_value argv[1], result;
	char name[16], text[128];
	uint32_t error;

	if (!get_arguments(env, info, 1, argv) || !get_uint32(env, argv[0], "errno", &error))
		return NULL;
	if (napi_create_object(env, &result) != napi_ok)
		return throw_napi(env);
	set_string(env, result, "code", errno_name((int)error, name));
	set_string(env, result, "text", errno_text((int)error, text));
	return result;
}

napi_value failure_value(napi_env env, const struct failure *failure)
{
	char message[PATH_BYTES + 512], name[16], text[128];
	napi_value argv[2], constructor, error = NULL;
	struct error_classes *classes;

	snprintf(message, sizeof(message), "%s%s%s failed: %s (%s)", failure->syscall,
		 failure->subject ? " on " : "", failure->subject ? failure->subject : "",
		 errno_name(failure->error, name), errno_text(failure->error, text));
	argv[0] = string_value(env, message);
	if (napi_create_object(env, &argv[1]) != napi_ok)
		return NULL;
	set_string(env, argv[1], "code", errno_name(failure->error, name));
	set_number(env, argv[1], "errno", failure->error);
	set_string(env, argv[1], "syscall", failure->syscall);
	if (failure->has_done)
		set_number(env, argv[1], "done", failure->done);
	if (failure->log)
		set_string(env, argv[1], "log", failure->log);
	if (!get_classes(env, &classes)) {
		napi_create_error(env, NULL, argv[0], &error);
	} else if (napi_get_reference_value(env, classes->kernel_error, &constructor) == napi_ok) {
		napi_new_instance(env, constructor, 2, argv, &error);
	}
	return error;
}

napi_value throw_failure(napi_env env, const struct failure *failure)
{
	napi_value error = failure_value(env, failure);

	if (error)
		napi_throw(env, error);
	return NULL;
}

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *subject)
{
	return throw_failure(env, &(struct failure){.error = error, .syscall = syscall, .subject = subject});
}

napi_value throw_closed(napi_env env, const char *message)
{
	napi_value constructor, error, argument = string_value(env, message);
	struct error_classes *classes;

	if (!get_classes(env, &classes)) {
		napi_throw_error(env, "ERR_HANDLE_CLOSED", message);
	} else if (napi_get_reference_value(env, classes->closed_error, &constructor) == napi_ok &&
		   napi_new_instance(env, constructor, 1, &argument, &error) == napi_ok) {
		napi_throw(env, error);
	}
	return NULL;
}

napi_value throw_type(napi_env env, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	napi_throw_type_error(env, NULL, message);
	return NULL;
}

napi_value throw_range(napi_env env, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	napi_throw_range_error(env, NULL, message);
	return NULL;
}

napi_value throw_napi(napi_env env)
{
	const napi_extended_error_info *info = NULL;
	const char *message = NULL;
	bool pending = true;

	if (napi_get_last_error_info(env, &info) == napi_ok)
		message = info->error_message; /* a constant; `info` itself is reused by the next call */
	if (napi_is_exception_pending(env, &pending) == napi_ok && !pending)
		napi_throw_error(env, NULL, message ? message : "Node-API failed");
	return NULL;
}
