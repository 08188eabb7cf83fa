// SPDX-License-Identifier: Apache-2.0
// Misuse. Every case here must end in an exception: a crash takes this process down, and the test runner reports the file as failed.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { native } from './addon.ts';
import type { Addon } from './addon.ts';
import { HandleClosedError } from './errors.ts';
import { MapType } from './map.ts';
import { bpfMissing, compiled, eventually, kernelError, netnsMissing, openDescriptors, temporaryNetns } from './testdata/harness.ts';

const bytes = Buffer.alloc(64);
const hash = { name: 't_hash', type: MapType.hash, keySize: 4, valueSize: 4, maxEntries: 8, flags: 0 };
const ringBuffer = { name: 't_ring', type: MapType.ringBuffer, keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0 };

// unknown: handing over the wrong thing is the point, so the types of Addon must not stop us.
type Misused = Record<keyof Addon, (...values: readonly unknown[]) => unknown>;
const misused = () => native() as unknown as Misused;

/** Each call takes a handle first and is otherwise given what it wants. */
const calls: readonly { readonly name: keyof Addon; readonly kind: string; readonly more: readonly unknown[] }[] = [
  { name: 'objectMaps', kind: 'object', more: [] },
  { name: 'objectPrograms', kind: 'object', more: [] },
  { name: 'objectSetData', kind: 'object', more: ['.rodata', 0, bytes] },
  { name: 'objectSetMaxEntries', kind: 'object', more: ['t_hash', 1] },
  { name: 'objectSetAutoload', kind: 'object', more: ['emit_records', true] },
  { name: 'objectSetProgramType', kind: 'object', more: ['emit_records', 3, 0] },
  { name: 'objectLoad', kind: 'object', more: [] },
  { name: 'objectMap', kind: 'object', more: ['t_hash'] },
  { name: 'objectProgram', kind: 'object', more: ['emit_records'] },
  { name: 'mapInfo', kind: 'map', more: [] },
  { name: 'mapValueBytes', kind: 'map', more: [] },
  { name: 'mapLookup', kind: 'map', more: [bytes, bytes] },
  { name: 'mapUpdate', kind: 'map', more: [bytes, bytes, 0] },
  { name: 'mapDelete', kind: 'map', more: [bytes] },
  { name: 'mapTake', kind: 'map', more: [bytes, bytes] },
  { name: 'mapUpdateBatch', kind: 'map', more: [bytes, bytes, 1, 0] },
  { name: 'mapDeleteBatch', kind: 'map', more: [bytes, 1] },
  { name: 'mapRead', kind: 'map', more: [bytes, bytes, bytes] },
  { name: 'mapFreeze', kind: 'map', more: [] },
  { name: 'ringOpen', kind: 'map', more: [] },
  { name: 'programInfo', kind: 'program', more: [] },
  { name: 'programTestRun', kind: 'program', more: [{ data: bytes, dataOut: bytes, context: bytes, contextOut: bytes, repeat: 1 }] },
  { name: 'linkInfo', kind: 'link', more: [] },
  { name: 'linkDetach', kind: 'link', more: [] },
  { name: 'ringDrain', kind: 'ring', more: [bytes] },
  { name: 'ringUsedBytes', kind: 'ring', more: [] },
  { name: 'socketSend', kind: 'socket', more: [bytes] },
  { name: 'socketReceive', kind: 'socket', more: [bytes] },
  { name: 'socketWait', kind: 'socket', more: [0] },
  { name: 'socketNetnsCookie', kind: 'socket', more: [] },
  { name: 'pollStart', kind: 'ring', more: [() => {}] },
];

async function oneOfEach(netns: string): Promise<Readonly<Record<string, unknown>>> {
  const addon = native();
  const object = addon.objectOpen(compiled('handles'));
  await addon.objectLoad(object);
  const program = addon.objectProgram(object, 'another_verdict');
  const link = await addon.linkCreate({ program, attachType: 46, target: 1, netns, flags: 0, relativeId: 0 });
  const socket = addon.socketOpen(0, [], 4096, undefined);
  const ring = addon.ringOpen(addon.mapCreate(ringBuffer));
  return { object, map: addon.mapCreate(hash), program, link, ring, socket, poll: addon.pollStart(socket, () => {}) };
}

