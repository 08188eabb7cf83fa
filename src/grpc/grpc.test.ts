// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import { connect as connectTo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  bool,
  choices,
  double,
  int32,
  int64,
  manyNested,
  nested,
  alternatives,
  string,
  strings,
  uint32,
  uint32s,
  uint64,
} from './fields.ts';
import { metricsText } from '../base/metrics.ts';
import { callCounts } from './call-metrics.ts';
import { grpcClient } from './client.ts';
import { raw, streaming, unary } from './handler.ts';
import { check, healthHandlers, pause, Serving, watch } from './health.ts';
import { decode, encode, framed, message } from './message.ts';
import type { Codec } from './message.ts';
import { reflectionHandlers } from './reflection.ts';
import type { Method } from './method.ts';
import { grpcServer } from './server.ts';
import { decodeWords, encodeWords, RpcError, Status, statusName, timeoutOf } from './status.ts';
import { boolValue, timestamp, uint32Value } from './well-known.ts';
import { WireError } from './wire.ts';

type Thing = {
  name?: string;
  size?: number;
  serial?: bigint;
  offset?: number;
  debt?: bigint;
  ratio?: number;
  tags?: readonly string[];
  sizes?: readonly number[];
  colours?: readonly number[];
  inner?: Thing;
  parts?: readonly Thing[];
  made?: bigint;
  known?: boolean;
  zero?: number;
  what?: { kind: 'dog'; name?: string } | { kind: 'cat'; lives?: number };
};
const leaf = message<Pick<Thing, 'name' | 'size'>>('test.Leaf', { name: string(1), size: uint32(2) });
const thing = message<Thing>('test.Thing', {
  name: string(1),
  size: uint32(2),
  serial: uint64(3),
  offset: int32(4),
  debt: int64(5),
  ratio: double(6),
  tags: strings(7),
  sizes: uint32s(8),
  colours: choices(9, { name: 'test.Colour', values: { RED: 0, BLUE: 1 } }),
  inner: nested(10, leaf),
  parts: manyNested(11, leaf),
  made: timestamp(1001),
  known: boolValue(26),
  zero: uint32Value(27),
  what: alternatives<NonNullable<Thing['what']>>({
    dog: [100_000, message('test.Dog', { name: string(1) })],
    cat: [150_000, message('test.Cat', { lives: uint32(1) })],
  }),
});

const things: readonly (readonly [what: string, value: Thing, hex?: string])[] = [
  ['nothing', {}, ''],
  ['a string', { name: 'testing' }, '0a0774657374696e67'],
  ['a number of two bytes', { size: 150 }, '109601'],
  ['the largest uint32', { size: 4_294_967_295 }, '10ffffffff0f'],
  ['the largest uint64', { serial: 18_446_744_073_709_551_615n }, '18ffffffffffffffffff01'],
  ['a uint64 beyond the safe integers', { serial: 9_007_199_254_740_993n }, '188180808080808010'],
  ['a uint64 of 33 bits', { serial: 8_589_934_592n }, '188080808020'],
  ['a negative int32', { offset: -2 }, '20feffffffffffffffff01'],
  ['a negative int64', { debt: -1n }, '28ffffffffffffffffff01'],
  ['a double', { ratio: 1.5 }, '31000000000000f83f'],
  ['strings', { tags: ['a', '', 'ü€😀'] }, '3a01613a003a09c3bce282acf09f9880'],
  ['packed numbers', { sizes: [3, 270, 86942] }, '4206038e029ea705'],
  ['packed choices', { colours: [0, 1, 7] }, '4a03000107'],
  ['a message', { inner: { size: 150 } }, '5203109601'],
  ['messages, also empty ones', { parts: [{ name: 'x' }, {}] }, '5a030a01785a00'],
  ['a time', { made: 1_500_000_000n }, 'ca3e0808011080cab5ee01'],
  ['a time before 1970', { made: -1n }],
  ['false that is not absent', { known: false }, 'd20100'],
  ['true in a wrapper', { known: true }, 'd201020801'],
  ['zero that is not absent', { zero: 0 }, 'da0100'],
  ['an alternative', { what: { kind: 'cat', lives: 9 } }, '82a449020809'],
  ['another one', { what: { kind: 'dog' } }, '82ea3000'],
  ['a string of more than 127 bytes', { name: 'ä'.repeat(100) }],
  ['a message of more than 16 KiB', { inner: { name: 'x'.repeat(20_000) } }],
];

