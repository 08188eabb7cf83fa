/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces. A namespace belongs to a thread, so everything that needs another one happens on a
 * thread that is made for it and ends with it; no thread of Node ever changes.
 *
 * A named namespace is a file on which /proc/…/ns/net is bind-mounted, as ip-netns(8) does it.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

struct visit {
	const char *path;
	void (*run)(void *argument);
	void *argument;
	int error;
	const char *syscall;
};

static void visit_failed(struct visit *visit, const char *syscall)
{
	visit->error = errno;
	visit->syscall = syscall;
}

static void *visit_thread(void *data)
{
	struct visit *visit = data;
	int fd = open(visit->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		visit_failed(visit, "open");
		return NULL;
	}
	if (setns(fd, CLONE_NEWNET))
		visit_failed(visit, "setns");
	close(fd);
	if (!visit->error)
		visit->run(visit->argument);
	return NULL;
}

/* Returns 0 or a positive errno. */
static int run_on_thread(void *(*run)(void *data), void *data)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, run, data);

	if (!error)
		pthread_join(thread, NULL);
	return error;
}

int run_in_netns(const char *path, void (*run)(void *argument), void *argument, const char **syscall)
{
	struct visit visit = {.path = path, .run = run, .argument = argument};
	int error;

	if (!path[0]) {
		run(argument);
		return 0;
	}
	error = run_on_thread(visit_thread, &visit);
	if (error) {
		*syscall = "pthread_create";
		return error;
	}
	if (visit.error)
		*syscall = visit.syscall;
	return visit.error;
}

/* ---- named namespaces ---- */

static void *creation_thread(void *data)
{
	struct visit *creation = data;

	if (unshare(CLONE_NEWNET))
		visit_failed(creation, "unshare(CLONE_NEWNET)");
	else if (mount("/proc/thread-self/ns/net", creation->path, NULL, MS_BIND, NULL))
		visit_failed(creation, "mount");
	return NULL;
}

napi_value netns_create(napi_env env, napi_callback_info info)
{
	char path[PATH_BYTES];
	struct visit creation = {.path = path};
	napi_value argv[1];
	int fd, error;

	if (!get_arguments(env, info, 1, argv) || !get_string(env, argv[0], "path", sizeof(path), path))
		return NULL;
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return throw_errno(env, errno, "open", path);
	close(fd);
	error = run_on_thread(creation_thread, &creation);
	if (error || creation.error) {
		unlink(path);
		return throw_errno(env, error ? error : creation.error,
				   error ? "pthread_create" : creation.syscall, path);
	}
	return NULL;
}

napi_value netns_delete(napi_env env, napi_callback_info info)
{
	char path[PATH_BYTES];
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_string(env, argv[0], "path", sizeof(path), path))
		return NULL;
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) &&
	    errno != EINVAL) /* EINVAL: nothing is mounted there */
		return throw_errno(env, errno, "umount2", path);
	if (unlink(path))
		return throw_errno(env, errno, "unlink", path);
	return NULL;
}

/* ---- files with another content in each namespace: /proc/sys/net, /proc/thread-self/net ---- */

enum { FILE_BYTES = 64 * 1024 };

struct file_access {
	const char *path;
	int flags;
	char *data;
	size_t length; /* to write; or read */
	int error;
	const char *syscall;
};

static void access_failed(struct file_access *access, const char *syscall)
{
	access->error = errno;
	access->syscall = syscall;
}

static void read_all(struct file_access *access, int fd)
{
	ssize_t got;

	while (access->length < FILE_BYTES) {
		got = read(fd, access->data + access->length, FILE_BYTES - access->length);
		if (got < 0)
			access_failed(access, "read");
		if (got <= 0)
			return;
		access->length += (size_t)got;
	}
}

static void access_file(void *argument)
{
	struct file_access *access = argument;
	int fd = open(access->path, access->flags | O_CLOEXEC);

	if (fd < 0) {
		access_failed(access, "open");
		return;
	}
	if (access->flags == O_RDONLY)
		read_all(access, fd);
	else if (write(fd, access->data, access->length) !=
		 (ssize_t)access->length) /* sysctls take it whole or not at all */
		access_failed(access, "write");
	close(fd);
}

static bool access_in_netns(napi_env env, const char *netns, struct file_access *access)
{
	const char *syscall = NULL;
	int error = run_in_netns(netns, access_file, access, &syscall);

	if (error)
		throw_errno(env, error, syscall, netns);
	else if (access->error)
		throw_errno(env, access->error, access->syscall, access->path);
	return !error && !access->error;
}

napi_value netns_read_file(napi_env env, napi_callback_info info)
{
	char netns[PATH_BYTES], path[PATH_BYTES], data[FILE_BYTES];
	struct file_access access = {.path = path, .flags = O_RDONLY, .data = data};
	napi_value argv[2], text;

	if (!get_arguments(env, info, 2, argv) || !get_string(env, argv[0], "netns", sizeof(netns), netns) ||
	    !get_string(env, argv[1], "path", sizeof(path), path) || !access_in_netns(env, netns, &access))
		return NULL;
	if (napi_create_string_utf8(env, data, access.length, &text) != napi_ok)
		return throw_napi(env);
	return text;
}

napi_value netns_write_file(napi_env env, napi_callback_info info)
{
	char netns[PATH_BYTES], path[PATH_BYTES], data[PATH_BYTES];
	struct file_access access = {.path = path, .flags = O_WRONLY, .data = data};
	napi_value argv[3];

	if (!get_arguments(env, info, 3, argv) || !get_string(env, argv[0], "netns", sizeof(netns), netns) ||
	    !get_string(env, argv[1], "path", sizeof(path), path) ||
	    !get_string(env, argv[2], "text", sizeof(data), data))
		return NULL;
	access.length = strlen(data);
	access_in_netns(env, netns, &access);
	return NULL;
}