describe('the addon', { skip: bpfMissing || netnsMissing }, () => {
  it('refuses a handle of another kind, and what is no handle', async () => {
    using netns = temporaryNetns();
    const handles = await oneOfEach(netns.path);
    const strangers = [undefined, null, 0, 7, '', 'map', {}, [], () => {}, Symbol('map'), 1n, Buffer.alloc(8), new WeakMap()];
    for (const { name, kind, more } of calls) {
      for (const [other, handle] of Object.entries(handles)) {
        if (other === kind || (name === 'pollStart' && other === 'socket')) continue;
        assert.throws(() => misused()[name](handle, ...more), TypeError, `${name} took a ${other}`);
      }
      for (const stranger of strangers)
        assert.throws(() => misused()[name](stranger, ...more), TypeError, `${name} took ${inspect(stranger)}`);
      assert.throws(() => misused()[name](), TypeError, `${name} took nothing`);
    }
    for (const handle of Object.values(handles)) misused().close(handle);
  });

  it('refuses a closed handle, and closing twice is no error', async () => {
    using netns = temporaryNetns();
    const handles = await oneOfEach(netns.path);
    for (const handle of Object.values(handles)) {
      misused().close(handle);
      misused().close(handle);
      assert.equal(misused().isClosed(handle), true);
    }
    for (const { name, kind, more } of calls) assert.throws(() => misused()[name](handles[kind], ...more), HandleClosedError, name);
    for (const name of ['descriptor', 'pin'] as const)
      assert.throws(() => misused()[name](handles['map'], '/nonexistent'), HandleClosedError);
  });

  it('refuses arguments of other types in place of good ones', async () => {
    using netns = temporaryNetns();
    const handles = await oneOfEach(netns.path);
    const wrong = [
      undefined,
      null,
      Symbol('x'),
      1n,
      -1,
      0.5,
      Number.NaN,
      Infinity,
      2 ** 53,
      'a\0b',
      'x'.repeat(5000),
      new Float64Array(8),
      new DataView(new ArrayBuffer(8)),
      [],
      {},
    ];
    for (const { name, kind, more } of calls) {
      for (const at of more.keys()) {
        for (const value of wrong) {
          try {
            await misused()[name](handles[kind], ...more.with(at, value));
          } catch (error) {
            assert.ok(error instanceof Error, `${name} threw ${String(error)}`);
          }
        }
      }
    }
    for (const handle of Object.values(handles)) misused().close(handle);
  });

  it('refuses a netlink message that is none, or far too long', () => {
    for (const message of [undefined, 'x', {}, new Float64Array(8)]) assert.throws(() => misused().socketExchange(message), TypeError);
    for (const length of [0, 15, 8193]) assert.throws(() => misused().socketExchange(Buffer.alloc(length)), RangeError);
  });

  it('survives a getter that takes the buffers away', () => {
    using program = disposable(native().programOpenById(anyProgramId()));
    const data = new Uint8Array(new ArrayBuffer(64));
    const run = {
      data,
      dataOut: new Uint8Array(64),
      context: new Uint8Array(0),
      contextOut: new Uint8Array(0),
      get repeat() {
        structuredClone(data.buffer, { transfer: [data.buffer] });
        return 1;
      },
    };
    assert.throws(() => native().programTestRun(program.handle, run), kernelError('EINVAL'));
  });

  it('refuses to touch an object while it loads, and closes it when the load is done', async () => {
    const addon = native();
    const object = addon.objectOpen(compiled('handles'));
    const load = addon.objectLoad(object);
    assert.throws(() => addon.objectMaps(object), kernelError('EBUSY'));
    assert.throws(() => addon.objectLoad(object), kernelError('EBUSY'));
    addon.close(object);
    await load;
    assert.throws(() => addon.objectMap(object, 't_hash'), HandleClosedError);
  });

  it('refuses changes after the load, when the images are read-only', async () => {
    const addon = native();
    const object = addon.objectOpen(compiled('handles'));
    await addon.objectLoad(object);
    assert.throws(() => addon.objectSetData(object, '.rodata', 0, Buffer.alloc(4)), kernelError('EALREADY'));
    assert.throws(() => addon.objectSetMaxEntries(object, 't_hash', 1), kernelError('EALREADY'));
    await assert.rejects(async () => addon.objectLoad(object), kernelError('EALREADY'));
    addon.close(object);
  });

  it('attaches the right program though its handle is closed meanwhile', async () => {
    using netns = temporaryNetns();
    const addon = native();
    const object = addon.objectOpen(compiled('handles'));
    await addon.objectLoad(object);
    const program = addon.objectProgram(object, 'another_verdict');
    const { id } = addon.programInfo(program);
    const attaching = addon.linkCreate({ program, attachType: 46, target: 1, netns: netns.path, flags: 0, relativeId: 0 });
    addon.close(program);
    addon.close(object);
    const link = await attaching;
    assert.equal(addon.linkInfo(link).programId, id);
    addon.close(link);
  });

  it('gives descriptors back when handles are forgotten', async () => {
    const collect = garbageCollector();
    const before = openDescriptors();
    for (let i = 0; i < 200; i++) native().mapCreate(hash);
    for (let i = 0; i < 50; i++) native().ringOpen(native().mapCreate(ringBuffer));
    assert.ok(openDescriptors() >= before + 200);
    await eventually('the descriptors were given back', () => {
      collect();
      return openDescriptors() <= before;
    });
  });

  it('survives worker threads that are terminated in the middle of everything', async () => {
    using netns = temporaryNetns();
    const before = openDescriptors();
    for (const delayMs of [0, 0, 1, 5, 20]) {
      const worker = new Worker(new URL('testdata/busy-worker.ts', import.meta.url), {
        workerData: { netns: netns.path, object: compiled('handles') },
      });
      await once(worker, 'message');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      assert.equal(await worker.terminate(), 1);
    }
    await eventually('the descriptors of the workers were closed', () => openDescriptors() <= before + 2);
  });
});

function disposable<H extends Parameters<Addon['close']>[0]>(handle: H): Disposable & { readonly handle: H } {
  return { handle, [Symbol.dispose]: () => native().close(handle) };
}

/** The id of some program that can be run; it stays loaded until this process ends. */
function anyProgramId(): number {
  assert.ok(runnable !== undefined);
  return native().programInfo(runnable).id;
}

const runnable = bpfMissing ? undefined : await loadRunnable();

async function loadRunnable() {
  const object = native().objectOpen(compiled('handles'));
  await native().objectLoad(object);
  const program = native().objectProgram(object, 'another_verdict');
  native().close(object);
  return program;
}

function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void; // as: what --expose-gc defines
}
