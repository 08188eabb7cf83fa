// SPDX-License-Identifier: Apache-2.0
// What a container runtime makes of the files in /etc/cni/net.d, as the CNI specification 1.1.0 says. Pure.
import { StentorError } from '../../src/base/errors.ts';
import type { Json } from '../api/json.ts';

/** A network configuration list. */
export type NetworkList = {
  readonly name: string;
  readonly cniVersion: string;
  /** At least one; each has a `type`, the name of a program. */
  readonly plugins: readonly Json[];
};

/** The configuration is missing or cannot be used; the message is what `kubectl describe node` shows. */
export class BadNetworkConfig extends StentorError {
  constructor(message: string) {
    super('BAD_NETWORK_CONFIG', message);
  }
}

/** The file that counts: the first in lexical order that has one of the three endings. */
export const configFile = (names: readonly string[]): string | undefined =>
  names.filter((name) => /\.(conflist|conf|json)$/.test(name)).toSorted()[0];

/** Reads the text of a configuration file; one of a single plugin becomes a list of one. Throws BadNetworkConfig. */
export function networkList(text: string, file: string): NetworkList {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadNetworkConfig(`Cannot read ${file} as JSON`);
  }
  const {
    name,
    cniVersion: version = '0.2.0',
    cniVersions = [],
    plugins,
  } = value.plugins === undefined ? { ...value, plugins: [value] } : value;
  if (typeof name !== 'string' || name === '') throw new BadNetworkConfig(`Cannot use ${file}: it has no network name`);
  if (!Array.isArray(plugins) || plugins.length === 0) throw new BadNetworkConfig(`Cannot use ${file}: it has no plugins`);
  for (const { type } of plugins)
    if (typeof type !== 'string' || !/^[\w.-]+$/.test(type)) throw new BadNetworkConfig(`Cannot use ${file}: a plugin has no type`);
  const offered = SPOKEN.filter((spoken) => cniVersions.includes(spoken));
  return { name, cniVersion: offered.at(-1) ?? version, plugins };
}

/** Versions of the specification that this runtime speaks, oldest first. */
const SPOKEN = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** What one plugin reads from its standard input. */
export function pluginInput(list: NetworkList, plugin: Json, previous?: Json): Json {
  return { ...plugin, name: list.name, cniVersion: list.cniVersion, ...(previous !== undefined && { prevResult: previous }) };
}

/** The addresses of a result without their prefix lengths, in the order in which the plugin named them. */
export const addressesIn = (result: Json): readonly string[] =>
  (result?.ips ?? []).map((ip: { readonly address: string }) => ip.address.split('/')[0]);
