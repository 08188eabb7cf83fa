// SPDX-License-Identifier: Apache-2.0
// BPF programs on an interface by tc: the clsact qdisc and its direct-action filters.
//
//   interface ─ clsact ─┬─ ingress ─ filter (priority, handle) ─▶ program
//                       └─ egress  ─ filter (priority, handle) ─▶ program
//
// A filter belongs to the interface, not to this process. Putting a program where one is replaces it between two packets.

import { isKernelError } from './errors.ts';
import { attributesOf, put, RouteMessage, structOf, take } from './netlink.ts';
import { NetlinkFlag } from './socket.ts';
import type { NetlinkMessage, NetlinkSocket } from './socket.ts';

/** Parents of clsact's filters (TC_H_MIN_INGRESS, TC_H_MIN_EGRESS). */
export const FilterHook = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
export type FilterHook = (typeof FilterHook)[keyof typeof FilterHook];

/** Where a filter sits. Packets pass lower priorities first; handle and priority are chosen by whoever attaches, and stay. */
export type FilterPlace = {
  /** Index of the interface. */
  readonly link: number;
  readonly hook: FilterHook;
  readonly priority: number;
  readonly handle: number;
};

export type BpfFilter = FilterPlace & {
  readonly name: string;
  /** Id of the program; 0 where the kernel does not say. */
  readonly programId: number;
};

const tcmsg = structOf({ family: 'u8', pad1: 'u8', pad2: 'u16', link: 's32', handle: 'u32', parent: 'u32', info: 'u32' });
const clsact = { handle: 0xffff_0000, parent: 0xffff_fff1 } as const;
/** TCA_*. */
const TcAttribute = { kind: 1, options: 2 } as const;
/** TCA_BPF_*. */
const BpfAttribute = { descriptor: 6, name: 7, flags: 8, id: 11 } as const;
const directAction = 1; // TCA_BPF_FLAG_ACT_DIRECT: the program's return value is the verdict
const allProtocols = 0x0300; // htons(ETH_P_ALL)

/** Makes sure that the interface has clsact. */
export function ensureClsact(socket: NetlinkSocket, link: number): void {
  const body = Buffer.concat([tcmsg.encode({ link, ...clsact }), put.text(TcAttribute.kind, 'clsact')]);
  try {
    socket.request({
      type: RouteMessage.newQdisc,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive,
      body,
      what: `RTM_NEWQDISC clsact on link ${link}`,
    });
  } catch (error) {
    if (!isKernelError(error, 'EEXIST')) throw error;
  }
}

/** Removes clsact with all of its filters. False when there was none. */
export function deleteClsact(socket: NetlinkSocket, link: number): boolean {
  const body = Buffer.concat([tcmsg.encode({ link, ...clsact }), put.text(TcAttribute.kind, 'clsact')]);
  try {
    socket.request({ type: RouteMessage.deleteQdisc, body, what: `RTM_DELQDISC clsact on link ${link}` });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Puts the program of that descriptor at the place, under a name that `tc filter show` prints. The interface has clsact. */
export function putFilter(
  socket: NetlinkSocket,
  place: FilterPlace,
  { name, descriptor }: { readonly name: string; readonly descriptor: number },
): void {
  const options = put.nested(
    TcAttribute.options,
    put.u32(BpfAttribute.descriptor, descriptor),
    put.text(BpfAttribute.name, name),
    put.u32(BpfAttribute.flags, directAction),
  );
  const body = Buffer.concat([placeBytes(place), put.text(TcAttribute.kind, 'bpf'), options]);
  socket.request({
    type: RouteMessage.newFilter,
    flags: NetlinkFlag.create | NetlinkFlag.replace,
    body,
    what: `RTM_NEWTFILTER ${name} on ${placeText(place)}`,
  });
}

/** The BPF filters of one hook; none when the interface has no clsact or is gone. */
export function listFilters(socket: NetlinkSocket, link: number, hook: FilterHook): readonly BpfFilter[] {
  const body = tcmsg.encode({ link, parent: hook });
  try {
    const messages = socket.request({
      type: RouteMessage.getFilter,
      flags: NetlinkFlag.dump,
      body,
      what: `RTM_GETTFILTER of link ${link}`,
    });
    return messages.map(filterOf).filter((filter) => filter !== undefined);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** False when there is no filter at the place. */
export function deleteFilter(socket: NetlinkSocket, place: FilterPlace): boolean {
  const body = Buffer.concat([placeBytes(place), put.text(TcAttribute.kind, 'bpf')]);
  try {
    socket.request({ type: RouteMessage.deleteFilter, body, what: `RTM_DELTFILTER on ${placeText(place)}` });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** ENOENT no such filter, EINVAL no such qdisc, ENODEV no such interface. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'EINVAL', 'ENODEV'].some((code) => isKernelError(error, code));
}

/** The upper half of `info` is the priority, the lower half the protocol in network order. */
function placeBytes({ link, hook, priority, handle }: FilterPlace): Buffer {
  return tcmsg.encode({ link, handle, parent: hook, info: priority * 0x10000 + allProtocols });
}

/** Undefined for filters of other kinds, and for the chain's own entry without a handle that comes before each filter. */
function filterOf({ body }: NetlinkMessage): BpfFilter | undefined {
  const header = tcmsg.decode(body);
  const attributes = attributesOf(body, tcmsg.size);
  if (take.text(attributes, TcAttribute.kind) !== 'bpf' || header.handle === 0) return undefined;
  const options = take.nested(attributes, TcAttribute.options);
  return {
    link: header.link,
    hook: header.parent as FilterHook, // as it was asked for
    priority: header.info >>> 16,
    handle: header.handle,
    name: take.text(options, BpfAttribute.name) ?? '',
    programId: take.u32(options, BpfAttribute.id) ?? 0,
  };
}

/** The index of the interface that a message about a filter or a qdisc is about. */
export function filterLinkOf(body: Buffer): number {
  return tcmsg.decode(body).link;
}

function placeText({ link, hook, priority, handle }: FilterPlace): string {
  return `link ${link} ${hook === FilterHook.ingress ? 'ingress' : 'egress'} priority ${priority} handle ${handle}`;
}
