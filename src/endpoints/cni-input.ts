// SPDX-License-Identifier: Apache-2.0
// What a container runtime sends, taken apart without trust: the environment, the network configuration, and how a message shows them.

import type { CniFailure, CniVersion } from './cni-reply.ts';
import { CNI_VERSIONS, CniCode, FALLBACK_VERSION } from './cni-reply.ts';

export type Variables = ReadonlyMap<string, string>;
export type NetworkConfig = {
  readonly cniVersion: CniVersion;
  /** Name of the network. */
  readonly network: string;
  /** All of it. */
  readonly fields: Readonly<Record<string, unknown>>;
};

/** What a name in a request has to look like. */
export type Form = { readonly wanted: string; readonly holds: (value: string) => boolean };

export const CONTAINER_ID: Form = {
  wanted: 'a letter or digit, then letters, digits, dots, hyphens and underscores, at most 256',
  holds: (value) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$/.test(value),
};

/** The environment up to the empty string, and the bytes after it. */
export function framesOf(message: Uint8Array): { readonly variables: Variables; readonly stdin: Uint8Array } | CniFailure {
  const variables = new Map<string, string>();
  for (let at = 0; ;) {
    const end = message.indexOf(0, at);
    if (end < 0)
      return { code: CniCode.undecodable, message: `Cannot read a request of ${message.length} bytes: its environment has no end` };
    if (end === at) return { variables, stdin: message.subarray(at + 1) };
    const text = utf8(message.subarray(at, end));
    const equals = text?.indexOf('=') ?? -1;
    if (text === undefined || equals < 1)
      return { code: CniCode.invalidEnvironment, message: `Cannot read environment variable ${shown(text)}, wanted NAME=value in UTF-8` };
    const name = text.slice(0, equals);
    if (variables.has(name)) return wrong(name, text.slice(equals + 1), 'it once');
    variables.set(name, text.slice(equals + 1));
    at = end + 1;
  }
}

/** Only VERSION may come without a configuration, and with a version that is not ours: it asks which are. */
export function configOf(stdin: Uint8Array, isVersion: boolean): NetworkConfig | CniFailure {
  if (isVersion && stdin.length === 0) return { cniVersion: FALLBACK_VERSION, network: '', fields: {} };
  const text = utf8(stdin);
  if (text === undefined)
    return { code: CniCode.undecodable, message: `Cannot read a network configuration of ${stdin.length} bytes, wanted UTF-8` };
  const config = jsonObject(text);
  if (config === undefined)
    return { code: CniCode.undecodable, message: `Cannot read the network configuration ${shown(text)}, wanted a JSON object` };
  const cniVersion = CNI_VERSIONS.find((version) => version === config['cniVersion']);
  if (isVersion) return { cniVersion: cniVersion ?? FALLBACK_VERSION, network: '', fields: config };
  if (cniVersion === undefined)
    return {
      code: CniCode.incompatibleVersion,
      message: `Cannot serve cniVersion ${shown(config['cniVersion'])}, wanted ${CNI_VERSIONS.join(', ')}`,
    };
  const network = config['name'];
  if (typeof network !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$/.test(network))
    return { code: CniCode.invalidConfig, message: `Cannot use network name ${shown(network)}, wanted ${CONTAINER_ID.wanted}` };
  return { cniVersion, network, fields: config };
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function utf8(part: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(part);
  } catch {
    return undefined;
  }
}

export function wrong(variable: string, value: string | undefined, wanted: string): CniFailure {
  return { code: CniCode.invalidEnvironment, message: `Cannot use ${variable}=${shown(value)}, wanted ${wanted}` };
}

export function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20 || text.charCodeAt(i) === 0x7f) return true;
  return false;
}

/** A value as a message may carry it: quoted, without control characters, at most 80 characters. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value); // undefined for undefined, whatever its type says
  if (value === undefined) return '(not set)';
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text;
}
