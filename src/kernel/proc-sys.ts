// SPDX-License-Identifier: Apache-2.0
// Where the settings of the network are. /proc/sys of a container is read-only, so the chart mounts the node's below /host. Which network's
// they are is not a matter of the mount: the kernel asks who opens the file (net/sysctl_net.c, Linux 6.6).

import { existsSync } from 'node:fs';

/** 'net/ipv4/ip_forward' is below it. */
export const PROC_SYS = existsSync('/host/proc/sys/net') ? '/host/proc/sys' : '/proc/sys';
