// SPDX-License-Identifier: Apache-2.0
/* Makes load and counts it, for measurement only. One connection, one thread, blocking calls: what is timed is the path.
 *
 *   load serve PORT    answers on PORT (TCP and UDP, a byte for a message) and takes in on PORT+1 (of datagrams it answers those that ask)
 *   load               reads "KIND ADDRESS PORT MILLISECONDS" line by line, and prints a line of JSON for each
 *
 *   rr      a byte there and a byte back on one TCP connection
 *   crr     the same with a new connection for each; the client ends it by RST, so that nobody is left in TIME_WAIT
 *   udp     a byte there and a byte back in datagrams of a connected socket
 *   udpto   the same from an unconnected socket: sendto() and recvfrom()
 *   burst   32 datagrams there, of which the last one is answered; one of them counts
 *   open    a datagram socket opened, connected and closed, without a datagram
 *   stream  64 KiB writes; the clock stops when the server says that it has read everything
 *
 * "busy" is the time for which the whole machine's CPUs were not idle, by /proc/stat
 * (ticks of 10 ms: meaningful as a sum over runs). LOAD_CPU=n binds the process to a CPU.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define MOST_LATENCIES (1 << 20)
#define BURST 32

static char chunk[CHUNK];
static uint32_t latencies[MOST_LATENCIES];

static void fail(const char *what)
{
	fprintf(stderr, "load: Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static int must(int result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Milliseconds for which CPUs were busy since boot. */
static uint64_t busy(void)
{
	unsigned long long user = 0, nice = 0, system = 0, irq = 0, softirq = 0;
	FILE *stat = fopen("/proc/stat", "r");

	if (!stat || fscanf(stat, "cpu %llu %llu %llu %*u %*u %llu %llu", &user, &nice, &system, &irq, &softirq) != 5)
		fail("read /proc/stat");
	fclose(stat);
	return (user + nice + system + irq + softirq) * 1000 / sysconf(_SC_CLK_TCK);
}

static void set(int socket, int level, int option, int value)
{
	must(setsockopt(socket, level, option, &value, sizeof(value)), "set a socket option");
}

/* -------------------------------------------------------------------------------------------------------- the server */

static int bound(int type, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int socket_ = must(socket(AF_INET6, type, 0), "open a socket");

	set(socket_, SOL_SOCKET, SO_REUSEADDR, 1);
	set(socket_, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	must(bind(socket_, (struct sockaddr *)&any, sizeof(any)), "bind");
	if (type == SOCK_STREAM)
		must(listen(socket_, 128), "listen");
	return socket_;
}

static void answer_connections(int listener)
{
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection < 0)
			continue; /* reset before it was accepted */
		set(connection, IPPROTO_TCP, TCP_NODELAY, 1);
		while (read(connection, chunk, 1) == 1 && write(connection, chunk, 1) == 1)
			;
		close(connection);
	}
}

static void take_streams(int listener)
{
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection < 0)
			continue;
		while (read(connection, chunk, CHUNK) > 0)
			;
		if (write(connection, chunk, 1) != 1)
			fprintf(stderr, "load: A stream ended early\n");
		close(connection);
	}
}

static void answer_datagrams(int socket)
{
	for (;;) {
		struct sockaddr_in6 from;
		socklen_t length = sizeof(from);
		ssize_t size = recvfrom(socket, chunk, CHUNK, 0, (struct sockaddr *)&from, &length);

		if (size >= 0)
			sendto(socket, chunk, size, 0, (struct sockaddr *)&from, length);
	}
}

static void take_datagrams(int socket)
{
	for (;;) {
		struct sockaddr_in6 from;
		socklen_t length = sizeof(from);

		if (recvfrom(socket, chunk, CHUNK, 0, (struct sockaddr *)&from, &length) > 0 && chunk[0])
			sendto(socket, chunk, 1, 0, (struct sockaddr *)&from, length);
	}
}

static void beside(void (*serve)(int), int socket)
{
	if (must(fork(), "fork"))
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	serve(socket);
}

static void serve(uint16_t port)
{
	beside(take_streams, bound(SOCK_STREAM, port + 1));
	beside(take_datagrams, bound(SOCK_DGRAM, port + 1));
	beside(answer_datagrams, bound(SOCK_DGRAM, port));
	answer_connections(bound(SOCK_STREAM, port));
}

/* -------------------------------------------------------------------------------------------------------- the client */

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static socklen_t address_of(union address *address, const char *text, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &address->ipv4.sin_addr) == 1) {
		address->ipv4.sin_family = AF_INET;
		address->ipv4.sin_port = htons(port);
		return sizeof(address->ipv4);
	}
	if (inet_pton(AF_INET6, text, &address->ipv6.sin6_addr) != 1)
		fail("read the address");
	address->ipv6.sin6_family = AF_INET6;
	address->ipv6.sin6_port = htons(port);
	return sizeof(address->ipv6);
}

struct client {
	union address server;
	socklen_t length;
	int socket;
	uint64_t failed;
};

static void open_socket(struct client *client, int type)
{
	struct timeval patience = {.tv_usec = 500000};

	client->socket = must(socket(client->server.any.sa_family, type, 0), "open a socket");
	setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (type == SOCK_STREAM)
		set(client->socket, IPPROTO_TCP, TCP_NODELAY, 1);
}

