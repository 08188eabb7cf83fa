/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Everything that user space sees: keys, values, events, closed sets of numbers. tools/gen-schema.ts reads it from BTF.
 * Addresses are always 16 bytes in network order, IPv4 as ::ffff:a.b.c.d. __be fields are in network order, __u in host
 * order. Padding is explicit, zero, and part of every key. */
#ifndef STENTOR_TYPES_H
#define STENTOR_TYPES_H

#include <linux/types.h>

struct address {
	__be32 word[4];
};
_Static_assert(sizeof(struct address) == 16, "size");

/* One direction of a conversation. ICMP echo: the request has its identifier as source port, the reply as destination
 * port, so that the reply is the request with both ends swapped. Protocols without ports have zeroes. */
struct flow {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol; /* IANA */
	__u8 pad[3];
};
_Static_assert(sizeof(struct flow) == 40, "size");

enum conntrack_flag {
	CONNTRACK_FLAG_REPLY = 1, /* from the one who answers */
	CONNTRACK_FLAG_SOURCE_NAT = 2,
	CONNTRACK_FLAG_DESTINATION_NAT = 4,
	CONNTRACK_FLAG_CLOSING = 8,   /* a RST, or a FIN in both directions; in both entries */
	CONNTRACK_FLAG_ROUTED = 16,   /* leaves through interface_index after a neighbour lookup */
	CONNTRACK_FLAG_LOCAL = 32,    /* goes to the pod behind interface_index */
	CONNTRACK_FLAG_FINISHED = 64, /* a FIN was seen in this direction */
	CONNTRACK_FLAG_ANSWERED = 128, /* a reply was seen; in both entries */
	CONNTRACK_FLAG_DIRECT = 256, /* the backend's node answers the client itself, in the frontend's name */
	CONNTRACK_FLAG_HALF_CLOSED = 512, /* a FIN was seen, in whichever direction; in both entries */
	CONNTRACK_FLAG_LAST_HOP = 1024, /* answers go to the machine that the client's packets come from; in both entries */
	CONNTRACK_FLAG_WATCHED = 2048, /* no other node sees both ends' payload better: HTTP is looked for; in both entries */
	CONNTRACK_FLAG_HTTP = 4096, /* a request or an answer was seen; in both entries */
	CONNTRACK_FLAG_TOLD = 8192, /* that it is closing; in both entries */
	CONNTRACK_FLAG_HTTP2 = 16384, /* the client began with the words of HTTP/2; in both entries */
};

/* What happens to the packets of one direction, decided once, for its first packet. Neither ROUTED nor LOCAL: the host's
 * stack takes it. Key: the flow as it arrives at the hook. */
struct conntrack_entry {
	struct address source; /* after translation */
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 flags;	       /* enum conntrack_flag */
	__u32 interface_index; /* pod's veth, or uplink */
	__u32 last_seen;       /* seconds of CLOCK_MONOTONIC, of either direction */
	__u32 service;	       /* id in lb_services, 0: none */
	__u32 backend;	       /* id in lb_backends, 0: none */
	__u64 packets;
	__u64 bytes;
	/* What events tell; all zero where nobody wants them. */
	__u64 opened;	/* nanoseconds of CLOCK_MONOTONIC, of the first packet; in both entries */
	__u32 reported; /* seconds of CLOCK_MONOTONIC, of the last event of this direction */
	__u32 answered; /* microseconds from the first packet to the first answer, at least 1; 0: none; in both entries */
	__u32 source_identity; /* of who sends, before translation */
	__u32 destination_identity; /* of who receives, after translation */
	__u32 meant; /* id in lb_services of what the client's socket was connected to, 0: the backend itself; in both entries */
	__u8 seen_flags; /* TCP flags of this direction */
	__u8 pad[3];
};
_Static_assert(sizeof(struct conntrack_entry) == 104, "size"); /* with its key and the kernel's 48 bytes three cache lines */

