// SPDX-License-Identifier: Apache-2.0
// Who may ask agents for flows is a matter of certificates, and the operator that leads makes and renews them: an authority of the
// cluster's own, one certificate for all agents and one for relays, each in a Secret under the name that Cilium's chart has for it.
//
//   hubble-ca ──signs──▶ hubble-server-certs ──▶ agents
//                   └──▶ hubble-relay-client-certs ──▶ relays
//
// A third of its life before it ends a certificate is renewed. A new authority is told beside the old one for a day before it signs, so
// that nobody meets a signature that he does not know. Secrets that somebody else made are left as they are.

import { X509Certificate } from 'node:crypto';
import { certificate } from './x509.ts';
import type { Made } from './x509.ts';

/** What is in a Secret, as text. */
export type Pair = { readonly cert: string; readonly key: string; /** Certificates of those that may have signed. */ readonly ca: string };

export type Certificates = { readonly authority: Pair; readonly leaves: ReadonlyMap<string, Pair> };

export type Wanted = { readonly now: number; /** Their names, by Secret. */ readonly names: ReadonlyMap<string, string> };

const DAY = 24 * 3_600_000;
const AUTHORITY_LIFE = 3 * 365 * DAY;
const LEAF_LIFE = 30 * DAY;
/** Clocks of nodes differ. */
const BACK = 3_600_000;
const ANNOUNCED = DAY;
const AUTHORITY = 'Stentor Hubble CA';

/** What should be there, with as much of `found` as is still good. */
export function certificatesFor(found: Partial<Certificates>, { now, names }: Wanted): Certificates {
  const authority = authorityFor(found.authority, now);
  const [newest, ...older] = signers(authority);
  const signer = newest && signsAlready(newest, older, now) ? newest : (older[0] ?? newest);
  const ca = authority.ca;
  const leaves = new Map<string, Pair>();
  for (const [secret, name] of names) {
    const before = found.leaves?.get(secret);
    const good = before && signer && isGood(before, now) && isFor(before, name) && isSignedBy(before, signer.cert);
    const made = good ? before : leafFor(name, signer, now);
    leaves.set(secret, { cert: made.cert, key: made.key, ca });
  }
  return { authority, leaves };
}

/** Newest first: `cert` and `key` are PEM blocks one after another, a key for each certificate that still signs. */
function signers({ cert, key }: Pair): readonly Made[] {
  const [certs, keys] = [blocks(cert), blocks(key)];
  return certs.flatMap((one, index) => (keys[index] === undefined ? [] : [{ cert: one, key: keys[index] }]));
}

const blocks = (text: string): readonly string[] => text.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----\n?/g) ?? [];

function authorityFor(found: Pair | undefined, now: number): Pair {
  const known = found ? signers(found).filter(({ cert }) => isWithin(cert, now)) : [];
  const [newest] = known;
  const list = newest && isGood(newest, now) ? known : [madeAuthority(now), ...known];
  const kept = list.slice(0, 2);
  return {
    cert: kept.map(({ cert }) => cert).join(''),
    key: kept.map(({ key }) => key).join(''),
    ca: kept.map(({ cert }) => cert).join(''),
  };
}

const madeAuthority = (now: number): Made => certificate({ name: AUTHORITY, from: now - BACK, until: now + AUTHORITY_LIFE, by: undefined });

/** A signer that is new waits until everybody knows it, unless there is no other. */
const signsAlready = ({ cert }: Made, older: readonly Made[], now: number): boolean =>
  older.length === 0 || now - Date.parse(new X509Certificate(cert).validFrom) >= ANNOUNCED + BACK;

function leafFor(name: string, signer: Made | undefined, now: number): Made {
  if (!signer) throw new TypeError('there is no authority that could sign');
  const end = Date.parse(new X509Certificate(signer.cert).validTo);
  return certificate({ name, from: now - BACK, until: Math.min(now + LEAF_LIFE, end), by: { name: AUTHORITY, ...signer } });
}

function isWithin(cert: string, now: number): boolean {
  const read = readable(cert);
  return read !== undefined && Date.parse(read.validFrom) <= now && now < Date.parse(read.validTo);
}

/** Whether more than a third of its life is left. */
function isGood({ cert, key }: Made, now: number): boolean {
  const read = readable(cert);
  if (!read || key === '') return false;
  const [from, until] = [Date.parse(read.validFrom), Date.parse(read.validTo)];
  return from <= now && until - now > (until - from) / 3;
}

const isFor = ({ cert }: Made, name: string): boolean => readable(cert)?.subjectAltName === `DNS:${name}`;

function isSignedBy({ cert }: Made, signer: string): boolean {
  const by = readable(signer);
  return by !== undefined && readable(cert)?.verify(by.publicKey) === true;
}

/** Undefined: it is no certificate. */
function readable(cert: string): X509Certificate | undefined {
  try {
    return new X509Certificate(cert);
  } catch {
    return undefined;
  }
}
