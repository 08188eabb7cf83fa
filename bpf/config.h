/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent decides once, before it loads the programs. The verifier removes what a knob switches off. */
#ifndef STENTOR_CONFIG_H
#define STENTOR_CONFIG_H

#include "types.h"

#define DESCRIPTION(text) __attribute__((btf_decl_tag(text)))

const volatile __u8 gateway_mac[6] DESCRIPTION("MAC of the host side of every pod's veth pair") = {
	0x02, 0x53, 0x74, 0x6e, 0x74, 0x72};
const volatile __u32 masquerade_ipv4
	DESCRIPTION("1: IPv4 packets of pods leave the cluster with the node's address") = 1;
const volatile __u32 masquerade_ipv6
	DESCRIPTION("1: IPv6 packets of pods leave the cluster with the node's address") = 1;
const volatile __u32 nat_port_first DESCRIPTION("first source port that translations to the node's address use") = 32768;
const volatile __u32 nat_port_last DESCRIPTION("last source port that translations to the node's address use") = 65535;
const volatile __u32 timeout_tcp DESCRIPTION("seconds after which an idle TCP connection is forgotten") = 8000;
const volatile __u32 timeout_tcp_half_closed
	DESCRIPTION("seconds after which an idle TCP connection that one side has ended gives its port to one that finds none") = 240;
const volatile __u32 timeout_tcp_closing DESCRIPTION("seconds after which a closed TCP connection is forgotten") = 10;
const volatile __u32 timeout_any DESCRIPTION("seconds after which an idle flow that is not TCP is forgotten") = 60;
const volatile __u32 no_backend_reject
	DESCRIPTION("1: a service without backends refuses; 0: its packets are dropped") = 1;
const volatile __u32 answers_per_second
	DESCRIPTION("how many TCP resets, and how many echo replies, a node sends in the name of its service addresses") = 1000;
const volatile __u32 errors_per_second
	DESCRIPTION("how many ICMP errors a node sends in the name of its service addresses") = 100;
const volatile __u32 answer_burst DESCRIPTION("how many of a kind it sends at once") = 1000;
const volatile __u32 socket_lb_host_only
	DESCRIPTION("1: only the node's own sockets are translated; what pods send is, packet by packet") = 0;
const volatile __u32 maglev_seed DESCRIPTION("where clients are in Maglev tables; the same on all nodes") = 0;
const volatile __u32 dsr_geneve DESCRIPTION("1: backends of other nodes are told their frontend by Geneve; 0: by IP option") = 0;
const volatile __u32 option_probe_port
	DESCRIPTION("UDP port at which nodes ask one another whether IP options arrive; what has arrived with one goes to the next port") = 4241;
const volatile __u32 watch_flows DESCRIPTION("1: events tell of packets that pass; 0: only of those that are dropped") = 1;
const volatile __u32 watch_payload DESCRIPTION("1: events have what DNS and HTTP messages begin with") = 1;
const volatile __u32 events_per_second DESCRIPTION("events of each kind that user space is told of, as many again at once") = 4000;
const volatile __u32 knock_port
	DESCRIPTION("TCP port from which a node knocks at service addresses of others; what comes back to it is noted, and nobody else's") = 4243;
const volatile __u64 host_netns_cookie DESCRIPTION("cookie of the node's network namespace; 0: not known") = 0;

#endif
