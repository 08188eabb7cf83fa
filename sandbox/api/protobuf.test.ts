// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from './api-error.ts';
import { decodedProtobuf } from './protobuf.ts';

const bytes = (number: number, ...parts: readonly (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.of((number << 3) | 2, body.length), body]); // lengths below 128 only
};
const varint = (number: number, value: number): Buffer => Buffer.of(number << 3, value);
const message = (apiVersion: string, kind: string, ...fields: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), bytes(1, bytes(1, apiVersion), bytes(2, kind)), bytes(2, ...fields)]);

const service = message(
  'v1',
  'Service',
  bytes(1, bytes(1, 's'), bytes(3, 'default'), bytes(8), bytes(11, bytes(1, 'a'), bytes(2, 'b'))),
  bytes(
    2,
    bytes(1, bytes(1, ''), bytes(2, 'TCP'), varint(3, 80), bytes(4, varint(1, 1), bytes(3, 'http')), varint(5, 0)),
    bytes(2, bytes(1, 'k'), bytes(2, 'v')),
  ),
  bytes(3, bytes(1)),
);

test('a message becomes the JSON that the same client would have sent', () => {
  assert.deepEqual(decodedProtobuf(service), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'default', labels: { a: 'b' } },
    spec: { ports: [{ protocol: 'TCP', port: 80, targetPort: 'http' }], selector: { k: 'v' } },
  });
  const secret = message('v1', 'Secret', bytes(1, bytes(1, 's')), bytes(2, bytes(1, 'k'), bytes(2, 'v')), bytes(3, 'Opaque'));
  assert.deepEqual(decodedProtobuf(secret).data, { k: 'dg==' });
});

test('an unknown kind or field is 415, a broken body 400', () => {
  const cases: readonly (readonly [number, Buffer])[] = [
    [415, message('v1', 'Frog')],
    [415, message('v1', 'Service', bytes(2, varint(15, 1), Buffer.of(0xf8, 0x07, 1)))],
    [400, Buffer.from('{}')],
    [400, Buffer.from('')],
    [400, service.subarray(0, 20)],
  ];
  for (const [code, body] of cases) assert.throws(() => decodedProtobuf(body), { code }, body.toString('latin1'));
});

test('damaged messages are refused or read, never a crash', (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 3000; round += 1) {
    const damaged = Buffer.from(service);
    for (let change = random(4); change >= 0; change -= 1) damaged[4 + random(damaged.length - 4)] = random(256);
    try {
      decodedProtobuf(damaged);
    } catch (error) {
      assert.ok(error instanceof ApiError, `SEED=${seed} round ${round}: ${String(error)}`);
    }
  }
});