/* The time in which flows of another version's maps may not have been taken over yet. */
struct handover {
	__u64 until; /* nanoseconds of CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct handover) == 8, "size");

/* A pod's interface on this node. Key: each of its addresses. */
struct endpoint {
	__u32 interface_index; /* host side of the veth pair */
	__u32 identity;
	__u8 mac[6]; /* of the pod; the host side has gateway_mac */
	__u16 id;
};
_Static_assert(sizeof(struct endpoint) == 16, "size");

/* An uplink. Key: its interface index. Addresses are what pods are masqueraded to; zero: the family is not. */
struct device {
	struct address ipv4;
	struct address ipv6;
	__u8 mac[6];
	__u16 others; /* how many uplinks this node has beside it */
};
_Static_assert(sizeof(struct device) == 40, "size");

/* The way to a client that no route of an uplink leads to. */
struct last_hop_key {
	__u32 interface_index; /* of the uplink */
	struct address client;
};
_Static_assert(sizeof(struct last_hop_key) == 20, "size");

struct last_hop {
	__u8 mac[6]; /* of who sent the client's packet */
	__u8 own[6]; /* of the uplink */
};
_Static_assert(sizeof(struct last_hop) == 12, "size");

/* Longest-prefix key: the length counts address bits, IPv4 prefixes have 96 added. */
struct ipcache_key {
	__u32 prefix_length;
	struct address address;
};
_Static_assert(sizeof(struct ipcache_key) == 20, "size");

enum ipcache_flag {
	IPCACHE_FLAG_NO_MASQUERADE = 1, /* pods keep their address towards it: pods, nodes, the native routing prefixes */
	IPCACHE_FLAG_NO_OPTION_IPV4 = 2, /* of a node: IPv4 packets with options do not come there */
	IPCACHE_FLAG_NO_OPTION_IPV6 = 4, /* the same of IPv6 packets with a Destination Options header */
};

struct ipcache_entry {
	__u32 identity;
	__u32 flags; /* enum ipcache_flag */
	struct address node; /* the node that has it; zero: none */
};
_Static_assert(sizeof(struct ipcache_entry) == 24, "size");

struct lb_frontend {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct lb_frontend) == 20, "size");

enum lb_service_flag {
	LB_SERVICE_FLAG_DSR = 1, /* backends of other nodes answer clients on the wire themselves, from the frontend's address */
	LB_SERVICE_FLAG_NODE_PORT = 2,
	LB_SERVICE_FLAG_LOAD_BALANCER = 4,
	LB_SERVICE_FLAG_EXTERNAL_IPS = 8,
	LB_SERVICE_FLAG_HOST_PORT = 16,
	LB_SERVICE_FLAG_SOURCE_RANGES = 32, /* clients on the wire are looked up in lb_source_ranges; those in a range are let in */
	LB_SERVICE_FLAG_SOURCE_RANGES_DENY = 64, /* with the former: those in none are */
	LB_SERVICE_FLAG_MAGLEV = 128, /* backends come from lb_maglev, by client and frontend */
	LB_SERVICE_FLAG_MAGLEV_FLOW = 256, /* with the former: by the whole flow */
	LB_SERVICE_FLAG_LOCAL = 1024, /* backends for the wire are those of this node; for those who read the map, as is the next */
	LB_SERVICE_FLAG_INTERNAL_LOCAL = 2048,
	LB_SERVICE_FLAG_DELEGATE = 512, /* a backend that is this node gets packets from the wire as they are: a proxy has the address */
};

/* Several frontends of one Kubernetes service share one id and its slots. Clients on the wire may have another set of backends
 * than those inside the cluster, or none. A frontend at 0.0.0.0 or :: is at every address that has LB_ADDRESS_FLAG_NODE. One that
 * only has a redirect is at somebody else's address. */
struct lb_service {
	__u32 id;	/* 0: not for clients inside the cluster */
	__u32 backends; /* slots 0 to backends - 1 are filled */
	__u32 affinity; /* seconds for which a client keeps its backend, 0: each connection chooses anew */
	__u32 outside;	/* as id, for clients on the wire; 0: not for them */
	__u32 outside_backends;
	__u32 flags; /* enum lb_service_flag */
	__u32 redirect; /* as id, of the pods of this node that a policy leads clients inside the cluster to; 0: no policy */
	__u32 redirect_backends; /* 0: none is ready, and the service is as if there were no policy */
};
_Static_assert(sizeof(struct lb_service) == 32, "size");

/* Longest-prefix key: the length counts the bits of the service and of the address, IPv4 prefixes have 96 added. */
struct lb_source_range {
	__u32 prefix_length;
	__u32 service; /* as `outside` of lb_service */
	struct address address;
};
_Static_assert(sizeof(struct lb_source_range) == 24, "size");

/* That it is there says all. */
struct lb_source_range_value {
	__u32 present; /* 1 */
};

struct lb_slot {
	__u32 service;
	__u32 slot;
};
_Static_assert(sizeof(struct lb_slot) == 8, "size");

struct lb_slot_value {
	__u32 backend;
};

