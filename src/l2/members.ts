// SPDX-License-Identifier: Apache-2.0
// Who is there to announce: this node, and every other whose heartbeats are heard, each with what it says of itself.

import { cidrContains, parseCidr } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';

export type MemberInterface = {
  readonly name: string;
  readonly mac: Mac | undefined;
  /** Connected prefixes, as text. */
  readonly prefixes: readonly string[];
  /** Why nobody is reached through it; undefined: it works. */
  readonly fault: string | undefined;
  /** Why others come first: it may work, but nobody who should answers there. */
  readonly doubt?: string;
};

/** An address that a node answers for. */
export type Claim = {
  readonly ip: Ip;
  /** Grows with each change of owner: of two claims the higher one stands. */
  readonly epoch: number;
  /** How well it can, as the node itself sees it. */
  readonly level: Level;
};

/** 0: cannot; 1: better than nobody; 2: can. */
export type Level = 0 | 1 | 2;

/** An address that others should have, and why, in words that follow the node's name. */
export type Cession = { readonly ip: Ip; readonly why: string };

/** Key: name of the node. */
export type MemberRow = {
  readonly node: string;
  readonly interfaces: readonly MemberInterface[];
  readonly claims: readonly Claim[];
  /** Of other nodes' addresses, those for which it asks. */
  readonly sights: readonly Sight[];
  readonly cedes: readonly Cession[];
};

/** Whether an address was found at its owner, when somebody else asked for it as a client does; `missing`: what had no answer. */
export type Sight = { readonly ip: Ip; readonly found: boolean; readonly missing?: string };

export function isConnected({ prefixes }: Pick<MemberInterface, 'prefixes'>, ip: Ip): boolean {
  return prefixes.some((text) => {
    const prefix = parseCidr(text);
    return prefix !== undefined && cidrContains(prefix, ip);
  });
}

/** What others see of an address: from whom it is found, and from whom not. */
export function sightsOf(ip: Ip, members: readonly MemberRow[]): readonly Seen[] {
  return members.flatMap(({ node, sights }) =>
    sights
      .filter((sight) => sight.ip === ip)
      .map(({ found, missing }) => ({ from: node, found, ...(missing !== undefined && { missing }) })),
  );
}

export type Seen = Omit<Sight, 'ip'> & { readonly from: string };
