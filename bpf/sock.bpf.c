/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Services resolved at the socket: the address of connect() and sendmsg() becomes a backend before there is a packet, and
 * the socket goes on seeing the service. One body for both families; a v4-mapped IPv6 socket address is IPv4.
 * Sockets that are left as they are (of processes outside the cgroup that these programs are attached to, of exempt pods, of
 * all pods where only the node's own are translated) are served per packet by pod_from.
 */
#include "config.h"
#include "lib/event.h"
#include "lib/packet.h"
#include "lib/service.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PROCEED 1
#define REFUSE	0
#define ECONNREFUSED 111
#define SOCK_STREAM 1
#define SOCK_DGRAM  2
#define AF_INET	    2
/* No process of the node listens there. */
#define PROTECTED (LB_SERVICE_FLAG_NODE_PORT | LB_SERVICE_FLAG_LOAD_BALANCER | LB_SERVICE_FLAG_EXTERNAL_IPS)

struct peer {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

static __always_inline void peer_of_ipv4(struct peer *peer, const struct bpf_sock_addr *ctx)
{
	address_from_ipv4(&peer->address, ctx->user_ip4);
	peer->port = (__be16)ctx->user_port;
	peer->protocol = ctx->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	peer->pad = 0;
}

static __always_inline void peer_of_ipv6(struct peer *peer, const struct bpf_sock_addr *ctx)
{
	peer->address.word[0] = ctx->user_ip6[0];
	peer->address.word[1] = ctx->user_ip6[1];
	peer->address.word[2] = ctx->user_ip6[2];
	peer->address.word[3] = ctx->user_ip6[3];
	peer->port = (__be16)ctx->user_port;
	peer->protocol = ctx->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	peer->pad = 0;
}

static __always_inline bool translates(const struct bpf_sock_addr *ctx)
{
	if (ctx->type == SOCK_STREAM)
		return ctx->protocol == IPPROTO_TCP;
	return ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP;
}

enum operation {
	OPERATION_CONNECT,
	OPERATION_SEND,
};

/* Whether the sockets of this network namespace stay as they are: somebody in the pod wants to see the service address. */
static __always_inline bool is_exempt(__u64 netns)
{
	struct netns key = {.cookie = netns};

	if (socket_lb_host_only)
		return netns != host_netns_cookie;
	return bpf_map_lookup_elem(&sock_exempt, &key) != NULL;
}

/* All sockets of a network namespace as one client. */
static __always_inline void client_of(struct address *client, __u64 netns)
{
	client->word[0] = ~0;
	client->word[1] = 0;
	client->word[2] = netns >> 32;
	client->word[3] = (__u32)netns;
}

/* LB_ADDRESS_FLAG_* of the address that a socket of `netns` means. To the node itself its loopback addresses are its own. */
static __always_inline __u32 address_flags(const struct address *address, __u64 netns)
{
	if (address_is_loopback(address))
		return netns == host_netns_cookie ? LB_ADDRESS_FLAG_NODE : 0;
	return service_address(address);
}

/* What a backend is chosen by. A UDP socket keeps its own from datagram to datagram; with Maglev a network namespace does. */
static __always_inline __u32 choice_of(const struct lb_service *service, const struct peer *peer, const struct address *client,
				       __u64 cookie)
{
	if (service->flags & LB_SERVICE_FLAG_MAGLEV && !(service->flags & LB_SERVICE_FLAG_MAGLEV_FLOW)) {
		struct flow flow = {
			.source = *client,
			.destination = peer->address,
			.destination_port = peer->port,
			.protocol = peer->protocol,
		};

		return maglev_hash(service, &flow);
	}
	return peer->protocol == IPPROTO_TCP ? bpf_get_prandom_u32() : (__u32)(cookie * 0x9e3779b97f4a7c15 >> 32);
}

/* `key` has the backend. */
static __always_inline void tell_socket(const struct sock_reverse *frontend, const struct sock_reverse_key *key, __u32 service, __u64 netns)
{
	__u64 now = bpf_ktime_get_ns();
	struct socket_event *event;

	if (!watch_flows)
		return;
	event = event_reserve(EVENT_KIND_SOCKET, sizeof(*event), now, false);
	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->time = now;
	event->kind = EVENT_KIND_SOCKET;
	event->service = service;
	event->frontend.address = frontend->address;
	event->frontend.port = frontend->port;
	event->frontend.protocol = frontend->protocol;
	event->backend.address = key->address;
	event->backend.port = key->port;
	event->backend.protocol = frontend->protocol;
	event->socket = key->cookie;
	event->netns = netns;
	event->cgroup = bpf_get_current_cgroup_id();
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* Replaces `peer` by a backend. PROCEED, or REFUSE with errno set; `*translated` says whether peer changed. A port that the
 * service does not have is refused, except where a UDP socket connects: ping does that to find its source address. */
static __always_inline int translate(struct bpf_sock_addr *ctx, struct peer *peer, enum operation operation,
				     bool *translated)
{
	__u64 cookie = bpf_get_socket_cookie(ctx), netns = bpf_get_netns_cookie(ctx);
	__u32 flags = address_flags(&peer->address, netns);
	struct sock_reverse_key key = {.cookie = cookie};
	struct sock_reverse frontend = {};
	struct address client;
	struct lb_service *found, service;
	struct lb_backend *backend;
	__u32 id;

	*translated = false;
	if (!(flags & (LB_ADDRESS_FLAG_INSIDE | LB_ADDRESS_FLAG_NODE | LB_ADDRESS_FLAG_REDIRECT)) || is_exempt(netns))
		return PROCEED;
	found = service_find(&peer->address, peer->port, peer->protocol, flags);
	if (!found || !service_inside(&service, found, LB_SKIP_KIND_NETNS, netns)) {
		if (!(flags & LB_ADDRESS_FLAG_INSIDE) || (operation == OPERATION_CONNECT && peer->protocol == IPPROTO_UDP))
			return PROCEED;
		bpf_set_retval(-ECONNREFUSED);
		return REFUSE;
	}
	client_of(&client, netns);
	backend = service_choose(&service, choice_of(&service, peer, &client, cookie), &client, &id);
	if (!backend) {
		bpf_set_retval(-ECONNREFUSED);
		return REFUSE;
	}
	frontend.address = peer->address;
	frontend.port = peer->port;
	frontend.protocol = peer->protocol;
	key.address = backend->address;
	key.port = backend->port;
	bpf_map_update_elem(&sock_reverse, &key, &frontend, BPF_ANY);
	if (operation == OPERATION_CONNECT)
		tell_socket(&frontend, &key, service.id, netns);
	peer->address = backend->address;
	peer->port = backend->port;
	*translated = true;
	return PROCEED;
}

/* The service that this socket meant by `peer`; false when it meant the peer itself. */
static __always_inline bool untranslate(struct bpf_sock_addr *ctx, struct peer *peer)
{
	struct sock_reverse_key key = {
		.cookie = bpf_get_socket_cookie(ctx),
		.address = peer->address,
		.port = peer->port,
	};
	struct sock_reverse *frontend = bpf_map_lookup_elem(&sock_reverse, &key);

	if (!frontend)
		return false;
	peer->address = frontend->address;
	peer->port = frontend->port;
	return true;
}

static __always_inline int to_service_ipv4(struct bpf_sock_addr *ctx, enum operation operation)
{
	struct peer peer;
	bool translated;
	int result;

	if (!translates(ctx))
		return PROCEED;
	peer_of_ipv4(&peer, ctx);
	result = translate(ctx, &peer, operation, &translated);
	if (translated) {
		ctx->user_ip4 = peer.address.word[3];
		ctx->user_port = peer.port;
	}
	return result;
}

static __always_inline void set_ipv6(struct bpf_sock_addr *ctx, const struct peer *peer)
{
	ctx->user_ip6[0] = peer->address.word[0];
	ctx->user_ip6[1] = peer->address.word[1];
	ctx->user_ip6[2] = peer->address.word[2];
	ctx->user_ip6[3] = peer->address.word[3];
	ctx->user_port = peer->port;
}

static __always_inline int to_service_ipv6(struct bpf_sock_addr *ctx, enum operation operation)
{
	struct peer peer;
	bool translated;
	int result;

	if (!translates(ctx))
		return PROCEED;
	peer_of_ipv6(&peer, ctx);
	result = translate(ctx, &peer, operation, &translated);
	if (translated)
		set_ipv6(ctx, &peer);
	return result;
}

static __always_inline int from_service_ipv4(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	if (!translates(ctx))
		return PROCEED;
	peer_of_ipv4(&peer, ctx);
	if (untranslate(ctx, &peer)) {
		ctx->user_ip4 = peer.address.word[3];
		ctx->user_port = peer.port;
	}
	return PROCEED;
}

static __always_inline int from_service_ipv6(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	if (!translates(ctx))
		return PROCEED;
	peer_of_ipv6(&peer, ctx);
	if (untranslate(ctx, &peer))
		set_ipv6(ctx, &peer);
	return PROCEED;
}

SEC("cgroup/connect4")
int sock_connect4(struct bpf_sock_addr *ctx)
{
	return to_service_ipv4(ctx, OPERATION_CONNECT);
}

SEC("cgroup/connect6")
int sock_connect6(struct bpf_sock_addr *ctx)
{
	return to_service_ipv6(ctx, OPERATION_CONNECT);
}

SEC("cgroup/sendmsg4")
int sock_sendmsg4(struct bpf_sock_addr *ctx)
{
	return to_service_ipv4(ctx, OPERATION_SEND);
}

SEC("cgroup/sendmsg6")
int sock_sendmsg6(struct bpf_sock_addr *ctx)
{
	return to_service_ipv6(ctx, OPERATION_SEND);
}

SEC("cgroup/recvmsg4")
int sock_recvmsg4(struct bpf_sock_addr *ctx)
{
	return from_service_ipv4(ctx);
}

SEC("cgroup/recvmsg6")
int sock_recvmsg6(struct bpf_sock_addr *ctx)
{
	return from_service_ipv6(ctx);
}

SEC("cgroup/getpeername4")
int sock_getpeername4(struct bpf_sock_addr *ctx)
{
	return from_service_ipv4(ctx);
}

SEC("cgroup/getpeername6")
int sock_getpeername6(struct bpf_sock_addr *ctx)
{
	return from_service_ipv6(ctx);
}

/* A socket that is closed: of a connection that nobody has, nobody asks the peer. Others' entries, as of datagrams to many, age. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *ctx)
{
	struct sock_reverse_key key = {.port = ctx->dst_port};

	if (!key.port || (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP))
		return PROCEED;
	if (ctx->family == AF_INET) {
		address_from_ipv4(&key.address, ctx->dst_ip4);
	} else {
		key.address.word[0] = ctx->dst_ip6[0];
		key.address.word[1] = ctx->dst_ip6[1];
		key.address.word[2] = ctx->dst_ip6[2];
		key.address.word[3] = ctx->dst_ip6[3];
	}
	key.cookie = bpf_get_socket_cookie(ctx);
	if (bpf_map_lookup_elem(&sock_reverse, &key)) /* most were not translated, and to look takes no lock */
		bpf_map_delete_elem(&sock_reverse, &key);
	return PROCEED;
}

static __always_inline bool is_every(const struct address *address)
{
	return address_is_zero(address) || (address_is_ipv4(address) && !address->word[3]);
}

/* A process of the node that listens where a service is would never hear of anybody: it is refused, and learns of it. Host ports are not
 * meant, as a pod and a process of the node may have one at two addresses. */
static __always_inline int may_bind(struct bpf_sock *ctx, const struct address *address)
{
	__u8 protocol = ctx->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	__u32 flags = LB_ADDRESS_FLAG_NODE;
	struct lb_service *service;
	struct address any;

	if ((ctx->type != SOCK_STREAM && ctx->type != SOCK_DGRAM) || bpf_get_netns_cookie(ctx) != host_netns_cookie)
		return PROCEED;
	if (!address_is_loopback(address) && !is_every(address))
		flags = service_address(address);
	service = service_find(address, bpf_htons(ctx->src_port), protocol, flags);
	if (!service && address_is_zero(address)) { /* [::] is every IPv4 address, too */
		address_from_ipv4(&any, 0);
		service = service_find(&any, bpf_htons(ctx->src_port), protocol, 0);
	}
	if (!service || service->flags & LB_SERVICE_FLAG_DELEGATE) /* the proxy of the node may well be who listens */
		return PROCEED;
	return service->flags & PROTECTED ? REFUSE : PROCEED;
}

SEC("cgroup/post_bind4")
int sock_post_bind4(struct bpf_sock *ctx)
{
	struct address address;

	address_from_ipv4(&address, (__be32)ctx->src_ip4);
	return may_bind(ctx, &address);
}

SEC("cgroup/post_bind6")
int sock_post_bind6(struct bpf_sock *ctx)
{
	struct address address;

	for (int i = 0; i < 4; i++)
		address.word[i] = (__be32)ctx->src_ip6[i];
	return may_bind(ctx, &address);
}
