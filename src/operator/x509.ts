// SPDX-License-Identifier: Apache-2.0
// Certificates (RFC 5280) with ECDSA keys on P-256, as much of them as a cluster's own authority needs: one that signs, and those
// that it signs, which are for servers and clients alike. Node can read certificates and cannot make them.

import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export type Made = { /** PEM. */ readonly cert: string; readonly key: string };

export type CertificateFacts = {
  /** Subject's common name; a leaf has it as its DNS name too. */
  readonly name: string;
  /** Milliseconds since the Unix epoch. */
  readonly from: number;
  readonly until: number;
  /** Undefined: it signs itself, and may sign others. */
  readonly by: { readonly name: string; readonly cert: string; readonly key: string } | undefined;
};

const Tag = { BOOLEAN: 1, INTEGER: 2, BITS: 3, BYTES: 4, OID: 6, UTF8: 12, SEQUENCE: 0x30, SET: 0x31, UTC_TIME: 23, TIME: 24 } as const;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = content.length < 256 ? [0x81, content.length] : [0x82, content.length >> 8, content.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(Tag.SEQUENCE, ...parts);
const text = (value: string): Buffer => der(Tag.UTF8, Buffer.from(value));
const integer = (bytes: Uint8Array): Buffer => der(Tag.INTEGER, (bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const groups = [number & 127];
    for (let left = Math.floor(number / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return der(Tag.OID, Buffer.from(bytes));
}

/** As RFC 5280 wants it: two digits of the year until 2049. */
function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return milliseconds < Date.UTC(2050, 0) ? der(Tag.UTC_TIME, Buffer.from(digits.slice(2))) : der(Tag.TIME, Buffer.from(digits));
}

const name = (common: string): Buffer => sequence(der(Tag.SET, sequence(oid('2.5.4.3'), text(common))));
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [der(Tag.BOOLEAN, Buffer.from([255]))] : []), der(Tag.BYTES, value));
}

const keyId = (spki: Buffer): Buffer => createHash('sha1').update(spki).digest(); // a name for the key, not a proof of anything

function extensions(facts: CertificateFacts, spki: Buffer, signerSpki: Buffer): Buffer {
  const signs = facts.by === undefined;
  const yes = der(Tag.BOOLEAN, Buffer.from([255]));
  // bits from the left: keyCertSign 5, cRLSign 6; digitalSignature 0
  const usage = der(Tag.BITS, Buffer.from(signs ? [1, 0b0000_0110] : [7, 0b1000_0000]));
  const leaf = [
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))), // server and client
    extension('2.5.29.17', false, sequence(der(0x82, Buffer.from(facts.name)))), // its name in the DNS
  ];
  return der(
    0xa3,
    sequence(
      extension('2.5.29.19', true, signs ? sequence(yes) : sequence()),
      extension('2.5.29.15', true, usage),
      extension('2.5.29.14', false, der(Tag.BYTES, keyId(spki))),
      extension('2.5.29.35', false, sequence(der(0x80, keyId(signerSpki)))),
      ...(signs ? [] : leaf),
    ),
  );
}

export function certificate(facts: CertificateFacts): Made {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const signerSpki = facts.by ? createPublicKey(facts.by.cert).export({ type: 'spki', format: 'der' }) : spki;
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))), // version 3
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ecdsaWithSha256,
    name(facts.by?.name ?? facts.name),
    sequence(time(facts.from), time(facts.until)),
    name(facts.name),
    spki,
    extensions(facts, spki, signerSpki),
  );
  const signature = sign('sha256', body, facts.by?.key ?? privateKey);
  const whole = sequence(body, ecdsaWithSha256, der(Tag.BITS, Buffer.alloc(1), signature));
  return { cert: pem('CERTIFICATE', whole), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
