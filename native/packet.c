/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet sockets: whole Ethernet frames of one protocol on one interface, out and in; of IPv6, in only advertisements. What is in them is
 * TypeScript's business (src/kernel/packet.ts).
 */
#define _GNU_SOURCE
#include "handles.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of IPv6 only neighbour advertisements: whoever asks for neighbours must not be woken by everything else. */
static int keep_advertisements(int fd)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 6), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 40), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

napi_value packet_open(napi_env env, napi_callback_info info)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	uint32_t interface_index, protocol;
	napi_value argv[2];
	int fd, yes = 1;

	if (!get_arguments(env, info, 2, argv) || !get_uint32(env, argv[0], "interfaceIndex", &interface_index) ||
	    !get_uint32(env, argv[1], "protocol", &protocol))
		return NULL;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return throw_errno(env, errno, "socket", "packet");
	/* who only sends asks neither a queue nor our own program, to which a knock at a service address would be a stray */
	if (!protocol)
		setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes));
	address.sll_ifindex = (int)interface_index;
	address.sll_protocol = htons((uint16_t)protocol);
	if ((protocol == ETHERTYPE_IPV6 && keep_advertisements(fd)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		int why = errno;

		close(fd);
		return throw_errno(env, why, "bind", "packet");
	}
	return wrap_descriptor(env, HANDLE_SOCKET, fd, "packet socket");
}

/* Has the interface take frames for a group address, for as long as the socket is open. */
napi_value packet_join(napi_env env, napi_callback_info info)
{
	struct packet_mreq request = {.mr_type = PACKET_MR_MULTICAST, .mr_alen = ETH_ALEN};
	uint32_t interface_index;
	struct handle *handle;
	struct bytes group;
	napi_value argv[3];

	if (!get_arguments(env, info, 3, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle) ||
	    !get_uint32(env, argv[1], "interfaceIndex", &interface_index) ||
	    !get_bytes(env, argv[2], "group", ETH_ALEN, &group))
		return NULL;
	request.mr_ifindex = (int)interface_index;
	memcpy(request.mr_address, group.data, ETH_ALEN);
	if (setsockopt(handle->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)))
		return throw_errno(env, errno, "setsockopt(PACKET_ADD_MEMBERSHIP)", handle->name);
	return NULL;
}

napi_value packet_send(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	struct bytes frame;
	napi_value argv[2];
	ssize_t sent;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle) ||
	    !get_bytes(env, argv[1], "frame", ETH_HLEN, &frame))
		return NULL;
	do
		sent = send(handle->fd, frame.data, frame.length, MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return throw_errno(env, errno, "send", handle->name);
	return NULL;
}

napi_value packet_receive(napi_env env, napi_callback_info info)
{
	struct handle *handle;
	struct bytes into;
	napi_value argv[2];
	ssize_t received;

	if (!get_arguments(env, info, 2, argv) || !get_handle(env, argv[0], HANDLE_SOCKET, &handle) ||
	    !get_bytes(env, argv[1], "into", ETH_HLEN, &into))
		return NULL;
	do
		received = recv(handle->fd, into.data, into.length, MSG_DONTWAIT);
	while (received < 0 && errno == EINTR);
	if (received < 0 && errno == EAGAIN)
		return number_value(env, 0);
	if (received < 0)
		return throw_errno(env, errno, "recv", handle->name);
	return number_value(env, (double)received);
}
