// SPDX-License-Identifier: Apache-2.0
// What a network plugin may answer to a container runtime, in the shapes that the versions of the specification want.
//
//   reply     one byte of exit code, then what the runtime reads from the plugin's standard output
//
// Source: CNI specification 1.1.0 (and 0.3.0 to 1.0.0 for the shapes of older results), https://www.cni.dev/docs/spec/

import type { Cidr, Ip, Mac } from '../base/ip.ts';
import { cidrText, familyOf } from '../base/ip.ts';

/** Oldest first. cni/shim.c says the same list when no agent answers; a test compares them. */
export const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof CNI_VERSIONS)[number];
/** The version of an answer to a request whose version could not be read. */
export const FALLBACK_VERSION: CniVersion = '1.0.0';

/** Codes below 100 are the specification's, those above are ours. */
export const CniCode = {
  incompatibleVersion: 1,
  unknownContainer: 3,
  invalidEnvironment: 4,
  undecodable: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS: ADD cannot be served. */
  notAvailable: 50,
  internal: 100,
  noAddressLeft: 101,
  /** CHECK: something of the interface is not as ADD left it. */
  notAsAdded: 102,
} as const;
export type CniCode = (typeof CniCode)[keyof typeof CniCode];

export type CniFailure = { readonly code: CniCode; readonly message: string; readonly details?: string };

export type CniInterface = {
  readonly name: string;
  readonly mac: Mac;
  readonly mtu?: number;
  /** Absent on the host. */ readonly sandbox?: string;
};
export type CniAddress = { readonly address: Cidr; readonly gateway?: Ip; /** Index in `interfaces`. */ readonly interface: number };
export type CniRoute = { readonly destination: Cidr; readonly gateway?: Ip; readonly mtu?: number };
export type Attachment = {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniAddress[];
  readonly routes: readonly CniRoute[];
};

export type CniReply =
  | { readonly kind: 'added'; readonly attachment: Attachment }
  /** DEL, CHECK, STATUS, GC: it is so, and there is nothing to say. */
  | { readonly kind: 'done' }
  | { readonly kind: 'versions' }
  | { readonly kind: 'failed'; readonly failure: CniFailure };

export function failed(code: CniCode, message: string, details?: string): CniReply {
  return { kind: 'failed', failure: details === undefined ? { code, message } : { code, message, details } };
}

/** The bytes of a reply: exit code, then JSON in the shape of `cniVersion`. */
export function replyBytes(cniVersion: CniVersion, reply: CniReply): Buffer {
  switch (reply.kind) {
    case 'added':
      return bytes(0, attachmentJson(cniVersion, reply.attachment));
    case 'done':
      return Buffer.from([0]);
    case 'versions':
      return bytes(0, { cniVersion, supportedVersions: CNI_VERSIONS });
    case 'failed': {
      const { code, message, details } = reply.failure;
      return bytes(1, { cniVersion, code, msg: message, ...(details !== undefined && { details }) });
    }
  }
}

function bytes(exitCode: number, json: object): Buffer {
  return Buffer.concat([Buffer.from([exitCode]), Buffer.from(`${JSON.stringify(json)}\n`)]);
}

/** Before 1.0.0 an address says its family; from 1.1.0 an interface and a route may say their MTU. */
function attachmentJson(cniVersion: CniVersion, { interfaces, ips, routes }: Attachment): object {
  const saysFamily = cniVersion.startsWith('0.');
  const saysMtu = cniVersion === '1.1.0';
  return {
    cniVersion,
    interfaces: interfaces.map(({ name, mac, mtu, sandbox }) => ({
      name,
      mac,
      ...(saysMtu && mtu !== undefined && { mtu }),
      ...(sandbox !== undefined && { sandbox }),
    })),
    ips: ips.map(({ address, gateway, interface: index }) => ({
      ...(saysFamily && { version: String(familyOf(address.ip)) }),
      address: cidrText(address),
      ...(gateway !== undefined && { gateway }),
      interface: index,
    })),
    routes: routes.map(({ destination, gateway, mtu }) => ({
      dst: cidrText(destination),
      ...(gateway !== undefined && { gw: gateway }),
      ...(saysMtu && mtu !== undefined && { mtu }),
    })),
    dns: {},
  };
}
