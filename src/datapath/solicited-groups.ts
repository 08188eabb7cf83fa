// SPDX-License-Identifier: Apache-2.0
// The groups by which IPv6 addresses are solicited: an interface that is no member hears nothing, nor does a switch that snoops
// MLD pass it on. The kernel tells the switch, as the membership is of a socket.

import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { codeOf } from '../base/errors.ts';
import { familyOf } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { solicitedNodeGroup } from './segment-frames.ts';

type Member = { readonly ip: Ip; readonly interface: string };

export type GroupMembership = Disposable & {
  /** A second time is no error. */
  join(member: Member): void;
  leave(member: Member): void;
};

/** Hears nothing itself. */
function bound(): Socket {
  const socket = createSocket('udp6').unref();
  socket.on('error', () => {}); // without a loopback it stays unbound, which memberships do not mind
  socket.bind(0, '::1');
  return socket;
}

export function groupMembership(): GroupMembership {
  const members = new Map<string, Set<Ip>>(); // two addresses may share a group
  let socket: Socket | undefined;
  const change = (act: 'addMembership' | 'dropMembership', group: string, name: string) => {
    try {
      socket ??= bound();
      socket[act](group, `::%${name}`);
    } catch (error) {
      if (codeOf(error) === undefined) throw error; // an interface without IPv6 hears no solicitations either
    }
  };
  return {
    join({ ip, interface: name }) {
      if (familyOf(ip) !== 6) return;
      const { group } = solicitedNodeGroup(ip);
      const key = `${group}%${name}`;
      const own = members.get(key) ?? new Set();
      if (own.size === 0) change('addMembership', group, name);
      members.set(key, own.add(ip));
    },
    leave({ ip, interface: name }) {
      if (familyOf(ip) !== 6) return;
      const { group } = solicitedNodeGroup(ip);
      const own = members.get(`${group}%${name}`);
      if (own?.delete(ip) === true && own.size === 0) change('dropMembership', group, name);
    },
    [Symbol.dispose]() {
      socket?.close();
    },
  };
}
