// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ip, ipFromBytes, macFromBytes, parseMac } from '../src/base/ip.ts';
import type { Codec, MapSchema } from '../src/kernel/codec.ts';
import { clangMissing, everyField, workshop } from './testdata/workshop.ts';
import type { Workshop } from './testdata/workshop.ts';

type Row = { readonly [field: string]: unknown };
/** What the test reads of the generated module, whose types only exist once it is generated. */
type Generated = {
  readonly schemaHash: string;
  readonly everyFieldCodec: Codec<Row>;
  readonly DropReason: Row;
  readonly dropReasonNames: { readonly [value: number]: string };
  readonly Direction: Row;
  readonly Level: Row;
  readonly maps: { readonly [name: string]: MapSchema };
  readonly configDefaults: Row;
  readonly configVariables: {
    readonly [name: string]: { readonly description: string; readonly places: { readonly every_field: { readonly offset: number } } };
  };
  readonly encodeConfig: (
    values: Row,
    object: string,
  ) => readonly { readonly section: string; readonly offset: number; readonly bytes: Buffer }[];
  readonly decodeEvent: (buffer: Buffer, offset?: number) => Row | undefined;
  readonly objects: { readonly every_field: { readonly btfHash: string; readonly programs: readonly Row[] } };
};

/** Deterministic numbers in [0, 2^32) (xorshift32). */
function numbersFrom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

