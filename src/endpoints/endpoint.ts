// SPDX-License-Identifier: Apache-2.0
// An endpoint: one network interface of one pod on this node. A row is made by CNI ADD, ended by CNI DEL, and durable as a file.

import { familyOf, parseIp, parseMac } from '../base/ip.ts';
import type { Ip, Mac } from '../base/ip.ts';

export type EndpointRow = {
  /** Name of the host side of its veth pair, and the row's key: `lxc` and 12 hex digits. */
  readonly hostInterface: string;
  /** 1 to 65535, unique on this node. */
  readonly id: number;
  /** Of the host side, which follows from the id. */
  readonly interfaceIndex: number;
  readonly containerId: string;
  /** Name of the interface inside the pod. */
  readonly interfaceName: string;
  /** Path of the pod's network namespace. */
  readonly netns: string;
  /** Of the same, in decimal, as the kernel gave it; empty where it is not known. */
  readonly netnsCookie: string;
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  /** One for each family. */
  readonly addresses: readonly Ip[];
  readonly mac: Mac;
  /** At ADD; later the interface follows that of the node. */
  readonly mtu: number;
};

const LEAST_IPV6_MTU = 1280; // RFC 8200 section 5

/** The kernel takes IPv6 away, addresses and all, from an interface whose MTU is below the least one. */
export function usableMtu(mtu: number, addresses: readonly Ip[]): number {
  return addresses.some((address) => familyOf(address) === 6) ? Math.max(mtu, LEAST_IPV6_MTU) : mtu;
}

export const FIRST_ENDPOINT_ID = 1;
export const LAST_ENDPOINT_ID = 65_535;

const texts = ['hostInterface', 'containerId', 'interfaceName', 'netns', 'netnsCookie', 'namespace', 'pod', 'uid'] as const;
const numbers = ['id', 'interfaceIndex', 'mtu'] as const;

/** The row in `value`, which was read from a file that may be damaged; else what is wrong with it. */
export function endpointOf(value: unknown): EndpointRow | string {
  if (typeof value !== 'object' || value === null) return 'it is no object';
  const fields: Record<string, unknown> = { netnsCookie: '', ...value }; // the files of older agents do not have it
  for (const name of texts) if (typeof fields[name] !== 'string') return `${name} is ${JSON.stringify(fields[name])}, wanted text`;
  for (const name of numbers)
    if (!Number.isInteger(fields[name])) return `${name} is ${JSON.stringify(fields[name])}, wanted a whole number`;
  if (typeof fields['mac'] !== 'string' || parseMac(fields['mac']) === undefined)
    return `mac is ${JSON.stringify(fields['mac'])}, wanted a MAC`;
  const addresses = fields['addresses'];
  if (!Array.isArray(addresses) || addresses.some((address) => typeof address !== 'string' || parseIp(address) === undefined))
    return `addresses is ${JSON.stringify(addresses)}, wanted a list of IP addresses`;
  if (!/^\d*$/.test(String(fields['netnsCookie']))) return `netnsCookie is ${JSON.stringify(fields['netnsCookie'])}, wanted digits`;
  return fields as EndpointRow; // every field is checked above
}
