/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all files of the addon share: handles, the values that come from and go to JavaScript, and failures.
 *
 * Every function that JavaScript calls reads its arguments first, with the get_*() helpers. These throw a
 * JavaScript exception and return false when the value is not what is wanted, so a function reads
 *
 *	if (!get_map(env, argv[0], &map) || !get_bytes(env, argv[1], "key", map->key_size, &key))
 *		return NULL;
 *
 * and after that nothing can go wrong but the system call itself. NULL is what a Node-API callback returns
 * for undefined, and for "an exception is pending".
 */
#ifndef STENTOR_HANDLES_H
#define STENTOR_HANDLES_H

#include <node_api.h>

#include <linux/bpf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_BYTES 4096
#define NAME_BYTES 128

/* ---- handles ---- */

enum handle_kind {
	HANDLE_OBJECT,
	HANDLE_MAP,
	HANDLE_PROGRAM,
	HANDLE_LINK,
	HANDLE_RING,
	HANDLE_SOCKET,
	HANDLE_POLL,
	HANDLE_BEAT,
};

/*
 * The head of everything that JavaScript holds. The JavaScript value owns one reference; a job on another
 * thread, or the event loop for a poll, owns another. `closed` and `fd` belong to the JavaScript thread: a
 * job gets its own descriptor.
 */
struct handle {
	enum handle_kind kind;
	atomic_int references;
	bool closed;
	int fd;				      /* -1: none, or closed */
	void (*release)(struct handle *self); /* gives back all but the memory; called once */
	char name[NAME_BYTES];		      /* for error texts */
};

struct map {
	struct handle handle;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint32_t value_bytes; /* as user space sees a value: per-CPU maps have one for each possible CPU */
	uint32_t max_entries;
};

/* Allocates `size` bytes that begin with a struct handle which holds one reference. NULL after throwing. */
void *handle_new(napi_env env, enum handle_kind kind, size_t size, const char *name);
/* Hands the reference over to a new JavaScript value. Drops it when that fails. */
napi_value handle_wrap(napi_env env, struct handle *handle);
void handle_hold(struct handle *handle);
void handle_drop(struct handle *handle);
void handle_close(struct handle *handle);
/* `handle` is left alone unless the value is an open handle of that kind. */
bool get_handle(napi_env env, napi_value value, enum handle_kind kind, void *handle);
bool get_map(napi_env env, napi_value value, struct map **map);
/* An open handle that has a descriptor. */
bool get_descriptor_handle(napi_env env, napi_value value, struct handle **handle);
/* A handle whose only resource is a descriptor, which it takes over, also on failure. */
napi_value wrap_descriptor(napi_env env, enum handle_kind kind, int fd, const char *name);
/* The same for a map: asks the kernel for its sizes. `name` may be NULL: the kernel's. */
napi_value wrap_map(napi_env env, int fd, const char *name);

/* ---- arguments ---- */

struct bytes {
	void *data;
	size_t length;
};

bool get_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *argv);
bool get_uint32(napi_env env, napi_value value, const char *name, uint32_t *number);
bool get_string(napi_env env, napi_value value, const char *name, size_t size, char *text);
/* A Uint8Array of at least `least` bytes, else TypeError or RangeError. Good until the callback returns. */
bool get_bytes(napi_env env, napi_value value, const char *name, uint64_t least, struct bytes *bytes);
bool get_member(napi_env env, napi_value object, const char *name, napi_value *value);
bool get_uint32_member(napi_env env, napi_value object, const char *name, uint32_t *number);
/* undefined reads as the empty string. */
bool get_optional_string(napi_env env, napi_value value, const char *name, size_t size, char *text);
bool is_type(napi_env env, napi_value value, napi_valuetype type);

/* ---- results ---- */

napi_value number_value(napi_env env, double number);
napi_value bool_value(napi_env env, bool truth);
napi_value string_value(napi_env env, const char *text);
napi_value bigint_value(napi_env env, uint64_t number);
void set_number(napi_env env, napi_value object, const char *name, double number);
void set_string(napi_env env, napi_value object, const char *name, const char *text);
void set_bool(napi_env env, napi_value object, const char *name, bool truth);

/* ---- failures ---- */

struct failure {
	int error;	     /* positive errno */
	const char *syscall; /* "bpf(BPF_MAP_CREATE)" */
	const char *subject; /* what it was about: a name or a path; may be NULL */
	const char *log;     /* may be NULL */
	bool has_done;
	uint32_t done;
};

napi_value failure_value(napi_env env, const struct failure *failure);
napi_value throw_failure(napi_env env, const struct failure *failure);
napi_value throw_errno(napi_env env, int error, const char *syscall, const char *subject);
napi_value throw_type(napi_env env, const char *format, ...) __attribute__((format(printf, 2, 3)));
napi_value throw_range(napi_env env, const char *format, ...) __attribute__((format(printf, 2, 3)));
napi_value throw_closed(napi_env env, const char *message);
/* Throws what Node-API last complained about, unless an exception is pending already. */
napi_value throw_napi(napi_env env);

/* ---- jobs: blocking work off the JavaScript thread ---- */

/*
 * The head of a piece of work. `run` is called on a thread of the pool; on the JavaScript thread `result`
 * then makes the value that the promise resolves with, unless `failure.error` is set, and `free` gives
 * everything back. `free` is called exactly once, also when the environment ends before the work began.
 */
struct job {
	napi_async_work work;
	napi_deferred deferred;
	struct failure failure;
	void (*run)(struct job *job);
	napi_value (*result)(napi_env env, struct job *job);
	void (*free)(struct job *job);
};

