/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that do nothing: what a test run costs by itself. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int floor_tc(struct __sk_buff *ctx)
{
	return 0; /* TC_ACT_OK */
}

SEC("xdp")
int floor_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}
