/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The schema: every map, who writes it, who reads it, its size and why. All objects declare the same maps and share them
 * through their pins. Sizes are upper bounds; maps without preallocation cost what they hold. */
#ifndef STENTOR_MAPS_H
#define STENTOR_MAPS_H

#include "types.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Pods of this node by address. Written by the agent; 2 addresses for each of at most some hundred pods. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address);
	__type(value, struct endpoint);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} endpoints SEC(".maps");

/* Uplinks by interface index. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct device);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} devices SEC(".maps");

/* The machine that a client's packets come from, for clients whom no route of their uplink leads to. Written and read by the programs of
 * uplinks, and pod reads it; what is not used goes when there is no room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct last_hop_key);
	__type(value, struct last_hop);
	__uint(max_entries, 16384);
} last_hops SEC(".maps");

/* What is known of remote addresses by prefix. Written by the agent, read for the first packet of a flow. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct ipcache_key);
	__type(value, struct ipcache_entry);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} ipcache SEC(".maps");

/* Service address, port and protocol to service. Written by the agent; pod and sock read it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_frontend);
	__type(value, struct lb_service);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_services SEC(".maps");

/* Service and slot to backend. Written by the agent before lb_services counts the slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_slot);
	__type(value, struct lb_slot_value);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_slots SEC(".maps");

/* Backend id to address. Written by the agent before any slot names the id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_backend_key);
	__type(value, struct lb_backend);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_backends SEC(".maps");

/* Backends of services that hold clients or flows to them. Written by the agent after lb_backends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_member);
	__type(value, struct lb_member_value);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_members SEC(".maps");

/* Prefixes that loadBalancerSourceRanges names, by service. Written by the agent before lb_services asks for them; read for the first
 * packet of a flow from the wire. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct lb_source_range);
	__type(value, struct lb_source_range_value);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_source_ranges SEC(".maps");

/* Maglev tables of services whose backends are chosen by client, in parts, as services differ in the size of theirs. Written by the agent
 * before lb_maglev names the generation; 16 MiB in 4,000 services of up to ten backends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_maglev_part_key);
	__type(value, struct lb_maglev_part);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_maglev_parts SEC(".maps");

/* The table of a service that is in effect. Written by the agent before lb_services asks for it: one entry swaps a table. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_maglev_key);
	__type(value, struct lb_maglev);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_maglev SEC(".maps");

/* Which backend a client has. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct lb_client);
	__type(value, struct lb_affinity);
	__uint(max_entries, 16384);
} lb_affinities SEC(".maps");

/* Who is not redirected. Written by the agent before lb_services has the redirect; a pod or two for each policy and port. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct lb_skip);
	__type(value, __u32);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_skips SEC(".maps");

/* Service addresses whatever the port. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct address);
	__type(value, struct lb_address);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lb_addresses SEC(".maps");

/* How much service addresses answer of their own accord. Written by the programs, read by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct answer_budget);
	__uint(max_entries, 9);
} answer_budgets SEC(".maps");

/* Written by the agent, read for packets of flows that conntrack does not know. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct handover);
	__uint(max_entries, 1);
} handovers SEC(".maps");

/* Both directions of every flow. Written by the programs; the least recently used entry makes room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct flow);
	__type(value, struct conntrack_entry);
	__uint(max_entries, 131072);
} conntrack SEC(".maps");

/* Ports of datagrams whose fragments are under way. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct fragment_key);
	__type(value, struct fragment_ports);
	__uint(max_entries, 8192);
} fragments SEC(".maps");

/* Translated sockets. Written and read by the socket programs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct sock_reverse_key);
	__type(value, struct sock_reverse);
	__uint(max_entries, 32768);
} sock_reverse SEC(".maps");

/* Network namespaces of pods whose sockets stay as they are. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct netns);
	__type(value, __u32);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sock_exempt SEC(".maps");

/* Addresses that this node answers ARP and neighbour solicitations for. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct l2_key);
	__type(value, struct l2_answer);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} l2_answers SEC(".maps");

/* Until when it may. Written by the agent's own thread for this, many times a second. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct l2_lease);
	__uint(max_entries, 1);
} l2_lease SEC(".maps");

/* How often it did. Written by host. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct l2_key);
	__type(value, struct l2_asked);
	__uint(max_entries, 4096);
} l2_asked SEC(".maps");

/* When other nodes were heard. Entries are the agent's, times are host's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct l2_beat_key);
	__type(value, struct l2_beat);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} l2_beats SEC(".maps");

/* Whether ports of service addresses answer when they are knocked at. Entries are the agent's, times are host's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct l2_knock_key);
	__type(value, struct l2_knock);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} l2_knocks SEC(".maps");

/* Who else says that he has our addresses. Written by host, read by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct l2_claim_key);
	__type(value, struct l2_claim);
	__uint(max_entries, 256);
} l2_claims SEC(".maps");

/* Events for the agent, which reads at its own pace: 12,000 of them. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21);
} events SEC(".maps");

/* Who may still write events, by kind. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct event_share);
	__uint(max_entries, 8);
} event_shares SEC(".maps");

/* Events that were lost, by kind and CPU. Written by the programs, read by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct event_losses);
	__uint(max_entries, 8);
} event_losses SEC(".maps");

/* A conntrack entry that is being made: the stack has no room for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct conntrack_entry);
	__uint(max_entries, 1);
} scratch SEC(".maps");

/* Dropped packets by reason, per CPU: also those whose event found the ring buffer full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, 256);
} drops SEC(".maps");

/* What user space reads and no map names: this function, which nobody calls, keeps it in BTF. */
struct schema {
	struct event event;
	struct payload_event payload_event;
	struct socket_event socket_event;
	enum trace_point trace_point;
	enum trace_reason trace_reason;
	enum conntrack_flag conntrack_flag;
	enum ipcache_flag ipcache_flag;
	enum lb_address_flag lb_address_flag;
	enum answer_kind answer_kind;
	enum answer_to answer_to;
	enum lb_service_flag lb_service_flag;
	enum lb_member_state lb_member_state;
	enum lb_skip_kind lb_skip_kind;
	enum drop_reason drop_reason;
	enum event_kind event_kind;
	enum hook hook;
};

__attribute__((noinline)) int schema(struct schema *schema)
{
	return schema ? 0 : 1;
}

#endif
