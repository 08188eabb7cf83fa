// SPDX-License-Identifier: Apache-2.0
// What the status of a Service should have, and what is to be said where it has something else.

import type { Ip } from '../base/ip.ts';
import { notice, problem } from '../base/problem.ts';
import type { Notice, Problem } from '../base/problem.ts';
import { sameRow } from '../base/same.ts';
import type { Allocation, Kept } from './allocate.ts';
import { Cause } from './refusal.ts';
import { RELEASE } from './service.ts';
import type { LbServiceRow } from './service.ts';

/** A deed: it is there until the watch says that it has been done. It is for the Service as it was looked at. */
export type ServiceWrite = {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly ips: readonly Ip[];
  /** Undefined: the Service is not ours any more. */
  readonly condition: ConditionWrite | undefined;
};

export type ConditionWrite = {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  /** Since when the status is as it is; undefined: it changes now. */
  readonly since: string | undefined;
};

export type Said = readonly (Problem | Notice)[];

/** Undefined: the status is as it should be. */
export function serviceWrite(service: LbServiceRow, allocation: Allocation | undefined): ServiceWrite | undefined {
  const { uid, resourceVersion, has, hasMore, condition } = service;
  if (service.whose === 'left') return { uid, resourceVersion, ips: [], condition: undefined };
  if (allocation === undefined || allocation.uid !== uid) return undefined;
  const { ips, refusals } = allocation;
  const status = refusals.length === 0 ? 'True' : 'False';
  const [first] = refusals;
  const wanted = {
    status,
    reason: first === undefined ? 'satisfied' : Cause[first.cause],
    message: messageOf(service, allocation),
  } as const;
  const { status: before, reason, message } = condition ?? {};
  if (!hasMore && sameRow(has, ips) && sameRow(wanted, { status: before, reason, message: message ?? '' })) return undefined;
  return { uid, resourceVersion, ips, condition: { ...wanted, since: before === status ? condition?.lastTransitionTime : undefined } };
}

function messageOf(service: LbServiceRow, { refusals, kept, note }: Allocation): string {
  const sentences = [...refusals, ...kept.map((one) => keptText(service, one))].map(({ message, advice }) => `${message}. ${advice}.`);
  return [...sentences, ...(note === undefined ? [] : [`${note}.`])].join(' ');
}

function keptText({ name }: LbServiceRow, { ip, because, to }: Kept): { readonly message: string; readonly advice: string } {
  const slash = name.indexOf('/');
  const command = `kubectl annotate --overwrite -n ${name.slice(0, slash)} service ${name.slice(slash + 1)} ${RELEASE}=${ip}`;
  return {
    message: `${ip} is kept, although ${because}`,
    advice: to === undefined ? 'Undo that, or ask for another address' : `Undo that, or let the Service move to ${to}: ${command}`,
  };
}

/** Events of the difference between what the status has and what it is going to have. */
export function saidOf(service: LbServiceRow, write: ServiceWrite | undefined, allocation: Allocation | undefined): Said {
  if (write === undefined) return [];
  const object = `Service ${service.name}`;
  const gained = write.ips.filter((ip) => !service.has.includes(ip)).join(', ');
  const lost = service.has.filter((ip) => !write.ips.includes(ip)).join(', ');
  const known = service.condition?.message ?? '';
  const news = (message: string) => !known.includes(message);
  const moves =
    gained !== '' && lost !== ''
      ? [notice({ object, reason: 'AddressMoved', message: `${lost} is replaced by ${gained}` })]
      : gained !== ''
        ? [notice({ object, reason: 'AddressAllocated', message: `Has ${gained} now` })]
        : lost !== ''
          ? [notice({ object, reason: 'AddressReleased', message: `Has ${lost} no longer` })]
          : [];
  const wrong = troublesOf(service, allocation).filter(({ message }) => news(message));
  const note = allocation?.note;
  const notes = note === undefined || !news(note) ? [] : [notice({ object, reason: 'AddressNotShared', message: note })];
  return [...moves, ...wrong, ...notes];
}

/** What somebody has to repair so that the Service has what it asks for, and may go on having it. */
export function troublesOf(service: LbServiceRow, allocation: Allocation | undefined): readonly Problem[] {
  if (allocation === undefined || allocation.uid !== service.uid) return [];
  const object = `Service ${service.name}`;
  const refused = allocation.refusals.map(({ cause, message, advice }) => problem({ object, reason: cause, message, advice }));
  const kept = allocation.kept.map((one) => problem({ object, reason: 'AddressKept', ...keptText(service, one) }));
  return [...refused, ...kept];
}
