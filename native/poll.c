/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polls: Node's event loop watches a descriptor and calls a function while it is readable.
 *
 * A poll watches its own duplicate of the descriptor, so the socket or ring may be closed first. Two hold on
 * to it: the JavaScript value, and the loop from poll_start() until the loop has said that it let go.
 *
 *	poll_start() ──▶ watching ──close(), or the environment ends──▶ uv_close() ──▶ let_go()
 *
 * Without the clean-up hook, Node aborts when a worker thread is terminated while a poll is open.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * libuv without its headers. Node exports these symbols, and uv_handle_size() and uv_handle_set_data() exist
 * so that bindings need no struct layout (libuv's documentation of uv_handle_t).
 */
typedef struct uv_poll_s uv_poll_t;
extern size_t uv_handle_size(int type);
extern void *uv_handle_get_data(const void *handle);
extern void uv_handle_set_data(void *handle, void *data);
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *poll, int fd);
extern int uv_poll_start(uv_poll_t *poll, int events,
			 void (*callback)(uv_poll_t *poll, int status, int events));
extern void uv_close(void *handle, void (*callback)(void *handle));

enum { UV_POLL = 8, UV_READABLE = 1 };

struct poll {
	struct handle handle;
	uv_poll_t *uv;
	int watched; /* the duplicate; outlives handle.fd until the loop lets go */
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	napi_async_cleanup_hook_handle hook;
};

static void let_go(void *uv)
{
	struct poll *poll = uv_handle_get_data(uv);

	free(uv);
	close(poll->watched);
	if (poll->hook)
		napi_remove_async_cleanup_hook(poll->hook);
	handle_drop(&poll->handle);
}

static void poll_release(struct handle *self)
{
	struct poll *poll = (struct poll *)self;

	if (poll->callback)
		napi_delete_reference(poll->env, poll->callback);
	if (poll->context)
		napi_async_destroy(poll->env, poll->context);
	uv_close(poll->uv, let_go);
}

static void environment_ends(napi_async_cleanup_hook_handle hook, void *data)
{
	struct poll *poll = data;

	(void)hook;
	handle_close(&poll->handle);
}

static void on_readable(uv_poll_t *uv, int status, int events)
{
	struct poll *poll = uv_handle_get_data(uv);
	napi_value callback, global, result, error;
	napi_handle_scope scope;
	bool pending = false;

	(void)status; /* an error makes the callback's own read fail, which says more */
	(void)events;
	if (napi_open_handle_scope(poll->env, &scope) != napi_ok)
		return;
	if (napi_get_reference_value(poll->env, poll->callback, &callback) == napi_ok &&
	    napi_get_global(poll->env, &global) == napi_ok &&
	    napi_make_callback(poll->env, poll->context, global, callback, 0, NULL, &result) != napi_ok &&
	    napi_is_exception_pending(poll->env, &pending) == napi_ok && pending &&
	    napi_get_and_clear_last_exception(poll->env, &error) == napi_ok)
		napi_fatal_exception(poll->env, error);
	napi_close_handle_scope(poll->env, scope);
}

/* Gives the poll to the loop. Returns 0 or a positive errno; after 0 the loop holds a reference. */
static int watch(struct uv_loop_s *loop, struct poll *poll, int fd)
{
	int error;

	poll->watched = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (poll->watched < 0)
		return errno;
	poll->uv = calloc(1, uv_handle_size(UV_POLL));
	error = poll->uv ? -uv_poll_init(loop, poll->uv, poll->watched) : ENOMEM;
	if (error) {
		close(poll->watched);
		free(poll->uv);
		return error;
	}
	uv_handle_set_data(poll->uv, poll);
	poll->handle.release = poll_release;
	handle_hold(&poll->handle);
	return 0;
}

napi_value poll_start(napi_env env, napi_callback_info info)
{
	struct handle *watched;
	struct uv_loop_s *loop;
	napi_value argv[2];
	struct poll *poll;
	int error;

	if (!get_arguments(env, info, 2, argv) || !get_descriptor_handle(env, argv[0], &watched))
		return NULL;
	if (watched->kind != HANDLE_SOCKET && watched->kind != HANDLE_RING && watched->kind != HANDLE_BEAT)
		return throw_type(env, "Wanted a socket, a ring buffer or heartbeats to watch, got %s", watched->name);
	if (!is_type(env, argv[1], napi_function))
		return throw_type(env, "Wanted a function to call");
	if (napi_get_uv_event_loop(env, &loop) != napi_ok)
		return throw_napi(env);
	poll = handle_new(env, HANDLE_POLL, sizeof(*poll), watched->name);
	if (!poll)
		return NULL;
	error = watch(loop, poll, watched->fd);
	if (error) {
		handle_drop(&poll->handle);
		return throw_errno(env, error, "uv_poll_init", watched->name);
	}
	poll->env = env;
	if (napi_create_reference(env, argv[1], 1, &poll->callback) != napi_ok ||
	    napi_async_init(env, NULL, string_value(env, "stentor:poll"), &poll->context) != napi_ok ||
	    napi_add_async_cleanup_hook(env, environment_ends, poll, &poll->hook) != napi_ok) {
		handle_close(&poll->handle);
		handle_drop(&poll->handle);
		return throw_napi(env);
	}
	error = -uv_poll_start(poll->uv, UV_READABLE, on_readable);
	if (error) {
		handle_close(&poll->handle);
		handle_drop(&poll->handle);
		return throw_errno(env, error, "uv_poll_start", watched->name);
	}
	return handle_wrap(env, &poll->handle);
}