for (const [what, value, hex] of things)
  test(`${what} goes over the wire and comes back`, () => {
    const bytes = encode(thing, value);
    if (hex !== undefined && what !== 'an alternative') assert.equal(bytes.toString('hex'), hex);
    assert.deepEqual(decode(thing, bytes), value);
  });

test('zero, false and empty are not written', () => {
  assert.equal(encode(thing, { name: '', size: 0, serial: 0n, ratio: 0, tags: [], sizes: [], parts: [] }).length, 0);
  assert.equal(encode(message<{ yes?: boolean }>('test.Yes', { yes: bool(1) }), { yes: false }).length, 0);
});

test('numbers that are not packed are read too', () => {
  assert.deepEqual(decode(thing, Buffer.from('4003408e02', 'hex')), { sizes: [3, 270] });
});

test('fields that nobody knows are passed over', () => {
  const unknown = 'a00601 a90600000000000000 00 b2060161 b50600000000'.replaceAll(' ', '');
  assert.deepEqual(decode(thing, Buffer.from(`${unknown}1001`, 'hex')), { size: 1 });
});

const malformed: readonly (readonly [what: string, hex: string, wanted: RegExp])[] = [
  ['ends inside a string', '0a0561', /^name: has a length of 5 where 1 bytes are left$/],
  ['ends inside a number', '10', /^size: ends in the middle/],
  ['has a number without an end', `10${'ff'.repeat(11)}`, /^size: has a number of more than ten bytes$/],
  ['has another wire type', '0801', /^name: has wire type 0, wanted 2$/],
  ['is wrong deep inside', '52030a0561', /^inner\.name: has a length of 5/],
  ['is wrong in an alternative', '82ea30020a09', /^dog\.name: has a length of 9/],
  ['has a group', '0b', /^name: has wire type 3/],
  ['has a group that nobody knows', '8b01', /wire type 3/],
];

for (const [what, hex, wanted] of malformed)
  test(`a message that ${what} is refused, and it is said where`, () => {
    assert.throws(
      () => decode(thing, Buffer.from(hex, 'hex')),
      (error) => error instanceof WireError && wanted.test(error.message),
    );
  });

test('random bytes are a message or a WireError, never anything else', () => {
  let seed = 42;
  const next = () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >> 8;
  for (let round = 0; round < 5000; round++) {
    const bytes = Buffer.from(Array.from({ length: next() % 40 }, () => next() & 255));
    try {
      decode(thing, bytes);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }
});

test('words of a status go through a header', () => {
  const words = 'namespace "ü" is 100 % wrong\n';
  assert.match(encodeWords(words), /^[\x20-\x7e]*$/);
  assert.equal(decodeWords(encodeWords(words)), words);
  assert.deepEqual(
    [timeoutOf('250m'), timeoutOf('2S'), timeoutOf('1H'), timeoutOf('x'), timeoutOf('')],
    [250, 2000, 3_600_000, undefined, undefined],
  );
});

// ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const method = (name: string, streams: boolean): Method<Thing, Thing> => ({
  service: 'test.Things',
  name,
  request: thing,
  response: thing,
  streams,
});
const echo = method('Echo', false);
const countTo = method('Count', true);
const wait = method('Wait', true);
const fail = method('Fail', false);

type Seen = { produced: number; ended: number };

