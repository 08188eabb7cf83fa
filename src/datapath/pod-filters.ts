// SPDX-License-Identifier: Apache-2.0
// pod_from and pod_to on every pod's interface, as a Target. clsact filters at a fixed handle and priority: they live and end with
// the interface, outlive the agent, and a new program replaces the old one between two packets.

import { forEachEntry } from '../base/ledger.ts';
import type { Target } from '../base/reconcile.ts';
import { deleteClsact, ensureClsact, FilterHook, listFilters, putFilter } from '../kernel/netlink-filter.ts';
import type { FilterPlace } from '../kernel/netlink-filter.ts';
import { listLinks } from '../kernel/netlink-link.ts';
import type { BpfProgram } from '../kernel/program.ts';
import type { NetlinkSocket } from '../kernel/socket.ts';
import { isPodLink } from './pod-links.ts';

/** Program ids; 0 where none is attached. */
export type PodFilter = {
  /** Index of the host side. */
  readonly link: number;
  readonly from: number;
  readonly to: number;
};

const PLACE = { priority: 1, handle: 1 } as const;

/** `programs`: the loaded programs that rows may name; `before` is called before one of them runs. */
export function podFilterTarget(
  socket: NetlinkSocket,
  programs: readonly BpfProgram[],
  before: () => void = () => {},
): Target<string, PodFilter> {
  const attach = (place: FilterPlace, id: number) => {
    const program = programs.find((candidate) => candidate.id === id);
    if (!program) throw new RangeError(`Cannot attach program ${id} to link ${place.link}: it is not loaded by this agent`);
    putFilter(socket, place, { name: program.name, descriptor: program.descriptor });
  };
  return {
    name: 'pod_filters',
    *list() {
      for (const { name, index } of listLinks(socket)) {
        if (!isPodLink(index)) continue;
        yield [name, { link: index, from: programAt(socket, index, FilterHook.ingress), to: programAt(socket, index, FilterHook.egress) }];
      }
    },
    put(entries) {
      before();
      forEachEntry(entries, (_, { link, from, to }) => {
        ensureClsact(socket, link);
        attach({ link, hook: FilterHook.egress, ...PLACE }, to);
        attach({ link, hook: FilterHook.ingress, ...PLACE }, from);
      });
    },
    remove(entries) {
      forEachEntry(entries, (_, { link }) => deleteClsact(socket, link));
    },
  };
}

function programAt(socket: NetlinkSocket, link: number, hook: FilterHook): number {
  return (
    listFilters(socket, link, hook).find(({ priority, handle }) => priority === PLACE.priority && handle === PLACE.handle)?.programId ?? 0
  );
}
