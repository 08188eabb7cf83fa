/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every kind of field, map and knob that the schema generator has a rule for. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#define DESCRIBE(text) __attribute__((btf_decl_tag(text)))

typedef __u64 socket_cookie;

struct address {
	__u8 bytes[16];
};

enum drop_reason {
	DROP_REASON_NONE = 0,
	DROP_REASON_NO_ROUTE = 3,
	DROP_REASON_POLICY_DENIED = 200,
};

enum __attribute__((packed)) direction {
	DIR_IN = 1,
	DIR_OUT = 2,
};

enum event_kind {
	EVENT_KIND_DROP = 1,
	EVENT_KIND_FIRST_REPLY = 2,
};

enum __attribute__((packed)) entry_flag {
	ENTRY_FLAG_LOCAL = 1,
	ENTRY_FLAG_CLOSING = 128,
};

enum level { LEVEL_LOW = -1, LEVEL_HIGH = 1 };

struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

struct every_field {
	struct tuple tuple;
	__u8 byte;
	__s8 signed_byte;
	__u16 half;
	__u32 word;
	__s32 signed_word;
	__be32 network_word;
	__u64 packets;
	__s64 difference;
	socket_cookie socket;
	__u64 key_hash;
	__u8 mac[6];
	bool active;
	enum direction direction;
	enum drop_reason reason;
	__u8 small_reason DESCRIBE("enum drop_reason");
	enum entry_flag flags;
	__u8 _pad[2];
	struct bpf_spin_lock lock;
	__u32 next_hops[3];
	struct address gateways[2];
	enum direction ways[4];
	char name[16];
	__u8 digest[20];
	__u32 pad2;
};

_Static_assert(sizeof(struct every_field) == 200, "four bytes of hidden padding at the end, on purpose");

struct prefix {
	__u32 bits;
	struct address address;
};

struct drop_event {
	__u8 kind DESCRIBE("enum event_kind");
	__u8 pad[3];
	enum drop_reason reason;
	struct tuple tuple;
};

struct first_reply_event {
	__u8 kind DESCRIBE("enum event_kind");
	__u8 pad[7];
	__u64 delay_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct tuple);
	__type(value, struct every_field);
	__uint(max_entries, 1024);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, __u32);
	__uint(max_entries, 512);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} ip_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum drop_reason);
	__type(value, __u64);
	__uint(max_entries, 256);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 251);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(value_size, 4);
	__uint(max_entries, 8);
	__array(values, struct table);
} tables SEC(".maps");

static const char shift_the_offsets[5] = "four";

DESCRIBE("Interface that leads out") const volatile __u32 uplink = 2;
DESCRIBE("Answer pings to virtual addresses") const volatile bool answer_ping = true;
DESCRIBE("Where pods send what is not local") const volatile struct address gateway = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, 0, 1 } };
DESCRIBE("Address of the host side") const volatile __u8 host_mac[6] = { 2, 0, 0, 0, 0, 1 };
DESCRIBE("How much is reported") const volatile enum level level = LEVEL_HIGH;
const volatile __be16 listen_port = 0x5000;
const volatile __u64 report_interval_ns = 5000000000ULL;
const __u32 plain_constant = 7;

__attribute__((noinline)) int emit_drop(struct drop_event *event)
{
	return event ? event->reason : 0;
}

__attribute__((noinline)) int emit_reply(struct first_reply_event *event, enum event_kind kind)
{
	return event ? event->kind == kind : 0;
}

SEC("tc")
int pod_from(struct __sk_buff *skb)
{
	return shift_the_offsets[skb->len & 3] + uplink + answer_ping + gateway.bytes[3] + host_mac[2] + level + listen_port + report_interval_ns + *(volatile const __u32 *)&plain_constant;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return ctx->user_port == listen_port;
}

char _license[] SEC("license") = "Dual BSD/GPL";