async function served(context: TestContext, seen: Seen = { produced: 0, ended: 0 }) {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
  const path = join(folder, 'socket');
  const server = grpcServer({
    handlers: [
      unary(echo, (request) => request),
      unary(fail, ({ name }): Thing => {
        if (name === 'ours') throw new TypeError('a mistake');
        throw new RpcError(Status.INVALID_ARGUMENT, 'name: 100 % wrong, ü');
      }),
      streaming<Thing, Thing>(countTo, ({ size = 0 }) => {
        if (size > 1e9) throw new RpcError(Status.INVALID_ARGUMENT, 'size: too large');
        return (async function* () {
          for (let from = 0; from < size; from += 100) {
            yield Array.from({ length: Math.min(100, size - from) }, (_, index) => ({ size: from + index, name: 'x'.repeat(100) }));
            seen.produced = from + 100;
          }
        })();
      }),
      streaming<Thing, Thing>(wait, async function* (_, { signal }) {
        yield [{ name: 'begun' }];
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        seen.ended++;
      }),
      ...healthHandlers((service) => (service === 'bad' ? false : service === '' ? true : undefined)),
    ],
  });
  await server.listen({ path });
  context.after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  const client = grpcClient({ address: { path } });
  context.after(() => client[Symbol.dispose]());
  return { client, path, seen };
}

const status =
  (wanted: Status, words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof RpcError, String(error));
    assert.deepEqual([error.status, words.test(error.message) || error.message], [wanted, true]);
    return true;
  };

test('a call is answered', async (context) => {
  const { client } = await served(context);
  assert.deepEqual(await client.call(echo, { name: 'ü', size: 7 }), { name: 'ü', size: 7 });
  assert.deepEqual(await client.call(echo, { name: 'x'.repeat(500_000) }), { name: 'x'.repeat(500_000) });
});

test('a stream gives all, in order', async (context) => {
  const { client } = await served(context);
  const sizes: (number | undefined)[] = [];
  for await (const batch of client.stream(countTo, { size: 25_050 })) for (const { size } of batch) sizes.push(size);
  assert.equal(sizes.length, 25_050);
  assert.ok(sizes.every((size, index) => (size ?? 0) === index));
});

test('a call that goes wrong says how', async (context) => {
  const { client } = await served(context);
  await assert.rejects(client.call(fail, {}), status(Status.INVALID_ARGUMENT, /^name: 100 % wrong, ü$/));
  await assert.rejects(client.call(fail, { name: 'ours' }), status(Status.INTERNAL, /a mistake/));
  await assert.rejects(client.call(method('Nothing', false), {}), status(Status.UNIMPLEMENTED, /no \/test.Things\/Nothing/));
  await assert.rejects(
    async () => {
      for await (const _ of client.stream(countTo, { size: 2e9 }));
    },
    status(Status.INVALID_ARGUMENT, /^size: too large$/),
  );
  await assert.rejects(client.call(echo, { name: 'x'.repeat(2_000_000) }), status(Status.RESOURCE_EXHAUSTED, /2000004 bytes/));
});