struct lb_maglev_key {
	__u32 service; /* as `id` or `outside` of lb_service */
};

/* A whole table, as it is at one moment: another table of the service has another generation, and parts of its own. */
struct lb_maglev {
	__u32 generation;
	__u32 size; /* entries, prime */
};
_Static_assert(sizeof(struct lb_maglev) == 8, "size");

#define LB_MAGLEV_PART 1024

/* Entries part * LB_MAGLEV_PART and those that follow. */
struct lb_maglev_part_key {
	__u32 service;
	__u32 generation;
	__u32 part;
};
_Static_assert(sizeof(struct lb_maglev_part_key) == 12, "size");

/* Backend ids, __u32 each in host order; 0: behind the end of the table. Bytes, so that user space keeps a buffer and no list. */
struct lb_maglev_part {
	__u8 backends[4 * LB_MAGLEV_PART];
};
_Static_assert(sizeof(struct lb_maglev_part) == 4096, "size");

struct lb_backend_key {
	__u32 id;
};

struct lb_backend {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct lb_backend) == 20, "size");

enum lb_member_state {
	LB_MEMBER_STATE_ACTIVE = 1,
	LB_MEMBER_STATE_DRAINING = 2, /* finishes the flows that it has, and gets no others */
};

/* That a backend belongs to a service: what a client or a flow holds on to is held against this. Only for services where
 * somebody asks: those with session affinity, and those whose protocol has no connections. */
struct lb_member {
	__u32 service;
	__u32 backend;
};
_Static_assert(sizeof(struct lb_member) == 8, "size");

struct lb_member_value {
	__u32 state; /* enum lb_member_state */
};

/* A client of a service. Sockets of one network namespace are one client: ffff:ffff:: with the namespace's cookie, which is
 * no packet's source. */
struct lb_client {
	struct address address;
	__u32 service;
};
_Static_assert(sizeof(struct lb_client) == 20, "size");

