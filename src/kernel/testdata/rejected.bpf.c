/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program that the verifier rejects: it reads the packet without looking where it ends. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int reads_too_far(struct __sk_buff *skb)
{
	return *(__u8 *)(long)skb->data;
}

SEC("tc")
int harmless(struct __sk_buff *skb)
{
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
