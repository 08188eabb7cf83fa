// SPDX-License-Identifier: Apache-2.0
// The guard that the options ask for.

import { BlockList } from 'node:net';
import { kubeClient } from '../kube/client.ts';
import { kubeAccess } from '../kube/config.ts';
import { openGuard } from './guard.ts';
import type { Guard } from './guard.ts';
import { headerGuard, tokenGuard } from './kube-guard.ts';
import type { HeaderNames } from './kube-guard.ts';

/** 'header': of a proxy at one of the prefixes. `kubeconfig`: in place of the credentials of the pod. */
export type AuthOptions =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly kubeconfig: string | undefined }
  | {
      readonly kind: 'header';
      readonly kubeconfig: string | undefined;
      readonly names: HeaderNames;
      /** '10.0.0.0/8'. */
      readonly proxies: readonly string[];
    };

/** Throws KubeConfigError where the API is to be asked and nobody says how. */
export async function guardFor(auth: AuthOptions, end: AsyncDisposableStack): Promise<Guard> {
  if (auth.kind === 'none') return openGuard;
  const access = await kubeAccess(auth.kubeconfig === undefined ? {} : { kubeconfig: auth.kubeconfig });
  const api = end.adopt(kubeClient({ access }), (one) => one.close());
  return auth.kind === 'token' ? tokenGuard(api) : headerGuard(api, auth.names, isAmong(auth.proxies));
}

/** Whether an address as a socket has it lies in one of the prefixes. */
export function isAmong(prefixes: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const prefix of prefixes) {
    const [address = '', length] = prefix.split('/');
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(length ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return (address) => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, ''); // a socket of both families
    return list.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4');
  };
}