static void connect_socket(struct client *client, int type)
{
	open_socket(client, type);
	must(connect(client->socket, &client->server.any, client->length), "connect");
}

static uint64_t there_and_back(struct client *client)
{
	if (write(client->socket, chunk, 1) != 1 || read(client->socket, chunk, 1) != 1)
		client->failed++;
	return 1;
}

static uint64_t datagram_there_and_back(struct client *client)
{
	union address from;
	socklen_t length = sizeof(from);

	if (sendto(client->socket, chunk, 1, 0, &client->server.any, client->length) != 1 ||
	    recvfrom(client->socket, chunk, 1, 0, &from.any, &length) != 1)
		client->failed++;
	return 1;
}

static uint64_t datagrams_there(struct client *client)
{
	const char more = 0, last = 1;

	for (int i = 1; i < BURST; i++)
		if (write(client->socket, &more, 1) != 1)
			client->failed++;
	if (write(client->socket, &last, 1) != 1 || read(client->socket, chunk, 1) != 1)
		client->failed++;
	return BURST;
}

static uint64_t connection(struct client *client)
{
	struct linger reset = {.l_onoff = 1};

	open_socket(client, SOCK_STREAM);
	setsockopt(client->socket, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (connect(client->socket, &client->server.any, client->length) < 0)
		client->failed++;
	else
		there_and_back(client);
	close(client->socket);
	return 1;
}

static uint64_t opened_and_closed(struct client *client)
{
	client->socket = must(socket(client->server.any.sa_family, SOCK_DGRAM, 0), "open a socket");
	if (connect(client->socket, &client->server.any, client->length) < 0)
		client->failed++;
	close(client->socket);
	return 1;
}

static uint64_t chunk_there(struct client *client)
{
	ssize_t size = write(client->socket, chunk, CHUNK);

	return size < 0 ? 0 : size;
}

static int by_size(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return a < b ? -1 : a > b;
}

static void run(struct client *client, uint64_t (*operation)(struct client *), uint64_t duration, int drain)
{
	uint64_t busy_before = busy(), started = now(), end = started + duration, before = started, after = started;
	uint64_t operations = 0, count = 0;

	while (after < end) {
		operations += operation(client);
		after = now();
		if (count < MOST_LATENCIES)
			latencies[count++] = after - before;
		before = after;
	}
	if (drain) {
		struct timeval patience = {.tv_sec = 5};

		setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		shutdown(client->socket, SHUT_WR);
		if (read(client->socket, chunk, 1) != 1)
			client->failed++;
		after = now();
	}
	uint64_t busy_after = busy();

	qsort(latencies, count, sizeof(latencies[0]), by_size);
	printf("{\"operations\":%lu,\"failed\":%lu,\"seconds\":%.6f,\"busy\":%.3f,\"p50\":%.1f,\"p99\":%.1f}\n", operations,
	       client->failed, (after - started) / 1e9, (busy_after - busy_before) / 1e3, count ? latencies[count / 2] / 1e3 : 0.0,
	       count ? latencies[count * 99 / 100] / 1e3 : 0.0);
}

static void bind_cpu(void)
{
	const char *cpu = getenv("LOAD_CPU");
	cpu_set_t set;

	if (!cpu || !*cpu)
		return;
	CPU_ZERO(&set);
	CPU_SET(atoi(cpu), &set);
	must(sched_setaffinity(0, sizeof(set), &set), "bind to LOAD_CPU");
}

static void do_line(const char *kind, const char *address, uint16_t port, uint64_t duration)
{
	struct client client = {.socket = -1};
	int stream = !strcmp(kind, "stream"), burst = !strcmp(kind, "burst");

	client.length = address_of(&client.server, address, port + (stream || burst));
	if (!strcmp(kind, "rr")) {
		connect_socket(&client, SOCK_STREAM);
		run(&client, there_and_back, duration, 0);
	} else if (!strcmp(kind, "crr")) {
		run(&client, connection, duration, 0);
	} else if (!strcmp(kind, "udp")) {
		connect_socket(&client, SOCK_DGRAM);
		run(&client, there_and_back, duration, 0);
	} else if (!strcmp(kind, "open")) {
		run(&client, opened_and_closed, duration, 0);
	} else if (burst) {
		connect_socket(&client, SOCK_DGRAM);
		run(&client, datagrams_there, duration, 0);
	} else if (!strcmp(kind, "udpto")) {
		open_socket(&client, SOCK_DGRAM);
		run(&client, datagram_there_and_back, duration, 0);
	} else if (stream) {
		connect_socket(&client, SOCK_STREAM);
		run(&client, chunk_there, duration, 1);
	} else {
		errno = EINVAL;
		fail("make that kind of load");
	}
	close(client.socket);
}

int main(int count, char **words)
{
	char kind[16], address[64];
	unsigned int port, milliseconds;

	bind_cpu();
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (count == 3 && !strcmp(words[1], "serve"))
		serve(atoi(words[2]));
	if (count != 1) {
		fprintf(stderr, "load: Cannot understand the command line, wanted \"serve PORT\" or nothing\n");
		return 2;
	}
	while (scanf("%15s %63s %u %u", kind, address, &port, &milliseconds) == 4)
		do_line(kind, address, port, (uint64_t)milliseconds * 1000000);
	return 0;
}