/* Returns the promise. On failure frees the job and returns NULL with an exception pending. */
napi_value job_start(napi_env env, struct job *job, const char *name);

/* ---- namespaces ---- */

/*
 * Runs `run(argument)` inside the network namespace at `path` on a thread that lives for this only, so that
 * no thread of Node ever changes its namespaces; runs it right here when `path` is empty. Returns 0, or the
 * errno of entering, with its system call in `syscall`.
 */
int run_in_netns(const char *path, void (*run)(void *argument), void *argument, const char **syscall);

/* ---- bpf(2) and libbpf ---- */

long sys_bpf(int command, void *attribute, size_t size);

/* An operation on one entry; `value` may be NULL. Returns 0 or a positive errno. */
int map_one_entry(const struct map *map, int command, const void *key, const void *value, uint64_t flags);

struct text {
	char *data; /* NULL while empty */
	size_t length;
	size_t room;
};

/* Once for the process, before libbpf is used. */
void log_start(void);
/* Where this thread's libbpf calls report to from now on; NULL: nowhere. */
void log_into(struct text *text);

/* ---- what module.c exports ---- */

napi_value set_error_classes(napi_env env, napi_callback_info info);
napi_value describe_errno(napi_env env, napi_callback_info info);
napi_value close_handle(napi_env env, napi_callback_info info);
napi_value is_closed(napi_env env, napi_callback_info info);
napi_value descriptor(napi_env env, napi_callback_info info);

napi_value object_open(napi_env env, napi_callback_info info);
napi_value object_maps(napi_env env, napi_callback_info info);
napi_value object_programs(napi_env env, napi_callback_info info);
napi_value object_set_data(napi_env env, napi_callback_info info);
napi_value object_set_max_entries(napi_env env, napi_callback_info info);
napi_value object_reuse_map(napi_env env, napi_callback_info info);
napi_value object_set_autoload(napi_env env, napi_callback_info info);
napi_value object_set_program_type(napi_env env, napi_callback_info info);
napi_value object_load(napi_env env, napi_callback_info info);
napi_value object_map(napi_env env, napi_callback_info info);
napi_value object_program(napi_env env, napi_callback_info info);

napi_value pin(napi_env env, napi_callback_info info);
napi_value map_open_pinned(napi_env env, napi_callback_info info);
napi_value program_open_pinned(napi_env env, napi_callback_info info);
napi_value link_open_pinned(napi_env env, napi_callback_info info);
napi_value map_open_by_id(napi_env env, napi_callback_info info);
napi_value program_open_by_id(napi_env env, napi_callback_info info);
napi_value link_open_by_id(napi_env env, napi_callback_info info);

napi_value map_create(napi_env env, napi_callback_info info);
napi_value map_info(napi_env env, napi_callback_info info);
napi_value btf_read(napi_env env, napi_callback_info info);
napi_value map_value_bytes(napi_env env, napi_callback_info info);
napi_value map_lookup(napi_env env, napi_callback_info info);
napi_value map_update(napi_env env, napi_callback_info info);
napi_value map_delete(napi_env env, napi_callback_info info);
napi_value map_take(napi_env env, napi_callback_info info);
napi_value map_update_batch(napi_env env, napi_callback_info info);
napi_value map_delete_batch(napi_env env, napi_callback_info info);
napi_value map_read(napi_env env, napi_callback_info info);
napi_value map_freeze(napi_env env, napi_callback_info info);

napi_value program_info(napi_env env, napi_callback_info info);
napi_value program_test_run(napi_env env, napi_callback_info info);
napi_value program_query(napi_env env, napi_callback_info info);

napi_value link_create(napi_env env, napi_callback_info info);
napi_value link_info(napi_env env, napi_callback_info info);
napi_value link_update(napi_env env, napi_callback_info info);
napi_value link_detach(napi_env env, napi_callback_info info);

napi_value ring_open(napi_env env, napi_callback_info info);
napi_value ring_drain(napi_env env, napi_callback_info info);
napi_value ring_used_bytes(napi_env env, napi_callback_info info);

napi_value socket_open(napi_env env, napi_callback_info info);
napi_value socket_send(napi_env env, napi_callback_info info);
napi_value socket_receive(napi_env env, napi_callback_info info);
napi_value socket_wait(napi_env env, napi_callback_info info);
napi_value socket_netns_cookie(napi_env env, napi_callback_info info);
napi_value socket_exchange(napi_env env, napi_callback_info info);

napi_value packet_open(napi_env env, napi_callback_info info);
napi_value packet_join(napi_env env, napi_callback_info info);
napi_value packet_send(napi_env env, napi_callback_info info);
napi_value packet_receive(napi_env env, napi_callback_info info);
napi_value beat_start(napi_env env, napi_callback_info info);
napi_value beat_set_peers(napi_env env, napi_callback_info info);
napi_value beat_touch(napi_env env, napi_callback_info info);
napi_value beat_lapsed(napi_env env, napi_callback_info info);
napi_value beat_resume(napi_env env, napi_callback_info info);
napi_value beat_alive(napi_env env, napi_callback_info info);
napi_value beat_hold(napi_env env, napi_callback_info info);
napi_value poll_start(napi_env env, napi_callback_info info);

napi_value netns_create(napi_env env, napi_callback_info info);
napi_value netns_delete(napi_env env, napi_callback_info info);
napi_value netns_read_file(napi_env env, napi_callback_info info);
napi_value netns_write_file(napi_env env, napi_callback_info info);

napi_value monotonic_ns(napi_env env, napi_callback_info info);
napi_value boottime_ns(napi_env env, napi_callback_info info);
napi_value possible_cpus(napi_env env, napi_callback_info info);

#endif
