// SPDX-License-Identifier: Apache-2.0
// Keeps the Secrets by which relays and agents know each other, while we lead. A Secret that somebody else made is used as it is.

import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { sameRow } from '../base/same.ts';
import { serverNameOf } from '../hubble/peer.ts';
import type { KubeClient } from '../kube/client.ts';
import { isStatus } from '../kube/kube-error.ts';
import type { Term } from '../kube/lease.ts';
import { pathOf, pathOfObject, resources } from '../kube/resources.ts';
import type { Secret } from '../kube/types.ts';
import { certificatesFor } from './certificates.ts';
import type { Pair } from './certificates.ts';

export type HubbleCertificatesOptions = {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly cluster: string;
  readonly clock: Clock;
  readonly log: Log;
};

const AUTHORITY = 'hubble-ca';
const OURS = { 'app.kubernetes.io/managed-by': 'stentor-operator', 'app.kubernetes.io/part-of': 'cilium' };
const LOOK_MS = 60_000;
const RETRY_MS = 5000;

/** Runs until the term ends. */
export async function keepCertificates(options: HubbleCertificatesOptions, term: Term): Promise<void> {
  while (!term.signal.aborted) {
    let wait = LOOK_MS;
    try {
      await look(options, term);
    } catch (error) {
      if (!term.signal.aborted) options.log.error('Cannot keep the certificates of Hubble', { error: messageOf(error) });
      wait = RETRY_MS;
    }
    await pause(wait, undefined, { signal: term.signal }).catch(() => {});
  }
}

async function look(options: HubbleCertificatesOptions, term: Term): Promise<void> {
  const { cluster, clock } = options;
  const names = new Map([
    ['hubble-server-certs', serverNameOf(cluster, '*')],
    ['hubble-relay-client-certs', '*.hubble-relay.cilium.io'],
  ]);
  const found = new Map<string, Secret>();
  for (const name of [AUTHORITY, ...names.keys()]) {
    const secret = await secretOf(options, name, term);
    if (secret) found.set(name, secret);
  }
  const others = [...found].filter(([, secret]) => !isOurs(secret)).map(([name]) => name);
  for (const name of others) names.delete(name);
  if (names.size === 0 || others.includes(AUTHORITY)) return;
  const known = found.get(AUTHORITY);
  const before = {
    ...(known && { authority: pairIn(known) }),
    leaves: new Map([...found].map(([name, secret]) => [name, pairIn(secret)])),
  };
  const { authority, leaves } = certificatesFor(before, { now: clock.now(), names });
  for (const [name, pair] of [[AUTHORITY, authority] as const, ...leaves]) {
    const secret = found.get(name);
    if (secret && sameRow(pairIn(secret), pair)) continue;
    if (!term.holds()) return;
    await write(options, { name, pair, secret }, term);
    options.log.info('Wrote a certificate of Hubble', { secret: name });
  }
}

const isOurs = ({ metadata: { labels = {} } }: Secret): boolean =>
  labels['app.kubernetes.io/managed-by'] === OURS['app.kubernetes.io/managed-by'];

function secretOf({ client, namespace }: HubbleCertificatesOptions, name: string, { signal }: Term): Promise<Secret | undefined> {
  return client.get<Secret>(pathOfObject(resources.secrets, name, namespace), signal).catch((error: unknown) => {
    if (isStatus(error, 404)) return undefined;
    throw error;
  });
}

const keys = { cert: 'tls.crt', key: 'tls.key', ca: 'ca.crt' } as const;

function pairIn({ data = {} }: Secret): Pair {
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  return { cert: text(keys.cert), key: text(keys.key), ca: text(keys.ca) };
}

type Writing = { readonly name: string; readonly pair: Pair; readonly secret: Secret | undefined };

async function write({ client, namespace }: HubbleCertificatesOptions, { name, pair, secret }: Writing, { signal }: Term): Promise<void> {
  const body = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name, namespace, labels: OURS, ...(secret && { resourceVersion: secret.metadata.resourceVersion }) },
    data: Object.fromEntries(Object.entries(keys).map(([of, key]) => [key, Buffer.from(pair[of as keyof Pair]).toString('base64')])), // as: `keys` has those of a pair
  };
  if (secret) await client.put(pathOfObject(resources.secrets, name, namespace), body, signal);
  else await client.create(pathOf(resources.secrets, namespace), body, signal);
}
