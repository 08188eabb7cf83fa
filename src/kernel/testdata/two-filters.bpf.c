/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two programs to tell apart by id. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int one(struct __sk_buff *skb)
{
	return skb->len & 0;
}

SEC("tc")
int two(struct __sk_buff *skb)
{
	return (skb->len & 0) - 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
