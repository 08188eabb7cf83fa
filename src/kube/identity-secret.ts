// SPDX-License-Identifier: Apache-2.0
// A certificate with its key in a Secret (kubernetes.io/tls, with ca.crt), looked at again and again: somebody renews it.

import { X509Certificate } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { KubeClient } from './client.ts';
import { isStatus } from './kube-error.ts';
import { pathOfObject, resources } from './resources.ts';
import type { Secret } from './types.ts';

export type Identity = { readonly cert: string; readonly key: string; readonly ca: string };

export type IdentitySecret = {
  /** As it was last; undefined: there has been none yet. */
  readonly identity: Identity | undefined;
  /** Milliseconds since the Unix epoch when its certificate ends. */
  readonly until: number | undefined;
  /** Why there is none, or why it could not be looked at when it was last tried. */
  readonly trouble: string | undefined;
  /** Runs until `signal`. Calls `changed` after each change. */
  run(changed: () => void, signal: AbortSignal): Promise<void>;
};

export type IdentitySecretOptions = { readonly client: KubeClient; readonly namespace: string; readonly name: string };

const FIRST_MS = 2000;
const LATER_MS = 60_000;

export function identitySecret({ client, namespace, name }: IdentitySecretOptions): IdentitySecret {
  let [identity, until, trouble]: [Identity | undefined, number | undefined, string | undefined] = [
    undefined,
    undefined,
    'not looked for yet',
  ];
  const look = async (signal: AbortSignal): Promise<boolean> => {
    const secret = await client.get<Secret>(pathOfObject(resources.secrets, name, namespace), signal);
    const found = identityIn(secret);
    const same = found.cert === identity?.cert && found.key === identity.key && found.ca === identity.ca;
    [identity, trouble] = [found, undefined];
    until = Date.parse(new X509Certificate(found.cert).validTo);
    return !same;
  };
  return {
    get identity() {
      return identity;
    },
    get until() {
      return until;
    },
    get trouble() {
      return trouble;
    },
    async run(changed, signal) {
      while (!signal.aborted) {
        try {
          if (await look(signal)) changed();
        } catch (error) {
          trouble = isStatus(error, 404) ? `there is no Secret ${namespace}/${name}` : messageOf(error);
        }
        await pause(identity ? LATER_MS : FIRST_MS, undefined, { signal }).catch(() => {});
      }
    },
  };
}

/** Throws TypeError where something is missing, or is no certificate. */
function identityIn({ metadata: { namespace = '', name }, data = {} }: Secret): Identity {
  const text = (key: string) => {
    const found = Buffer.from(data[key] ?? '', 'base64').toString();
    if (found === '') throw new TypeError(`Secret ${namespace}/${name} has no ${key}`);
    return found;
  };
  return { cert: text('tls.crt'), key: text('tls.key'), ca: text('ca.crt') };
}
