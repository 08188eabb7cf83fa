/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the tests of src/kernel load: one map of each kind of access, and small programs with a visible effect. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* Written by the loader. */
const volatile __u32 knob_verdict = 7;
const volatile __u32 knob_records = 100;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} t_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} t_per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} t_ring SEC(".maps");

/* Counts in t_hash[0] and returns the knob. */
SEC("tc")
int verdict_of_knob(struct __sk_buff *skb)
{
	__u64 *count, one = 1;
	__u32 key = 0;

	skb->mark += 1;
	count = bpf_map_lookup_elem(&t_hash, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&t_hash, &key, &one, BPF_ANY);
	return knob_verdict;
}

SEC("tc")
int another_verdict(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

/* Emits knob_records records of 4 to 64 bytes that begin with their number; gives one up after every tenth. */
SEC("tc")
int emit_records(struct __sk_buff *skb)
{
	__u32 payload[16] = {}, bytes;
	void *record;

	for (__u32 i = 0; i < knob_records && i < 2000; i++) {
		payload[0] = i;
		bytes = (i % 16 + 1) * sizeof(payload[0]);
		bpf_ringbuf_output(&t_ring, payload, bytes, BPF_RB_NO_WAKEUP);
		if (i % 10)
			continue;
		record = bpf_ringbuf_reserve(&t_ring, 24, 0);
		if (record)
			bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	}
	return TC_ACT_OK;
}

/* One record, and the reader is woken. */
SEC("tc")
int wake_reader(struct __sk_buff *skb)
{
	__u64 payload = 42;

	bpf_ringbuf_output(&t_ring, &payload, sizeof(payload), BPF_RB_FORCE_WAKEUP);
	return TC_ACT_OK;
}

SEC("cgroup/connect4")
int allow_connect(struct bpf_sock_addr *context)
{
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
