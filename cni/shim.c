// SPDX-License-Identifier: Apache-2.0
/*
 * The CNI plugin that the container runtime starts. It decides nothing:
 *
 *   CNI_* environment + stdin ──▶ the agent's UNIX socket ──▶ stdout + exit code
 *
 *   request   "NAME=value\0" for each variable that begins with CNI_, then "\0", then stdin as it is, then end of stream
 *   reply     one byte of exit code, then the bytes for stdout until end of stream
 *
 * What it says by itself is what the agent cannot say: that the agent was not reached (CNI error 11, "try again later"),
 * and, as the answer to VERSION needs no agent, the versions. A DEL that finds no agent is left in a queue on disk, and is done:
 *
 *   write the file ──▶ look once more for an agent ─┬─▶ there: ask it, remove the file
 *                                                   └─▶ none: whoever comes listens first, then reads the queue
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/var/run/cilium/cni.sock"
#define QUEUE	       "deleteQueue" /* beside the socket; a file in it is a request */
#define VERSIONS "{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"

enum {
	LIMIT = 1 << 20,      /* bytes of stdin, and of a reply */
	CONNECT_MS = 5000,    /* an agent that is being replaced is back sooner */
	DELETE_CONNECT_MS = 1000,
	QUEUE_MAX = 4096,     /* files; more DELs than a node has pods are somebody's mistake */
	RETRY_MS = 50,
	REPLY_MS = 110000,    /* kubelet gives up after 120 s */
	IO_FAILURE = 5,       /* CNI specification, "Error" */
	TRY_AGAIN_LATER = 11,
};

extern char **environ;

static unsigned char buffer[LIMIT + 1];

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits until `fd` is ready for `events`. On failure errno says why, ETIMEDOUT included. */
static bool ready(int fd, short events, long long deadline)
{
	struct pollfd wait = {.fd = fd, .events = events};

	for (;;) {
		long long left = deadline - now_ms();
		int got = poll(&wait, 1, left > 0 ? (int)left : 0);

		if (got > 0)
			return true;
		if (got == 0) {
			errno = ETIMEDOUT;
			return false;
		}
		if (errno != EINTR)
			return false;
	}
}

static bool write_all(int fd, const void *bytes, size_t size, long long deadline)
{
	const char *at = bytes;

	while (size > 0) {
		if (!ready(fd, POLLOUT, deadline))
			return false;
		ssize_t wrote = write(fd, at, size);

		if (wrote >= 0) {
			at += wrote;
			size -= (size_t)wrote;
		} else if (errno != EINTR && errno != EAGAIN) {
			return false;
		}
	}
	return true;
}

/* Reads until end of stream into `buffer`. -1 with errno: EFBIG when there is more than LIMIT. */
static ssize_t read_all(int fd, long long deadline)
{
	size_t size = 0;

	while (size <= LIMIT) {
		if (!ready(fd, POLLIN, deadline))
			return -1;
		ssize_t got = read(fd, buffer + size, sizeof(buffer) - size);

		if (got == 0)
			return (ssize_t)size;
		if (got > 0)
			size += (size_t)got;
		else if (errno != EINTR && errno != EAGAIN)
			return -1;
	}
	errno = EFBIG;
	return -1;
}

static void print_escaped(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("?");
		else
			putchar(c);
	}
}

/* Says in the shape of the CNI specification that `what` failed with errno on `where`. Returns the exit code. */
static int fail(int code, const char *what, const char *where)
{
	const char *why = strerror(errno);

	printf("{\"cniVersion\":\"1.0.0\",\"code\":%d,\"msg\":\"Cannot %s\",\"details\":\"", code, what);
	print_escaped(where);
	printf(": %s%s\"}\n", why, code == TRY_AGAIN_LATER ? "; is the cilium pod of this node running?" : "");
	return 1;
}

/* A connected socket, or -1 with errno. An agent that does not listen yet is waited for until `deadline`. */
static int connect_agent(const char *path, long long deadline)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd < 0)
			return -1;
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		int why = errno;

		close(fd);
		errno = why;
		if ((why != ENOENT && why != ECONNREFUSED && why != EAGAIN && why != EINTR) || now_ms() >= deadline)
			return -1;
		nanosleep(&pause, NULL);
	}
}

static bool write_request(int fd, size_t stdin_size, long long deadline)
{
	for (char **variable = environ; *variable; variable++) {
		if (strncmp(*variable, "CNI_", 4) == 0 && !write_all(fd, *variable, strlen(*variable) + 1, deadline))
			return false;
	}
	return write_all(fd, "", 1, deadline) && write_all(fd, buffer, stdin_size, deadline);
}

