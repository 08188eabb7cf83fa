/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ports of SCTP. Its checksum is the CRC32c of the whole packet, which no program could read; but a CRC is linear, so that the change of
 * four bytes changes it by something that depends on those bytes and on their distance from the end alone. */
#ifndef STENTOR_SCTP_H
#define STENTOR_SCTP_H

#include "packet.h"

#define CRC32C 0x82f63b78 /* reversed: bit 31 is x^0 */

/* a * b modulo the polynomial. */
__noinline __u32 crc_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 31; i >= 0; i--) {
		product ^= b & -(a >> i & 1);
		b = b >> 1 ^ (CRC32C & -(b & 1));
	}
	return product;
}

/* The change of the CRC of `length` bytes whose first four change by `change`: that times x^(8 * length). */
__noinline __u32 crc_change(__u32 change, __u32 length)
{
	__u32 power = 0x00800000; /* x^8 */

	for (int bit = 0; bit < 11; bit++) { /* an MTU of 2047 at most takes the first eleven */
		if (length >> bit & 1)
			change = crc_multiply(change, power);
		power = crc_multiply(power, power);
	}
	for (int bit = 11; bit < 16; bit++) {
		if (!(length >> bit))
			break;
		if (length >> bit & 1)
			change = crc_multiply(change, power);
		power = crc_multiply(power, power);
	}
	return change;
}

/* Whether the packet is the first fragment of more than is here. One with extension headers is taken for one. */
static __always_inline bool is_partial(struct __sk_buff *ctx, const struct packet *packet)
{
	__be16 fragment;

	if (packet->family == 6)
		return packet->l4 != ETH_HLEN + sizeof(struct ipv6hdr);
	return bpf_skb_load_bytes(ctx, packet->l3 + offsetof(struct iphdr, frag_off), &fragment, sizeof(fragment)) ||
	       fragment & bpf_htons(IPV4_FRAGMENT);
}

/* Both ports, and the checksum. */
static __always_inline int sctp_write_ports(struct __sk_buff *ctx, const struct packet *packet, __be16 source, __be16 destination)
{
	struct {
		__u32 ports; /* as they stand, little endian as the CRC is */
		__be32 tag;
		__u32 crc;
	} header;
	__u32 ports = source | (__u32)destination << 16, change;

	if (bpf_skb_load_bytes(ctx, packet->l4, &header, sizeof(header)))
		return -1;
	change = header.ports ^ ports;
	if (!change)
		return 0;
	if (is_partial(ctx, packet))
		return -1;
	header.ports = ports;
	if (header.crc) /* else the NIC writes it */
		header.crc ^= crc_change(change, packet->length - (packet->l4 - packet->l3));
	return bpf_skb_store_bytes(ctx, packet->l4, &header, sizeof(header), BPF_F_RECOMPUTE_CSUM);
}

#endif
