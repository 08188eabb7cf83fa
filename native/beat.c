/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heartbeats: a thread of their own, so that neither JavaScript nor its garbage collector can be late with them.
 *
 *	every interval:   JavaScript lives?  ──▶ extend the lease, then one frame to each peer
 *	                  whose frames are missing? ──▶ eventfd ──▶ JavaScript
 *
 * The lease ends before a peer takes over, as it is extended before a frame is sent and is shorter than a peer's
 * patience. Who is frozen as a whole, or whose JavaScript hangs, does neither; when he comes round, the lease has lapsed
 * and stays so until JavaScript has asked the others what happened (beat_resume()). What peers send is timed by the data
 * plane (bpf/lib/announce.h has the frame) in a map that this thread reads.
 */
#define _GNU_SOURCE
#include "handles.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ETH_P_STENTOR = 0x88b5,
	FRAME_VERSION = 1,
	FRAME_BEAT = 1,
	PEERS_MOST = 1024,
	LAST_WORDS = 3,
};

static const uint64_t MS = 1000000;

/* As JavaScript packs them, in host byte order. */
struct peer {
	uint64_t node;
	uint32_t interface_index; /* the peer's */
	uint32_t via;		  /* ours */
	uint8_t to[ETH_ALEN];
	uint8_t from[ETH_ALEN];
	uint8_t pad[4];
} __attribute__((packed));
_Static_assert(sizeof(struct peer) == 32, "size");

struct frame {
	struct ether_header ethernet;
	uint32_t magic;
	uint8_t version, kind;
	uint16_t hold;
	uint64_t node;
	uint32_t interface_index;
	uint8_t pad[26]; /* to the 60 bytes that Ethernet wants */
} __attribute__((packed));
_Static_assert(sizeof(struct frame) == 60, "size");

struct lease {
	uint64_t until, node;
};

struct beat_key {
	uint64_t node;
	uint32_t interface_index, pad;
};

struct beat {
	struct handle handle; /* its descriptor: an eventfd that says that somebody came or went */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* what follows belongs to whoever has the lock */
	bool stopping;
	int lease, beats, socket;
	uint64_t node;
	uint64_t interval, window, lease_time, patience; /* nanoseconds */
	uint64_t touched;				 /* when JavaScript last said that it lives */
	uint64_t extended;				 /* when the lease was; 0: never */
	bool lapsed;
	uint32_t count;
	struct peer peers[PEERS_MOST];
	uint8_t alive[PEERS_MOST];
};

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static bool extend_lease(const struct beat *beat, uint64_t until)
{
	struct lease lease = {.until = until, .node = beat->node};
	union bpf_attr attribute = {};
	uint32_t zero = 0;

	attribute.map_fd = (uint32_t)beat->lease;
	attribute.key = (uintptr_t)&zero;
	attribute.value = (uintptr_t)&lease;
	return sys_bpf(BPF_MAP_UPDATE_ELEM, &attribute, sizeof(attribute)) == 0;
}

/* When the peer was last heard; 0: never. */
static uint64_t heard(const struct beat *beat, const struct peer *peer)
{
	struct beat_key key = {.node = peer->node, .interface_index = peer->interface_index};
	union bpf_attr attribute = {};
	uint64_t seen = 0;

	attribute.map_fd = (uint32_t)beat->beats;
	attribute.key = (uintptr_t)&key;
	attribute.value = (uintptr_t)&seen;
	return sys_bpf(BPF_MAP_LOOKUP_ELEM, &attribute, sizeof(attribute)) == 0 ? seen : 0;
}

/* A frame that cannot be sent is one that is lost: its interface may be down, and the peer will notice. */
static void send_beats(const struct beat *beat, uint16_t hold)
{
	struct frame frame = {
	    .ethernet = {.ether_type = htons(ETH_P_STENTOR)},
	    .magic = htonl(0x53746e74),
	    .version = FRAME_VERSION,
	    .kind = FRAME_BEAT,
	    .hold = htons(hold),
	    .node = beat->node,
	};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN, .sll_protocol = htons(ETH_P_STENTOR)};

	for (uint32_t i = 0; i < beat->count; i++) {
		const struct peer *peer = &beat->peers[i];

		memcpy(frame.ethernet.ether_dhost, peer->to, ETH_ALEN);
		memcpy(frame.ethernet.ether_shost, peer->from, ETH_ALEN);
		memcpy(to.sll_addr, peer->to, ETH_ALEN);
		frame.interface_index = htonl(peer->via);
		to.sll_ifindex = (int)peer->via;
		sendto(beat->socket, &frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	}
}

/* Tells JavaScript when the answer to "who lives" is another than before. */
static void look_at_peers(struct beat *beat, uint64_t now)
{
	bool changed = false;

	for (uint32_t i = 0; i < beat->count; i++) {
		uint8_t alive = heard(beat, &beat->peers[i]) + beat->window > now;

		changed |= alive != beat->alive[i];
		beat->alive[i] = alive;
	}
	if (changed)
		eventfd_write(beat->handle.fd, 1);
}

