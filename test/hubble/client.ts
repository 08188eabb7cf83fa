// SPDX-License-Identifier: Apache-2.0
// A client of Hubble that shares nothing with our server: HTTP/2 from Node, and as much of Protocol Buffers as it takes to write
// requests by field number and to read answers into numbered fields. What numbers mean stands in the tests.

import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTo } from 'node:net';

/** By number: what each occurrence holds. Numbers are bigint, everything with a length is bytes. */
export type Fields = ReadonlyMap<number, readonly (bigint | Buffer)[]>;

/** A field to write: text, bytes or a nested message (a list of fields), or a number. */
export type Part = readonly [number: number, value: string | Buffer | bigint | number | boolean | readonly Part[]];

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const low = Number(rest % 128n);
    rest /= 128n;
    bytes.push(rest > 0n ? low + 128 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function written(parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map(([number, value]) => {
      if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean')
        return Buffer.concat([varint(BigInt(number) * 8n), varint(BigInt(value))]);
      const bytes =
        typeof value === 'string'
          ? Buffer.from(value)
          : Buffer.isBuffer(value)
            ? value
            : written(value as readonly Part[] /* as: what is left */);
      return Buffer.concat([varint(BigInt(number) * 8n + 2n), varint(BigInt(bytes.length)), bytes]);
    }),
  );
}

export function fieldsOf(bytes: Buffer): Fields {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const number = (): bigint => {
    let [value, factor] = [0n, 1n];
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('the message ends inside a number');
      value += BigInt(byte % 128) * factor;
      factor *= 128n;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('the message ends inside a field');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = number();
    const kind = Number(tag % 8n);
    const value = kind === 0 ? number() : kind === 1 ? take(8) : kind === 5 ? take(4) : take(Number(number()));
    const list = fields.get(Number(tag / 8n)) ?? [];
    fields.set(Number(tag / 8n), [...list, value]);
  }
  return fields;
}

/** The field at the end of a path of numbers: text, or a number; undefined where it is absent. */
export function textAt(bytes: Buffer, ...path: readonly number[]): string | undefined {
  const value = at(bytes, path);
  return Buffer.isBuffer(value) ? value.toString() : undefined;
}
export function numberAt(bytes: Buffer, ...path: readonly number[]): number {
  const value = at(bytes, path);
  return typeof value === 'bigint' ? Number(value) : 0;
}
export function bytesAt(bytes: Buffer, ...path: readonly number[]): Buffer | undefined {
  const value = at(bytes, path);
  return Buffer.isBuffer(value) ? value : undefined;
}
export const allAt = (bytes: Buffer, number: number): readonly Buffer[] =>
  (fieldsOf(bytes).get(number) ?? []).filter((value) => Buffer.isBuffer(value));

function at(bytes: Buffer, path: readonly number[]): bigint | Buffer | undefined {
  let here: bigint | Buffer | undefined = bytes;
  for (const number of path) here = Buffer.isBuffer(here) ? fieldsOf(here).get(number)?.at(-1) : undefined;
  return here;
}

export type Answer = { readonly messages: readonly Buffer[]; readonly status: number; readonly words: string };

export class HubbleClient {
  readonly #session: ClientHttp2Session;
  constructor(where: { readonly path: string } | { readonly port: number; readonly host: string }) {
    this.#session = connect('http://hubble', { createConnection: () => connectTo(where) });
    this.#session.on('error', () => {});
  }
  close(): void {
    this.#session.destroy();
  }
  /** Everything that comes until the end, or until it is `enough`. */
  ask(method: string, request: readonly Part[] | Buffer, enough?: number | ((messages: readonly Buffer[]) => boolean)): Promise<Answer> {
    const isEnough = typeof enough === 'function' ? enough : (got: readonly Buffer[]) => got.length >= (enough ?? Number.POSITIVE_INFINITY);
    const stream = this.#session.request({ ':method': 'POST', ':path': `/${method}`, 'content-type': 'application/grpc', te: 'trailers' });
    const message = Buffer.isBuffer(request) ? request : written(request);
    const header = Buffer.alloc(5);
    header.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([header, message]));
    return new Promise((resolve, reject) => {
      const messages: Buffer[] = [];
      let rest = Buffer.alloc(0);
      let [status, words] = ['', ''];
      const told = (headers: Record<string, string | string[] | number | undefined>) => {
        status = String(headers['grpc-status'] ?? status);
        words = decodeURIComponent(String(headers['grpc-message'] ?? words));
      };
      stream.on('response', told).on('trailers', told).on('error', reject);
      stream.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
          const length = rest.readUInt32BE(1);
          messages.push(rest.subarray(5, 5 + length));
          rest = rest.subarray(5 + length);
        }
        if (isEnough(messages)) stream.close();
      });
      stream.on('close', () => resolve({ messages, status: status === '' ? -1 : Number(status), words }));
    });
  }
}
