/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink sockets: bytes out and in, and single requests on the thread pool. What the bytes mean is TypeScript's business
 * (src/kernel/socket.ts).
 */
#define _GNU_SOURCE
#include "handles.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* asm-generic/socket.h of Linux 5.14 */
#endif

struct opening {
	int protocol;
	int fd;
	int error;
};

static void open_socket(void *argument)
{
	struct opening *opening = argument;

	opening->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, opening->protocol);
	opening->error = opening->fd < 0 ? errno : 0;
}

static bool join_groups(napi_env env, napi_value groups, int fd)
{
	uint32_t count, group;
	napi_value element;

	if (napi_get_array_length(env, groups, &count) != napi_ok) {
		throw_type(env, "Wanted an array of multicast groups");
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (napi_get_element(env, groups, i, &element) != napi_ok) {
			throw_napi(env);
			return false;
		}
		if (!get_uint32(env, element, "group", &group))
			return false;
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
			throw_errno(env, errno, "setsockopt(NETLINK_ADD_MEMBERSHIP)", "netlink");
			return false;
		}
	}
	return true;
}

static bool set_up(napi_env env, int fd, uint32_t receive_bytes)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int on = 1;

	/*
	 * Some families know neither of the first two. Without CAP_NET_ADMIN the buffer is bounded by the
	 * sysctl net.core.rmem_max.
	 */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof(receive_bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		throw_errno(env, errno, "bind", "netlink");
		return false;
	}
	return true;
}

napi_value socket_open(napi_env env, napi_callback_info info)
{
	struct opening opening = {.fd = -1};
	uint32_t protocol, receive_bytes;
	const char *syscall = "socket";
	char netns[PATH_BYTES];
	napi_value argv[4];
	int error;

	if (!get_arguments(env, info, 4, argv) || !get_uint32(env, argv[0], "protocol", &protocol) ||
	    !get_uint32(env, argv[2], "receiveBufferBytes", &receive_bytes) ||
	    !get_optional_string(env, argv[3], "netns", sizeof(netns), netns))
		return NULL;
	opening.protocol = (int)protocol;
	error = run_in_netns(netns, open_socket, &opening, &syscall);
	if (error)
		return throw_errno(env, error, syscall, netns);
	if (opening.error)
		return throw_errno(env, opening.error, "socket", "netlink");
	if (!set_up(env, opening.fd, receive_bytes) || !join_groups(env, argv[1], opening.fd)) {
		close(opening.fd);
		return NULL;
	}
	return wrap_descriptor(env, HANDLE_SOCKET, opening.fd, "netlink socket");
}

napi_value socket_send(napi_env env, napi_callback_info info)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct handle *handle;
	struct bytes message;
	napi_value argv[2];
	ssize_t sent;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle) ||
	    !get_bytes(env, argv[1], "message", sizeof(struct nlmsghdr), &message))
		return NULL;
	do
		sent = sendto(handle->fd, message.data, message.length, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return throw_errno(env, errno, "sendto", handle->name);
	return NULL;
}

napi_value socket_receive(napi_env env, napi_callback_info info)
{
	struct sockaddr_nl sender = {};
	struct handle *handle;
	struct bytes into;
	struct iovec vector;
	struct msghdr header;
	napi_value argv[2];
	ssize_t received;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle) ||
	    !get_bytes(env, argv[1], "into", sizeof(struct nlmsghdr), &into))
		return NULL;
	vector = (struct iovec){.iov_base = into.data, .iov_len = into.length};
	do { /* any process may send to a netlink socket: only the kernel's port, 0, is believed */
		header = (struct msghdr){
		    .msg_name = &sender, .msg_namelen = sizeof(sender), .msg_iov = &vector, .msg_iovlen = 1};
		received = recvmsg(handle->fd, &header, MSG_DONTWAIT);
	} while ((received < 0 && errno == EINTR) || (received >= 0 && sender.nl_pid));
	if (received < 0 && errno == EAGAIN)
		return number_value(env, 0);
	if (received < 0)
		return throw_errno(env, errno, "recvmsg", handle->name);
	if (header.msg_flags & MSG_TRUNC)
		return throw_errno(env, EMSGSIZE, "recvmsg", handle->name);
	return number_value(env, (double)received);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

napi_value socket_wait(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	uint32_t timeout_ms;
	napi_value argv[2];
	int64_t deadline;
	int ready;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle) ||
	    !get_uint32(env, argv[1], "timeoutMs", &timeout_ms))
		return NULL;
	deadline = now_ms() + timeout_ms;
	do {
		struct pollfd waiting = {.fd = handle->fd, .events = POLLIN};
		int64_t left = deadline - now_ms();

		ready = poll(&waiting, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return throw_errno(env, errno, "poll", handle->name);
	return bool_value(env, ready > 0);
}

napi_value socket_netns_cookie(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	napi_value argv[1];
	uint64_t cookie;
	socklen_t length = sizeof(cookie);

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle))
		return NULL;
	if (getsockopt(handle->fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length))
		return throw_errno(env, errno, "getsockopt(SO_NETNS_COOKIE)", handle->name);
	return bigint_value(env, cookie);
}

/* ---- a request that the kernel takes long over, on a thread of the pool and a socket of its own ---- */

#define ANSWER_BYTES 8192 /* an acknowledgement echoes the request only when it refuses it */

struct exchange {
	struct job job;
	int fd;
	size_t length; /* of the request, then of the answer */
	unsigned char bytes[ANSWER_BYTES];
};

static void exchange_run(struct job *job)
{
	struct exchange *exchange = (struct exchange *)job;
	ssize_t got;

	do
		got = send(exchange->fd, exchange->bytes, exchange->length, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		job->failure = (struct failure){.error = errno, .syscall = "send", .subject = "netlink"};
		return;
	}
	do
		got = recv(exchange->fd, exchange->bytes, sizeof(exchange->bytes), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		job->failure = (struct failure){.error = errno, .syscall = "recv", .subject = "netlink"};
	else
		exchange->length = (size_t)got;
}

static napi_value exchange_result(napi_env env, struct job *job)
{
	struct exchange *exchange = (struct exchange *)job;
	napi_value answer = NULL;

	napi_create_buffer_copy(env, exchange->length, exchange->bytes, NULL, &answer);
	return answer;
}

static void exchange_free(struct job *job)
{
	struct exchange *exchange = (struct exchange *)job;

	if (exchange->fd >= 0)
		close(exchange->fd);
	free(exchange);
}

/* A blocking rtnetlink socket that hears from the kernel alone, or -1 with errno. */
static int connected_socket(void)
{
	const struct timeval limit = {.tv_sec = 30};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int on = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

napi_value socket_exchange(napi_env env, napi_callback_info info)
{
	struct exchange *exchange;
	struct bytes message;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) ||
	    !get_bytes(env, argv[0], "message", sizeof(struct nlmsghdr), &message))
		return NULL;
	if (message.length > ANSWER_BYTES)
		return throw_range(env, "message has %zu bytes, wanted at most %d", message.length, ANSWER_BYTES);
	exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return throw_errno(env, ENOMEM, "calloc", NULL);
	exchange->job = (struct job){.run = exchange_run, .result = exchange_result, .free = exchange_free};
	exchange->length = message.length;
	memcpy(exchange->bytes, message.data, message.length);
	exchange->fd = connected_socket();
	if (exchange->fd < 0) {
		int why = errno;

		free(exchange);
		return throw_errno(env, why, "socket", "netlink");
	}
	return job_start(env, &exchange->job, "stentor:netlink");
}