/* Read and exchanged as one word, so that two first connections of one client agree. */
struct lb_affinity {
	__u32 backend;
	__u32 last_used; /* seconds of CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct lb_affinity) == 8, "size");

/* What names a client. */
enum lb_skip_kind {
	LB_SKIP_KIND_NETNS = 1,     /* sockets: the cookie of their network namespace */
	LB_SKIP_KIND_INTERFACE = 2, /* packets: the index of the host side of the pod's veth pair */
};

/* A client that a redirect does not concern: the pod that it leads to, which reaches what is behind it. */
struct lb_skip {
	__u64 cookie; /* or index, as `kind` says */
	__u32 kind;   /* enum lb_skip_kind */
	__u32 service; /* the redirect's id */
};
_Static_assert(sizeof(struct lb_skip) == 16, "size");

enum lb_address_flag {
	LB_ADDRESS_FLAG_INSIDE = 1,  /* served to pods and nodes; alone: a ClusterIP, which the wire does not reach */
	LB_ADDRESS_FLAG_OUTSIDE = 2, /* served to the wire */
	LB_ADDRESS_FLAG_NODE = 4,    /* this node's own: has the ports of every node address, and what it does not serve is the node's */
	LB_ADDRESS_FLAG_REDIRECT = 8, /* somebody else's: some ports are served to pods and nodes, the others are his */
	LB_ADDRESS_FLAG_DENY = 16, /* the ranges of guards[0] say who is kept out, not who is let in; 32: of guards[1], 64: of guards[2] */
};

#define LB_ADDRESS_GUARDS 3

/* Service addresses as such, whatever the port: what they do not serve is refused, never forwarded, but for those that are
 * somebody else's. */
struct lb_address {
	__u32 flags; /* enum lb_address_flag */
	/* As `service` of lb_source_range: whom none of these lets in, the address does not answer of its own accord; 0: none. None at all:
	 * it answers everybody. */
	__u32 guards[LB_ADDRESS_GUARDS];
};
_Static_assert(sizeof(struct lb_address) == 16, "size");

/* What a node says of its own accord in the name of a service address. */
enum answer_kind {
	ANSWER_KIND_RESET = 0,
	ANSWER_KIND_UNREACHABLE = 1,
	ANSWER_KIND_ECHO = 2,
};

/* To whom. Each has a budget of its own, so that nobody uses up what others need. */
enum answer_to {
	ANSWER_TO_WIRE = 0,
	ANSWER_TO_CLUSTER = 1, /* nodes and pods, by the wire */
	ANSWER_TO_NODE = 2,    /* this node and its pods */
};

/* How much is said in a second. Key: 3 * answer_to + answer_kind. */
struct answer_budget {
	__u64 due; /* nanoseconds of CLOCK_MONOTONIC: when all that was said would have been said at the rate, one by one */
	__u64 given; /* answers so far */
};
_Static_assert(sizeof(struct answer_budget) == 16, "size");

/* A socket that was translated, so that it sees the service and not the backend. Key: what it sees on the wire. */
struct sock_reverse_key {
	__u64 cookie;
	struct address address;
	__be16 port;
	__u16 pad[3];
};
_Static_assert(sizeof(struct sock_reverse_key) == 32, "size");

struct sock_reverse {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};
_Static_assert(sizeof(struct sock_reverse) == 20, "size");

/* A network namespace, by the cookie that the kernel gave it. */
struct netns {
	__u64 cookie;
};

/* The ports of a datagram, which only its first fragment carries. The interface keeps a pod from speaking for others: its
 * address is checked later. */
struct fragment_key {
	struct address source;
	struct address destination;
	__be32 id;
	__u32 interface_index;
	__u8 protocol;
	__u8 pad[3];
};
_Static_assert(sizeof(struct fragment_key) == 44, "size");

struct fragment_ports {
	__be16 source_port;
	__be16 destination_port;
};

/* An address that this node answers for on the segment of an interface. */
struct l2_key {
	struct address address;
	__u32 interface_index;
};
_Static_assert(sizeof(struct l2_key) == 20, "size");

struct l2_answer {
	__u64 epoch; /* of the claim: an agent that begins anew goes on with it */
	__u8 mac[6]; /* who has the address */
	__u8 pad[2];
};
_Static_assert(sizeof(struct l2_answer) == 16, "size");

/* How long this node may answer: nobody does in the name of an agent that is dead or frozen. */
struct l2_lease {
	__u64 until; /* nanoseconds of CLOCK_MONOTONIC */
	__u64 node;  /* as heartbeats name it */
};
_Static_assert(sizeof(struct l2_lease) == 16, "size");

struct l2_asked {
	__u64 answers;
	__u64 last; /* nanoseconds of CLOCK_MONOTONIC */
};
_Static_assert(sizeof(struct l2_asked) == 16, "size");

/* A node's interface, as its heartbeats name it. The agent makes the entry: nobody else's heartbeats are kept. */
struct l2_beat_key {
	__u64 node;
	__u32 interface_index; /* the sender's */
	__u32 pad;
};
_Static_assert(sizeof(struct l2_beat_key) == 16, "size");

struct l2_beat {
	__u64 seen; /* nanoseconds of CLOCK_MONOTONIC; in the future while the sender asked to be waited for */
};
_Static_assert(sizeof(struct l2_beat) == 8, "size");

/* A TCP port of a service address that this node knocks at to see whether it serves. The agent makes the entry. */
struct l2_knock_key {
	struct address address;
	__be16 port;
	__u8 pad[2];
};
_Static_assert(sizeof(struct l2_knock_key) == 20, "size");

struct l2_knock {
	__u64 answered; /* nanoseconds of CLOCK_MONOTONIC, the last time; 0: never */
};
_Static_assert(sizeof(struct l2_knock) == 8, "size");

/* Somebody says that an address which this node answers for is his. */
struct l2_claim_key {
	struct address address;
	__u32 interface_index;
	__u8 mac[6];
	__u8 pad[2];
};
_Static_assert(sizeof(struct l2_claim_key) == 28, "size");

struct l2_claim {
	__u64 last; /* nanoseconds of CLOCK_MONOTONIC */
	__u64 count;
};
_Static_assert(sizeof(struct l2_claim) == 16, "size");

/* Numbers and meaning as Hubble clients know them; OTHER_ numbers are ours. */
enum drop_reason {
	DROP_REASON_INVALID_SOURCE_MAC = 130,
	DROP_REASON_INVALID_SOURCE_IP = 132,
	DROP_REASON_INVALID_PACKET = 134,
	DROP_REASON_UNSUPPORTED_L3_PROTOCOL = 139,
	DROP_REASON_ERROR_WRITING_TO_PACKET = 141,
	DROP_REASON_UNKNOWN_L3_TARGET_ADDRESS = 150,
	DROP_REASON_STALE_OR_UNROUTABLE_IP = 151,
	DROP_REASON_CT_MAP_INSERTION_FAILED = 155,
	DROP_REASON_SERVICE_BACKEND_NOT_FOUND = 158,
	DROP_REASON_UNKNOWN_CONNECTION_TRACKING_STATE = 163,
	DROP_REASON_NO_MAPPING_FOR_NAT_MASQUERADE = 167,
	DROP_REASON_FIB_LOOKUP_FAILED = 169,
	DROP_REASON_IS_A_CLUSTERIP = 174,
	DROP_REASON_FIRST_FRAGMENT_NOT_FOUND = 175,
	DROP_REASON_FORBIDDEN_ICMPV6_MESSAGE = 176,
	DROP_REASON_DENIED_BY_LB_SRC_RANGE_CHECK = 177,
	DROP_REASON_RATE_LIMITED = 198,
	DROP_REASON_MULTICAST_HANDLED = 201,
};

enum hook {
	HOOK_POD_FROM = 1,
	HOOK_POD_TO = 2,
	HOOK_HOST_FROM = 3,
	HOOK_HOST_TO = 4,
};

/* Each has its own share of what user space reads, and its own count of what was lost. */
enum event_kind {
	EVENT_KIND_DROP = 1,
	EVENT_KIND_TRACE = 2,
	EVENT_KIND_CONNECTION = 3, /* a connection has ended */
	EVENT_KIND_SOCKET = 4,
	EVENT_KIND_PAYLOAD = 5,
};

/* Where a packet goes from here. Numbers as Hubble clients know them. */
enum trace_point {
	TRACE_POINT_TO_ENDPOINT = 0,
	TRACE_POINT_TO_HOST = 2,
	TRACE_POINT_TO_STACK = 3,
	TRACE_POINT_TO_NETWORK = 11,
};

/* Numbers as Hubble clients know them. */
enum trace_reason {
	TRACE_REASON_NEW = 1,
	TRACE_REASON_ESTABLISHED = 2,
	TRACE_REASON_REPLY = 3,
	TRACE_REASON_RELATED = 4,
};

/* A record of the ring buffer; `kind` stands at the same place in all of them. What is not known is zero. */
struct event {
	__u64 time;	       /* nanoseconds of CLOCK_MONOTONIC */
	__u8 kind;	       /* enum event_kind */
	__u8 reason;	       /* enum drop_reason, enum trace_reason */
	__u8 hook;	       /* enum hook */
	__u8 point;	       /* enum trace_point */
	__u32 interface_index; /* of a drop: where the packet was; else where it goes */
	__u32 length;	       /* of the IP packet, bytes */
	__u16 line;	       /* of the source that decided to drop */
	__u8 icmp_type;
	__u8 icmp_code;
	struct flow flow;      /* as it arrived; of an ICMP error: the error itself */
	struct address source; /* after translation */
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 meant; /* id in lb_services of the service that the client means */
	__u16 conntrack; /* enum conntrack_flag */
	__u8 tcp_flags;
	__u8 whole; /* 1: what follows is known of both directions */
	__u32 answered; /* as in struct conntrack_entry */
	__u64 opened;
	__u64 packets; /* of this direction until now */
	__u64 bytes;
	__u64 reply_packets; /* of the other one */
	__u64 reply_bytes;
};
_Static_assert(sizeof(struct event) == 160, "size");

#define PAYLOAD_MAX 512

/* What a packet carries, as far as it is kept. */
struct payload_event {
	struct event event;
	__u32 length; /* of the packet's payload */
	__u32 kept;   /* bytes of it that follow */
	__u32 sequence; /* of TCP, where it begins; 0: not TCP */
	__u32 pad;
	__u8 bytes[PAYLOAD_MAX];
};
_Static_assert(sizeof(struct payload_event) == 688, "size");

/* A socket that means a service and is connected to a backend. */
struct socket_event {
	__u64 time;
	__u8 kind;
	__u8 pad[3];
	__u32 service; /* id in lb_services */
	struct lb_frontend frontend;
	struct lb_frontend backend;
	__u64 socket; /* its cookie */
	__u64 netns;  /* that of its network namespace */
	__u64 cgroup; /* id */
};
_Static_assert(sizeof(struct socket_event) == 80, "size");

/* Events that user space never sees. */
struct event_losses {
	__u64 limited; /* more than its share of them came */
	__u64 full;    /* the ring buffer was full */
};

/* When the next event of a kind is due if they come evenly, nanoseconds of CLOCK_MONOTONIC: how far this is ahead of now says how many
 * came too early. */
struct event_share {
	__u64 due;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

#endif