describe('generated code', { skip: clangMissing }, () => {
  let shop: Workshop;
  let schema: Generated;

  before(async () => {
    shop = workshop('codecs');
    shop.compile(everyField);
    const run = shop.generate();
    assert.equal(run.status, 0, run.stderr);
    schema = (await import(pathToFileURL(shop.out).href)) as Generated; // as: generated a moment ago
  });
  after(() => shop[Symbol.dispose]());

  it('places each field where the compiler does', () => {
    const bytes = Buffer.alloc(200);
    bytes.set([0xfd, ...Array.from({ length: 14 }, () => 0), 1], 0);
    bytes.set(Buffer.from('00000000000000000000ffff0a000001', 'hex'), 16);
    bytes.set([0x01, 0xbb, 0x00, 0x35, 17], 32);
    bytes.set([1, 0xff], 40);
    bytes.set([0x34, 0x12], 42);
    bytes.set([0x78, 0x56, 0x34, 0x12], 44);
    bytes.set([0xfe, 0xff, 0xff, 0xff], 48);
    bytes.set([10, 0, 0, 1], 52);
    bytes.writeBigUInt64LE(2n ** 53n - 1n, 56);
    bytes.writeBigInt64LE(-5n, 64);
    bytes.writeBigUInt64LE(2n ** 64n - 1n, 72);
    bytes.writeBigUInt64LE(7n, 80);
    bytes.set([2, 0, 0, 0, 0, 9, 1, 2, 200, 0, 0, 0, 3, 129], 88);
    bytes.set([9, 0, 0, 0, 8, 0, 0, 0, 7, 0, 0, 0], 108);
    bytes.set(Buffer.from('00000000000000000000ffff0a000002', 'hex'), 120);
    bytes.set([1, 2, 1, 2], 152);
    bytes.write('lxc_health', 156);
    bytes.fill(5, 172, 192);
    const row = schema.everyFieldCodec.decode(bytes);
    assert.deepEqual(row, {
      tuple: { source: 'fd00::1', destination: '10.0.0.1', sourcePort: 443, destinationPort: 53, protocol: 17 },
      byte: 1,
      signedByte: -1,
      half: 0x1234,
      word: 0x12345678,
      signedWord: -2,
      networkWord: 0x0a000001,
      packets: 2 ** 53 - 1,
      difference: -5n,
      socket: 2n ** 64n - 1n,
      keyHash: 7n,
      mac: '02:00:00:00:00:09',
      active: true,
      direction: schema.Direction['out'],
      reason: schema.DropReason['policyDenied'],
      smallReason: schema.DropReason['noRoute'],
      flags: 129,
      nextHops: [9, 8, 7],
      gateways: ['10.0.0.2', '::'],
      ways: [1, 2, 1, 2],
      name: 'lxc_health',
      digest: new Uint8Array(20).fill(5),
    });
    assert.deepEqual(schema.everyFieldCodec.encode(row), bytes);
  });

  it('gives back any row it encoded, at any offset, and leaves padding zero', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
    const next = numbersFrom(seed);
    const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => next() & 0xff));
    const row = (): Row => ({
      tuple: {
        source: ipFromBytes(bytes(16)),
        destination: ip('10.1.2.3'),
        sourcePort: next() & 0xffff,
        destinationPort: next() & 0xffff,
        protocol: next() & 0xff,
      },
      byte: next() & 0xff,
      signedByte: (next() & 0xff) - 128,
      half: next() & 0xffff,
      word: next(),
      signedWord: next() | 0,
      networkWord: next(),
      packets: (next() & 0x1fffff) * 2 ** 32 + next(),
      difference: bytes(8).readBigInt64LE(),
      socket: bytes(8).readBigUInt64LE(),
      keyHash: bytes(8).readBigUInt64LE(),
      mac: macFromBytes(bytes(6)),
      active: next() % 2 === 0,
      direction: 1 + (next() % 2),
      reason: 3,
      smallReason: 200,
      flags: next() & 0xff,
      nextHops: [next(), next(), next()],
      gateways: [ipFromBytes(bytes(16)), ipFromBytes(bytes(16))],
      ways: [1, 2, 2, 1],
      name: `n${next() % 100_000}`,
      digest: new Uint8Array(bytes(20)),
    });
    for (let round = 0; round < 500; round++) {
      const wanted = row();
      const offset = next() % 64;
      const buffer = Buffer.alloc(offset + 200 + 3, 0xaa);
      schema.everyFieldCodec.encodeInto(wanted, buffer, offset);
      assert.deepEqual(schema.everyFieldCodec.decode(buffer, offset), wanted, `seed ${seed}, round ${round}`);
      assert.deepEqual(
        [...buffer.subarray(offset + 102, offset + 108), ...buffer.subarray(offset + 192, offset + 200)],
        Array.from({ length: 14 }, () => 0),
      );
      assert.ok(
        buffer.subarray(0, offset).every((byte) => byte === 0xaa) && buffer.subarray(offset + 200).every((byte) => byte === 0xaa),
        'only its own bytes are written',
      );
    }
  });

  it('refuses values and buffers that do not fit', () => {
    const good = schema.everyFieldCodec.decode(Buffer.alloc(200));
    const bad: readonly Row[] = [
      { byte: 256 },
      { half: -1 },
      { packets: 2 ** 53 },
      { packets: -1 },
      { nextHops: [1, 2] },
      { digest: new Uint8Array(19) },
      { name: 'sixteen bytes...' },
      { socket: -1n },
    ];
    for (const change of bad)
      assert.throws(() => schema.everyFieldCodec.encode({ ...good, ...change }), RangeError, JSON.stringify(Object.keys(change)));
    assert.throws(() => schema.everyFieldCodec.decode(Buffer.alloc(191)), RangeError);
    assert.throws(() => schema.everyFieldCodec.encodeInto(good, Buffer.alloc(199), 0), RangeError);
  });

  it('names enum members without their prefix and shows them by value', () => {
    assert.deepEqual(schema.DropReason, { none: 0, noRoute: 3, policyDenied: 200 });
    assert.deepEqual(schema.Direction, { in: 1, out: 2 });
    assert.deepEqual(schema.Level, { low: -1, high: 1 });
    assert.equal(schema.dropReasonNames[3], 'NO_ROUTE');
  });

  it('describes maps as C declares them', () => {
    const shape = Object.entries(schema.maps).map(([key, { name, type, keySize, valueSize, maxEntries, flags }]) => [
      key,
      name,
      type,
      keySize,
      valueSize,
      maxEntries,
      flags,
    ]);
    assert.deepEqual(shape, [
      ['connections', 'connections', 'lru_hash', 40, 200, 1024, 0],
      ['drops', 'drops', 'percpu_array', 4, 8, 256, 0],
      ['events', 'events', 'ringbuf', 0, 0, 4096, 0],
      ['ipCache', 'ip_cache', 'lpm_trie', 20, 4, 512, 1],
      ['tables', 'tables', 'array_of_maps', 4, 4, 8, 0],
    ]);
    assert.equal(schema.maps['connections']?.value, schema.everyFieldCodec);
    assert.equal(schema.maps['events']?.key, undefined);
  });

  it('tells events apart by their kind and does not guess', () => {
    const drop = Buffer.alloc(60);
    drop.set([1, 0, 0, 0, 3], 8);
    assert.deepEqual(schema.decodeEvent(drop, 8), {
      kind: 1,
      reason: 3,
      tuple: { source: '::', destination: '::', sourcePort: 0, destinationPort: 0, protocol: 0 },
    });
    assert.deepEqual(schema.decodeEvent(Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0])), { kind: 2, delayNs: 257 });
    assert.equal(schema.decodeEvent(Buffer.alloc(16)), undefined);
  });

  it('knows the knobs, their defaults and where they lie', () => {
    assert.deepEqual(schema.configDefaults, {
      answerPing: true,
      gateway: '169.254.0.1',
      hostMac: '02:00:00:00:00:01',
      level: 1,
      listenPort: 80,
      reportIntervalNs: 5e9,
      uplink: 2,
    });
    assert.equal(schema.configVariables['uplink']?.description, 'Interface that leads out');
    const offset = (name: string): number | undefined => schema.configVariables[name]?.places.every_field.offset;
    assert.deepEqual(schema.encodeConfig({ uplink: 7, hostMac: parseMac('02:00:00:00:00:ff'), level: -1 }, 'every_field'), [
      { section: '.rodata', offset: offset('uplink'), bytes: Buffer.from([7, 0, 0, 0]) },
      { section: '.rodata', offset: offset('hostMac'), bytes: Buffer.from([2, 0, 0, 0, 0, 255]) },
      { section: '.rodata', offset: offset('level'), bytes: Buffer.from([255, 255, 255, 255]) },
    ]);
    assert.throws(() => schema.encodeConfig({ upling: 7 }, 'every_field'), TypeError);
  });

  it('lists programs by name and section', () => {
    assert.deepEqual(schema.objects.every_field.programs, [
      { name: 'connect4', section: 'cgroup/connect4' },
      { name: 'pod_from', section: 'tc' },
    ]);
  });
});
