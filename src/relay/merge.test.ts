// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../grpc/message.ts';
import { WireError } from '../grpc/wire.ts';
import { getFlowsResponse } from '../hubble/observer.ts';
import { merge } from './merge.ts';
import type { Timed } from './merge.ts';
import { responseTime } from './response-time.ts';

const at = (...times: readonly number[]): readonly Timed[] =>
  times.map((time) => ({ time: BigInt(time), message: Buffer.from(String(time)), arrived: performance.now() }));
const never = new AbortController().signal;

async function all(out: AsyncIterable<readonly Buffer[]>, enough = Number.POSITIVE_INFINITY): Promise<string> {
  const got: string[] = [];
  for await (const batch of out) {
    got.push(...batch.map(String));
    if (got.length >= enough) break;
  }
  return got.join(' ');
}

test('messages of several nodes come in the order of their times', async () => {
  const merged = merge(10_000);
  const [a, b, c] = [merged.lane(), merged.lane(), merged.lane()];
  void a.push(at(1, 4, 7));
  void b.push(at(2, 5));
  void b.push(at(8, 9));
  a.end();
  b.end();
  c.end();
  merged.close();
  assert.equal(await all(merged.out(never)), '1 2 4 5 7 8 9');
});

test('who has not said anything yet is waited for', async () => {
  const merged = merge(10_000);
  const [a, b] = [merged.lane(), merged.lane()];
  void a.push(at(5, 6));
  a.end();
  merged.close();
  const got = all(merged.out(never));
  setTimeout(() => {
    void b.push(at(1));
    b.end();
  }, 20);
  assert.equal(await got, '1 5 6');
});

test('a node that stays silent is waited for no longer than that, and what it says then comes late', async () => {
  const merged = merge(30);
  const [a, b] = [merged.lane(), merged.lane()];
  const started = performance.now();
  void a.push(at(5));
  const out = merged.out(never);
  const iterator = out[Symbol.asyncIterator]();
  assert.equal(String((await iterator.next()).value), '5');
  assert.ok(performance.now() - started >= 25);
  void b.push(at(1));
  assert.equal(String((await iterator.next()).value), '1');
  await iterator.return?.();
});

test('what is urgent goes out first', async () => {
  const merged = merge(10_000);
  const a = merged.lane();
  void a.push(at(1));
  a.end();
  merged.now(Buffer.from('status'));
  merged.close();
  assert.equal(await all(merged.out(never)), 'status 1');
});

test('a lane that is full is not read until somebody takes from it, nor after the end', async () => {
  const merged = merge(10_000);
  const [a, b] = [merged.lane(), merged.lane()];
  let pushed = 0;
  const pushing = (async () => {
    for (let from = 0; from < 10_000; from += 1000) {
      await a.push(at(...Array.from({ length: 1000 }, (_, index) => from + index)));
      pushed += 1000;
    }
  })();
  void b.push(at(20_000));
  const iterator = merged.out(never)[Symbol.asyncIterator]();
  await iterator.next();
  const before = pushed;
  assert.ok(before < 5000, String(before));
  await iterator.return?.();
  await pushing;
  assert.equal(pushed, 10_000);
});

test('when it is busy nobody waits for the silent', async () => {
  const merged = merge(60_000);
  const [a, b] = [merged.lane(), merged.lane()];
  void b.push(at(0));
  void a.push(at(...Array.from({ length: 3000 }, (_, index) => index + 1)));
  const got = await all(merged.out(never), 900);
  assert.ok(got.startsWith('0 1 2 3 '));
});

test('whoever takes no more ends it', async () => {
  const merged = merge(10_000);
  merged.lane();
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 10);
  assert.equal(await all(merged.out(stop.signal)), '');
});

test('random streams are merged as if they had been sorted', async () => {
  let seed = 3;
  const next = (below: number) => (((seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff) >> 8) % below) + 1;
  for (let round = 0; round < 30; round++) {
    const merged = merge(60_000);
    const wanted: number[] = [];
    for (let lane = 0; lane < next(5); lane++) {
      const one = merged.lane();
      let time = 0;
      const times = Array.from({ length: next(400) }, () => (time += next(9)));
      wanted.push(...times);
      void (async () => {
        for (let from = 0; from < times.length; from += 50) {
          await one.push(at(...times.slice(from, from + 50)));
          await new Promise((resolve) => setImmediate(resolve));
        }
        one.end();
      })();
    }
    merged.close();
    assert.equal(await all(merged.out(never)), wanted.toSorted((x, y) => x - y).join(' '));
  }
});

test('the time of a response is found without reading the rest', () => {
  const time = 1_700_000_000_123_456_789n;
  const flow = { time, uuid: 'u', verdict: 1 as const, type: 1 as const, nodeName: 'default/n', summary: 's' };
  assert.equal(responseTime(encode(getFlowsResponse, { flow, nodeName: 'n', time: time + 1n })), time + 1n);
  assert.equal(responseTime(encode(getFlowsResponse, { flow })), time);
  assert.equal(responseTime(encode(getFlowsResponse, { lostEvents: { numEventsLost: 1n }, time })), time);
  assert.equal(responseTime(Buffer.alloc(0)), 0n);
  assert.throws(() => responseTime(Buffer.from('0aff', 'hex')), WireError);
});