static void go_on(struct beat *beat, uint64_t now)
{
	if (!beat->lapsed && beat->extended && now - beat->extended >= beat->lease_time) {
		beat->lapsed = true;
		eventfd_write(beat->handle.fd, 1);
	}
	if (beat->lapsed || now - beat->touched >= beat->patience || !extend_lease(beat, now + beat->lease_time))
		return;
	beat->extended = now;
	send_beats(beat, 0);
}

static void *beat_run(void *argument)
{
	struct sched_param first = {.sched_priority = 1};
	struct beat *beat = argument;
	uint64_t next = monotonic();

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first); /* where it may: before others, which it hardly delays */
	pthread_mutex_lock(&beat->lock);
	while (!beat->stopping) {
		uint64_t now = monotonic();
		struct timespec until;

		if (next > now + beat->interval)
			next = now; /* it has become shorter */
		if (now >= next) {
			go_on(beat, now);
			look_at_peers(beat, now);
			next = next + beat->interval > now ? next + beat->interval : now + beat->interval;
		}
		until = (struct timespec){.tv_sec = (time_t)(next / (1000 * MS)), .tv_nsec = (long)(next % (1000 * MS))};
		pthread_cond_timedwait(&beat->wake, &beat->lock, &until);
	}
	pthread_mutex_unlock(&beat->lock);
	return NULL;
}

static void beat_release(struct handle *self)
{
	struct beat *beat = (struct beat *)self;

	if (beat->started) {
		pthread_mutex_lock(&beat->lock);
		beat->stopping = true;
		pthread_cond_signal(&beat->wake);
		pthread_mutex_unlock(&beat->lock);
		pthread_join(beat->thread, NULL);
	}
	pthread_mutex_destroy(&beat->lock);
	pthread_cond_destroy(&beat->wake);
	for (int i = 0; i < 3; i++) {
		int fd = (int[]){beat->lease, beat->beats, beat->socket}[i];

		if (fd >= 0)
			close(fd);
	}
	if (self->fd >= 0)
		close(self->fd);
}

static bool get_node(napi_env env, napi_value value, uint64_t *node)
{
	bool lossless = false;

	if (napi_get_value_bigint_uint64(env, value, node, &lossless) == napi_ok && lossless)
		return true;
	throw_type(env, "Wanted a bigint of 64 bits for node");
	return false;
}

static bool get_ms(napi_env env, napi_value object, const char *name, uint64_t *ns)
{
	uint32_t ms;

	if (!get_uint32_member(env, object, name, &ms))
		return false;
	if (!ms) {
		throw_range(env, "Wanted a %s above 0", name);
		return false;
	}
	*ns = ms * MS;
	return true;
}

static struct beat *beat_new(napi_env env)
{
	struct beat *beat = handle_new(env, HANDLE_BEAT, sizeof(*beat), "heartbeats");
	pthread_condattr_t clock;

	if (!beat)
		return NULL;
	beat->lease = beat->beats = beat->socket = -1;
	pthread_mutex_init(&beat->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&beat->wake, &clock);
	pthread_condattr_destroy(&clock);
	beat->handle.release = beat_release;
	return beat;
}

/* Descriptors of its own, so that the maps may be closed first. Returns what failed, with errno. */
static const char *beat_open(struct beat *beat, const struct map *lease, const struct map *beats)
{
	beat->handle.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (beat->handle.fd < 0)
		return "eventfd";
	beat->lease = dup(lease->handle.fd);
	beat->beats = dup(beats->handle.fd);
	if (beat->lease < 0 || beat->beats < 0)
		return "dup";
	beat->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return beat->socket < 0 ? "socket" : NULL;
}

napi_value beat_start(napi_env env, napi_callback_info info)
{
	uint64_t node, lease_time, patience;
	struct map *lease, *beats;
	const char *failed;
	struct beat *beat;
	napi_value argv[4];
	int error;

	if (!get_arguments(env, info, 4, argv) || !get_map(env, argv[0], &lease) || !get_map(env, argv[1], &beats) ||
	    !get_node(env, argv[2], &node) || !get_ms(env, argv[3], "leaseMs", &lease_time) ||
	    !get_ms(env, argv[3], "patienceMs", &patience))
		return NULL;
	if (lease->value_size != sizeof(struct lease) || beats->key_size != sizeof(struct beat_key) || beats->value_size != 8)
		return throw_range(env, "Wanted the maps l2_lease and l2_beats, got %s and %s", lease->handle.name, beats->handle.name);
	beat = beat_new(env);
	if (!beat)
		return NULL;
	beat->node = node;
	beat->lease_time = lease_time;
	beat->patience = patience;
	beat->interval = 20 * MS; /* until it is told another */
	beat->touched = monotonic();
	failed = beat_open(beat, lease, beats);
	error = failed ? errno : pthread_create(&beat->thread, NULL, beat_run, beat);
	if (error) {
		handle_drop(&beat->handle);
		return throw_errno(env, error, failed ? failed : "pthread_create", "heartbeats");
	}
	beat->started = true;
	return handle_wrap(env, &beat->handle);
}