/* Sends the request and passes the reply on. The exit code, or -1 with errno when there is no reply; ECONNRESET: the agent went. */
static int exchange(int fd, size_t stdin_size, long long deadline)
{
	static unsigned char reply[LIMIT + 1];
	size_t size = 0;
	ssize_t got = 1;

	/* An agent that refuses early closes before it has read all: its reply is there all the same. */
	bool sent = write_request(fd, stdin_size, deadline) && shutdown(fd, SHUT_WR) == 0;
	int send_error = errno;

	while (got > 0 && size < sizeof(reply)) {
		if (!ready(fd, POLLIN, deadline))
			return -1;
		do
			got = read(fd, reply + size, sizeof(reply) - size);
		while (got < 0 && errno == EINTR);
		if (got < 0)
			return -1;
		size += (size_t)got;
	}
	if (size < 1) {
		errno = sent || send_error == EPIPE ? ECONNRESET : send_error;
		return -1;
	}
	return write_all(STDOUT_FILENO, reply + 1, size - 1, deadline) ? reply[0] : 1;
}

/* '<container>@<interface>', which is a file name if both are what the specification lets them be. Or false with EINVAL. */
static bool queue_name(char *name, size_t size)
{
	const char *container = getenv("CNI_CONTAINERID"), *interface = getenv("CNI_IFNAME");
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	errno = EINVAL;
	if (!container || !interface || !*container || *container == '.' || !*interface || strlen(interface) > 15 ||
	    container[strspn(container, letters)] || strchr(interface, '/'))
		return false;
	return snprintf(name, size, "%s@%s", container, interface) < (int)size;
}

/* The queue's directory, made if it is not there; -1 with errno. */
static int open_queue(const char *socket_path, char *where, size_t size)
{
	const char *slash = strrchr(socket_path, '/');
	int length = snprintf(where, size, "%.*s/" QUEUE, (int)(slash ? slash - socket_path : 0), socket_path);

	if (!slash || length >= (int)size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	where[slash - socket_path] = '\0';
	mkdir(where, 0755);
	where[slash - socket_path] = '/';
	if (mkdir(where, 0700) && errno != EEXIST)
		return -1;
	return open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool has_room(int queue)
{
	DIR *list = fdopendir(dup(queue));
	int files = 0;

	while (list && readdir(list))
		files++;
	if (list)
		closedir(list);
	if (files < QUEUE_MAX)
		return true;
	errno = ENOSPC;
	return false;
}

/* Leaves the request under `name`: the whole of it or nothing, and still there after a crash of the machine. */
static bool enqueue(int queue, const char *name, size_t stdin_size)
{
	char hidden[300];

	snprintf(hidden, sizeof(hidden), ".%s.%d", name, getpid());
	if (!has_room(queue))
		return false;
	int fd = openat(queue, hidden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	bool written = write_request(fd, stdin_size, now_ms() + REPLY_MS) && fsync(fd) == 0;

	written = close(fd) == 0 && written;
	if (written && renameat(queue, hidden, queue, name) == 0 && fsync(queue) == 0)
		return true;
	int why = errno;

	unlinkat(queue, hidden, 0);
	errno = why;
	return false;
}

/* A DEL that nobody has taken, for which errno says that there is no agent. Returns the exit code. */
static int leave_in_queue(const char *path, size_t stdin_size)
{
	char name[256], where[4096] = QUEUE;
	int queue = queue_name(name, sizeof(name)) ? open_queue(path, where, sizeof(where)) : -1;

	if (queue < 0 || !enqueue(queue, name, stdin_size))
		return fail(TRY_AGAIN_LATER, "leave the DEL for an agent to come", where);
	int fd = connect_agent(path, 0);

	if (fd < 0)
		return 0;
	int code = exchange(fd, stdin_size, now_ms() + REPLY_MS);

	if (code < 0 && errno == ECONNRESET)
		return 0; /* it went as well: the next one reads the queue */
	unlinkat(queue, name, 0);
	return code < 0 ? fail(TRY_AGAIN_LATER, "get the agent's reply", path) : code;
}

int main(void)
{
	const char *given = getenv("STENTOR_CNI_SOCKET");
	const char *path = given && *given ? given : DEFAULT_SOCKET;
	const char *command = getenv("CNI_COMMAND");
	bool version = command && strcmp(command, "VERSION") == 0, deletes = command && strcmp(command, "DEL") == 0;
	long long start = now_ms();

	signal(SIGPIPE, SIG_IGN);
	ssize_t stdin_size = read_all(STDIN_FILENO, start + REPLY_MS);

	if (stdin_size < 0)
		return fail(IO_FAILURE, "read the network configuration, wanted at most 1 MiB", "stdin");
	int fd = connect_agent(path, version ? start : now_ms() + (deletes ? DELETE_CONNECT_MS : CONNECT_MS));

	if (fd < 0 && version)
		return fputs(VERSIONS, stdout) < 0;
	if (fd < 0)
		return deletes && (errno == ENOENT || errno == ECONNREFUSED) ? leave_in_queue(path, (size_t)stdin_size)
									      : fail(TRY_AGAIN_LATER, "reach the agent", path);
	int code = exchange(fd, (size_t)stdin_size, start + REPLY_MS);

	if (code >= 0)
		return code;
	return deletes && errno == ECONNRESET ? leave_in_queue(path, (size_t)stdin_size)
					      : fail(TRY_AGAIN_LATER, "get the agent's reply", path);
}