test('who reads slowly is waited for, and nothing is kept for him', async (context) => {
  const { client, seen } = await served(context);
  const stream = client.stream(countTo, { size: 1_000_000 })[Symbol.asyncIterator]();
  await stream.next();
  let before = -1;
  while (before !== seen.produced) {
    before = seen.produced;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(seen.produced < 200_000, `${seen.produced} messages were made for a reader that took 100`);
  await stream.return?.();
});

test('a call that takes too long ends on both sides', async (context) => {
  const { client, seen } = await served(context);
  await assert.rejects(
    async () => {
      for await (const _ of client.stream(wait, {}, { deadlineMs: 50 }));
    },
    status(Status.DEADLINE_EXCEEDED, /./),
  );
  while (seen.ended === 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('the server learns that a client has gone', async (context) => {
  const { client, seen } = await served(context);
  for await (const _ of client.stream(wait, {})) break;
  while (seen.ended === 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('a client that stops a call gets its own reason', async (context) => {
  const { client } = await served(context);
  const stop = new AbortController();
  const mine = new Error('enough');
  await assert.rejects(async () => {
    for await (const _ of client.stream(wait, {}, { signal: stop.signal })) stop.abort(mine);
  }, mine);
});

test('a server that is not there is unavailable, with the reason', async () => {
  using client = grpcClient({ address: { path: '/nonexistent/socket' } });
  await assert.rejects(client.call(echo, {}), status(Status.UNAVAILABLE, /ENOENT/));
});

test('a client connects again when the server was away', async (context) => {
  const { path, client } = await served(context);
  await client.call(echo, {});
  const other = join(path, '..', 'other');
  const serverOf = () => grpcServer({ handlers: [unary(echo, (request) => request)] });
  const first = serverOf();
  await first.listen({ path: other });
  using again = grpcClient({ address: { path: other } });
  await again.call(echo, {});
  await first[Symbol.asyncDispose]();
  await assert.rejects(again.call(echo, {}));
  await using second = serverOf();
  await second.listen({ path: other });
  assert.deepEqual(await again.call(echo, { size: 1 }), { size: 1 });
});

test('health is told, and services that there are none of are not found', async (context) => {
  const { client } = await served(context);
  assert.deepEqual(await client.call(check, {}), { status: 1 });
  assert.deepEqual(await client.call(check, { service: 'bad' }), { status: 2 });
  await assert.rejects(client.call(check, { service: 'other' }), status(Status.NOT_FOUND, /other/));
});

test('whoever watches health is told when it changes', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
  context.after(() => rmSync(folder, { recursive: true }));
  let well = false;
  await using server = grpcServer({ handlers: healthHandlers(() => well) });
  await server.listen({ path: join(folder, 'socket') });
  using client = grpcClient({ address: { path: join(folder, 'socket') } });
  const told: unknown[] = [];
  for await (const batch of client.stream(watch, {})) {
    for (const { status: now } of batch) told.push(now);
    well = true;
    if (told.length === 2) break;
  }
  assert.deepEqual(told, [Serving.NOT_SERVING, Serving.SERVING]);
});

test('calls are counted by method and how they ended, messages one by one', async (context) => {
  const counts = callCounts();
  const things: Method<Thing, Thing> = { service: 'test.Things', name: 'All', request: thing, response: thing, streams: true };
  const one: Method<Thing, Thing> = { ...things, name: 'One', streams: false };
  const server = grpcServer({
    counts,
    handlers: [
      streaming<Thing, Thing>(things, async function* ({ size = 0 }) {
        for (let i = 0; i < size; i++) yield [{ size: i }, { size: i }];
      }),
      unary(one, () => {
        throw new RpcError(Status.INVALID_ARGUMENT, 'no');
      }),
    ],
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const client = grpcClient({ address: { host: '127.0.0.1', port: server.port } });
  context.after(async () => {
    client[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });
  for await (const batch of client.stream(things, { size: 3 }, {})) assert.ok(batch.length > 0);
  await assert.rejects(client.call(one, {}, {}), { status: Status.INVALID_ARGUMENT });
  const lines = metricsText(counts.metrics).split('\n');
  const all = 'grpc_type="server_stream",grpc_service="test.Things",grpc_method="All"';
  const single = 'grpc_type="unary",grpc_service="test.Things",grpc_method="One"';
  for (const line of [
    `grpc_server_started_total{${all}} 1`,
    `grpc_server_msg_sent_total{${all}} 6`,
    `grpc_server_handled_total{${all},grpc_code="OK"} 1`,
    `grpc_server_msg_received_total{${single}} 1`,
    `grpc_server_handled_total{${single},grpc_code="OK"} 0`,
    `grpc_server_handled_total{${single},grpc_code="InvalidArgument"} 1`,
  ])
    assert.ok(lines.includes(line), `${line} among\n${lines.join('\n')}`);
});

test('frames go through as they are', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const batches = [framed(thing, [{ size: 1 }, { size: 2 }]), framed(thing, [{ size: 3 }])];
  await using server = grpcServer({
    handlers: [
      raw(countTo, async function* (_, { signal }) {
        for (const batch of batches) {
          yield batch;
          await pause(1, signal);
        }
      }),
    ],
  });
  await server.listen({ path: join(folder, 'socket') });
  using client = grpcClient({ address: { path: join(folder, 'socket') } });
  const got: Buffer[] = [];
  for await (const messages of client.raw(countTo, {})) got.push(...messages);
  assert.deepEqual(
    got.map((bytes) => decode(thing, bytes)),
    [{ size: 1 }, { size: 2 }, { size: 3 }],
  );
});

test('statuses have names', () => {
  assert.deepEqual([statusName(Status.UNIMPLEMENTED), statusName(7)], ['UNIMPLEMENTED', 'status 7']);
});

test('what is no gRPC is refused, and the server goes on', async (context) => {
  const { path, client } = await served(context);
  const answers = async (headers: Record<string, string>, body: Buffer): Promise<string> => {
    const session = connect('http://x', { createConnection: () => connectTo(path) });
    session.on('error', () => {});
    const stream = session.request(headers);
    stream.on('error', () => {});
    const answer = await new Promise<string>((resolve) => {
      let told = 'nothing';
      stream.on('response', (got) => (told = `${got[':status']} ${String(got['grpc-status'] ?? '')}`));
      stream.on('trailers', (got) => (told += String(got['grpc-status'])));
      stream.on('close', () => resolve(told));
      stream.resume().end(body);
    });
    session.destroy();
    return answer;
  };
  const post = { ':method': 'POST', ':path': '/test.Things/Echo', 'content-type': 'application/grpc' };
  assert.equal(await answers({ ':path': '/' }, Buffer.alloc(0)), '415 ');
  assert.equal(await answers(post, Buffer.alloc(0)), `200 ${Status.INVALID_ARGUMENT}`);
  assert.equal(await answers(post, Buffer.from([0, 0, 0])), `200 ${Status.INVALID_ARGUMENT}`);
  assert.equal(await answers(post, Buffer.from([1, 0, 0, 0, 0])), `200 ${Status.UNIMPLEMENTED}`);
  assert.equal(await answers(post, Buffer.from([0, 0, 0, 0, 2, 0x0a, 9])), `200 ${Status.INVALID_ARGUMENT}`);
  assert.equal(await answers(post, Buffer.from([0, 255, 255, 255, 255])), `200 ${Status.RESOURCE_EXHAUSTED}`);
  assert.equal(await answers(post, Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0])), `200 ${Status.INVALID_ARGUMENT}`);
  assert.deepEqual(await client.call(echo, { size: 1 }), { size: 1 });
});

test('reflection tells of services and of every file that they need', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const handlers = healthHandlers(() => true);
  const own = reflectionHandlers([...handlers, unary(echo, (request) => request)]);
  const [reflect] = own;
  assert.ok(reflect);
  type Asked = { fileContainingSymbol?: string; listServices?: string };
  type Told = { answer?: { kind: string; service?: { name: string }[]; fileDescriptorProto?: Uint8Array[]; errorCode?: number } };
  const ask = async (request: Asked): Promise<Told['answer']> => {
    const { method: info } = reflect;
    const [answer] = [
      await reflect.answer(encode(info.request as unknown as Codec<Asked>, request), {
        signal: new AbortController().signal,
        metadata: {},
      }),
    ];
    assert.ok(Buffer.isBuffer(answer));
    return decode(info.response as unknown as Codec<Told>, answer.subarray(5)).answer;
  };
  const services = await ask({ listServices: '*' });
  assert.deepEqual(
    services?.service?.map(({ name }) => name),
    ['grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection', 'test.Things'],
  );
  const files = (await ask({ fileContainingSymbol: 'test.Things' }))?.fileDescriptorProto ?? [];
  const text = files.map((bytes) => Buffer.from(bytes).toString('latin1'));
  assert.deepEqual(text.map((bytes) => String(/(?:test|google)\/[\w/]+\.proto/.exec(bytes)?.[0])).toSorted(), [
    'google/protobuf/timestamp.proto',
    'google/protobuf/wrappers.proto',
    'test/test.proto',
  ]);
  for (const wanted of ['.test.Thing', '.test.Colour', '.google.protobuf.BoolValue']) assert.ok(text[0]?.includes(wanted), wanted);
  assert.equal((await ask({ fileContainingSymbol: 'no.Such' }))?.errorCode, Status.NOT_FOUND);
});