/* Whoever was there before is as alive as he was; who is new counts as alive until the next look. */
static void replace_peers(struct beat *beat, const struct peer *peers, uint32_t count)
{
	uint8_t alive[PEERS_MOST];

	memset(alive, 1, sizeof(alive));
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < beat->count; j++)
			if (peers[i].node == beat->peers[j].node && peers[i].interface_index == beat->peers[j].interface_index)
				alive[i] = beat->alive[j];
	memcpy(beat->peers, peers, count * sizeof(*peers));
	memcpy(beat->alive, alive, sizeof(alive));
	beat->count = count;
}

napi_value beat_set_peers(napi_env env, napi_callback_info info)
{
	uint64_t interval, window;
	struct bytes peers;
	struct beat *beat;
	napi_value argv[3];

	if (!get_arguments(env, info, 3, argv) || !get_handle(env, argv[0], HANDLE_BEAT, &beat) ||
	    !get_ms(env, argv[1], "intervalMs", &interval) || !get_ms(env, argv[1], "windowMs", &window) ||
	    !get_bytes(env, argv[2], "peers", 0, &peers))
		return NULL;
	if (peers.length % sizeof(struct peer) || peers.length > sizeof(beat->peers))
		return throw_range(env, "Wanted at most %d peers of %zu bytes, got %zu bytes", PEERS_MOST, sizeof(struct peer), peers.length);
	pthread_mutex_lock(&beat->lock);
	beat->interval = interval;
	beat->window = window;
	replace_peers(beat, peers.data, (uint32_t)(peers.length / sizeof(struct peer)));
	pthread_cond_signal(&beat->wake);
	pthread_mutex_unlock(&beat->lock);
	return NULL;
}

napi_value beat_touch(napi_env env, napi_callback_info info)
{
	struct beat *beat;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_BEAT, &beat))
		return NULL;
	pthread_mutex_lock(&beat->lock);
	beat->touched = monotonic();
	pthread_mutex_unlock(&beat->lock);
	return NULL;
}

/* Whether the lease ran out, so that others may have taken over. */
napi_value beat_lapsed(napi_env env, napi_callback_info info)
{
	struct beat *beat;
	napi_value argv[1];
	bool lapsed;

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_BEAT, &beat))
		return NULL;
	pthread_mutex_lock(&beat->lock);
	lapsed = beat->lapsed;
	pthread_mutex_unlock(&beat->lock);
	return bool_value(env, lapsed);
}

napi_value beat_resume(napi_env env, napi_callback_info info)
{
	struct beat *beat;
	napi_value argv[1];

	if (!get_arguments(env, info, 1, argv) || !get_handle(env, argv[0], HANDLE_BEAT, &beat))
		return NULL;
	pthread_mutex_lock(&beat->lock);
	beat->touched = monotonic();
	beat->extended = 0;
	beat->lapsed = false;
	pthread_mutex_unlock(&beat->lock);
	return NULL;
}

/* One byte for each peer, as they were set: 1 where it lives. Takes the news off the descriptor. */
napi_value beat_alive(napi_env env, napi_callback_info info)
{
	struct bytes into;
	struct beat *beat;
	napi_value argv[2];
	uint32_t count;
	eventfd_t news;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_BEAT, &beat) ||
	    !get_bytes(env, argv[1], "into", 0, &into))
		return NULL;
	pthread_mutex_lock(&beat->lock);
	eventfd_read(beat->handle.fd, &news);
	count = beat->count;
	if (count <= into.length)
		memcpy(into.data, beat->alive, count);
	pthread_mutex_unlock(&beat->lock);
	if (count > into.length)
		return throw_range(env, "Wanted room for %u peers, got %zu bytes", count, into.length);
	return number_value(env, count);
}

/* Last words: the kernel answers on, and peers wait, for `holdMs`. Then the thread ends. */
napi_value beat_hold(napi_env env, napi_callback_info info)
{
	struct beat *beat;
	napi_value argv[2];
	uint32_t hold;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_BEAT, &beat) ||
	    !get_uint32(env, argv[1], "holdMs", &hold))
		return NULL;
	if (hold > UINT16_MAX)
		return throw_range(env, "Wanted a holdMs of at most %d, got %u", UINT16_MAX, hold);
	pthread_mutex_lock(&beat->lock);
	beat->stopping = true;
	pthread_cond_signal(&beat->wake);
	extend_lease(beat, monotonic() + hold * MS);
	for (int i = 0; i < LAST_WORDS; i++)
		send_beats(beat, (uint16_t)hold);
	pthread_mutex_unlock(&beat->lock);
	handle_close(&beat->handle);
	return NULL;
}
