// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ip } from '../base/ip.ts';
import { loadObject } from '../kernel/load.ts';
import type { BpfMap } from '../kernel/map.ts';
import { bpfMissing, compiled, temporaryBpffs } from '../kernel/testdata/harness.ts';
import { inherit, pinNameOf } from './inheritance.ts';
import { loadDatapath } from './programs.ts';
import { conntrackEntryCodec, flowCodec, handoverCodec, lbBackendCodec } from './schema.gen.ts';
import { untold } from './testdata/rows.ts';

const objectDirectory = fileURLToPath(new URL('../../build/bpf', import.meta.url));
const flow = (port: number) =>
  flowCodec.encode({ source: ip('10.244.1.5'), destination: ip('10.244.2.6'), sourcePort: port, destinationPort: 80, protocol: 6 });
const seconds = () => Number(process.hrtime.bigint() / 1_000_000_000n);
const entry = (packets: number, lastSeen = seconds()) =>
  conntrackEntryCodec.encode({
    ...untold,
    source: ip('10.244.1.5'),
    destination: ip('10.244.2.6'),
    sourcePort: 1,
    destinationPort: 80,
    flags: 0,
    interfaceIndex: 0,
    lastSeen,
    service: 0,
    backend: 0,
    packets,
    bytes: 0,
  });
const packetsOf = (map: BpfMap, port: number) => {
  const value = map.lookup(flow(port));
  return value && conntrackEntryCodec.decode(value).packets;
};
const maxEntries = { conntrack: 1024 };

describe('a map of another definition', { skip: bpfMissing }, () => {
  it('gives its entries to the new one, fields by their names', async () => {
    using pins = temporaryBpffs();
    using first = await loadObject({ path: compiled('flows-1'), pinDirectory: pins.path, pinName: (map) => `${map}/1` });
    using second = await loadObject({ path: compiled('flows-2'), pinDirectory: pins.path, pinName: (map) => `${map}/2` });
    const [from, to] = [first.maps.get('flows') ?? assert.fail(), second.maps.get('flows') ?? assert.fail()];
    for (let i = 0; i < 3000; i++) {
      const [key, value] = [Buffer.alloc(8), Buffer.alloc(8)];
      key.writeUInt32LE(i, 0);
      key.writeUInt16BE(i % 65_536, 4);
      value.writeUInt32LE(1000 + i, 0);
      value.writeUInt16LE(i % 7, 4);
      from.update(key, value);
    }
    assert.equal(await inherit(join(pins.path, 'flows/1'), to), 3000);
    assert.equal(await inherit(join(pins.path, 'flows/1'), to), 0, 'a second time there is nothing left to do');
    assert.equal(to.count(), 3000);
    for (const i of [0, 1, 2047, 2048, 2999]) {
      const key = Buffer.alloc(8);
      key.writeUInt16BE(i, 0);
      key.writeUInt32LE(i, 4);
      const value = to.lookup(key) ?? assert.fail(`no entry ${i}`);
      assert.deepEqual([value.readUInt32LE(0), value.readUInt32LE(4), value.readBigUInt64LE(8)], [i % 7, 1000 + i, 0n]);
    }
  });
});

describe('the data plane of another version', { skip: bpfMissing }, () => {
  const load = (pinDirectory: string, more = {}) => loadDatapath({ objectDirectory, pinDirectory, config: {}, maxEntries, ...more });

  it('is taken over: flows, backends, and what it got in the last moment; what is newer stays', async () => {
    using pins = temporaryBpffs();
    using old = await load(pins.path);
    const backend = lbBackendCodec.encode({ address: ip('10.244.2.6'), port: 80, protocol: 6 });
    old.map('lb_backends').update(Buffer.from([9, 0, 0, 0]), backend);
    for (const port of [1, 2]) old.map('conntrack').update(flow(port), entry(1));
    for (const name of ['conntrack', 'lb_backends']) renameSync(join(pins.path, pinNameOf(name)), join(pins.path, name, 'another'));
    using fresh = await load(pins.path);
    assert.deepEqual(fresh.predecessors.map((path) => path.slice(pins.path.length + 1)).toSorted(), [
      'conntrack/another',
      'lb_backends/another',
    ]);
    assert.deepEqual(fresh.map('lb_backends').lookup(Buffer.from([9, 0, 0, 0])), backend);
    assert.equal(packetsOf(fresh.map('conntrack'), 2), 1);
    old.map('conntrack').update(flow(3), entry(1));
    fresh.map('conntrack').update(flow(1), entry(50));
    assert.equal(await fresh.inherit(), 1);
    assert.deepEqual(
      [1, 2, 3].map((port) => packetsOf(fresh.map('conntrack'), port)),
      [50, 1, 1],
    );
    fresh.forgetPredecessors();
    assert.deepEqual([fresh.predecessors, readdirSync(join(pins.path, 'conntrack')).length], [[], 1]);
  });

  it('is taken over again when programs are swapped, as it is by then: once, for what runs now knows more from then on', async () => {
    using pins = temporaryBpffs();
    using old = await load(pins.path);
    old.map('conntrack').update(flow(1), entry(1));
    renameSync(join(pins.path, pinNameOf('conntrack')), join(pins.path, 'conntrack/another'));
    using fresh = await load(pins.path);
    old.map('conntrack').update(flow(1), entry(2)); // it has ended, and another began from the same port
    const until = () => handoverCodec.decode(fresh.map('handovers').lookup(Buffer.alloc(4)) ?? assert.fail()).until;
    assert.deepEqual([fresh.swapping, until()], [false, 0]);
    fresh.swap(1000);
    assert.equal(packetsOf(fresh.map('conntrack'), 1), 2);
    assert.equal(fresh.swapping, true);
    assert.ok(until() > Number(process.hrtime.bigint()), 'packets of no known flow wait');
    fresh.map('conntrack').update(flow(1), entry(3));
    fresh.swap(1000);
    using next = await load(pins.path); // of the same version, after this one died
    next.swap(1000);
    assert.equal(packetsOf(next.map('conntrack'), 1), 3, 'programs of this version have run since');
    next.forgetPredecessors();
    assert.equal(until(), 0);
    next.swap(1000);
    assert.equal(until(), 0, 'nothing is taken over');
  });

  it('gives no flow again that somebody has removed since, unless it goes on', async () => {
    using pins = temporaryBpffs();
    using old = await load(pins.path);
    for (const port of [1, 2]) old.map('conntrack').update(flow(port), entry(1, seconds() - 10));
    renameSync(join(pins.path, pinNameOf('conntrack')), join(pins.path, 'conntrack/another'));
    using fresh = await load(pins.path);
    fresh.swap(1000);
    const now = fresh.map('conntrack');
    for (const port of [1, 2]) assert.equal(now.delete(flow(port)), true);
    old.map('conntrack').update(flow(2), entry(2));
    await fresh.inherit();
    assert.deepEqual(
      [1, 2].map((port) => packetsOf(now, port)),
      [undefined, 2],
    );
  });

  it('gives a key to the flow that began later, whichever version has seen it', async () => {
    using pins = temporaryBpffs();
    using old = await load(pins.path);
    renameSync(join(pins.path, pinNameOf('conntrack')), join(pins.path, 'conntrack/another'));
    using fresh = await load(pins.path);
    fresh.swap(1000);
    const [then, now] = [old.map('conntrack'), fresh.map('conntrack')];
    const began = (opened: number, packets: number) =>
      conntrackEntryCodec.encode({ ...conntrackEntryCodec.decode(entry(packets)), opened });
    then.update(flow(1), began(200, 1)); // from the port of one that has ended
    now.update(flow(1), began(100, 9));
    then.update(flow(2), began(100, 1));
    now.update(flow(2), began(200, 9));
    assert.equal(await fresh.inherit(), 1);
    assert.deepEqual(
      [1, 2].map((port) => packetsOf(now, port)),
      [1, 9],
    );
  });

  it('lets packets of no known flow wait at programs of both versions', async () => {
    using pins = temporaryBpffs();
    using old = await load(pins.path);
    for (const name of ['conntrack', 'handovers']) renameSync(join(pins.path, pinNameOf(name)), join(pins.path, name, 'another'));
    using fresh = await load(pins.path);
    fresh.swap(1000);
    for (const { until } of [old, fresh].map((one) => handoverCodec.decode(one.map('handovers').lookup(Buffer.alloc(4)) ?? assert.fail())))
      assert.ok(until > Number(process.hrtime.bigint()));
  });

  it('may end at any point: the next one begins again, and loses nothing', async () => {
    using pins = temporaryBpffs();
    {
      using old = await load(pins.path);
      old.map('conntrack').update(flow(1), entry(1));
    }
    renameSync(join(pins.path, pinNameOf('conntrack')), join(pins.path, 'conntrack/another'));
    for (let i = 0; i < 3; i++) {
      using died = await load(pins.path);
      assert.equal(packetsOf(died.map('conntrack'), 1), 1, `attempt ${i}`);
    }
    renameSync(join(pins.path, pinNameOf('conntrack')), join(pins.path, 'conntrack/newer')); // and back to the other version
    renameSync(join(pins.path, 'conntrack/another'), join(pins.path, pinNameOf('conntrack')));
    using back = await load(pins.path);
    assert.equal(packetsOf(back.map('conntrack'), 1), 1);
    back.forgetPredecessors();
    assert.deepEqual(readdirSync(join(pins.path, 'conntrack')).length, 1);
  });

  it('is found also where one directory held all maps of a version', async () => {
    using pins = temporaryBpffs();
    {
      using old = await load(pins.path);
      old.map('conntrack').update(flow(1), entry(1));
    }
    mkdirSync(join(pins.path, '0123456789ab'));
    renameSync(join(pins.path, pinNameOf('conntrack')), join(pins.path, '0123456789ab/conntrack'));
    using fresh = await load(pins.path);
    assert.equal(packetsOf(fresh.map('conntrack'), 1), 1);
    fresh.forgetPredecessors();
    assert.equal(existsSync(join(pins.path, '0123456789ab')), false);
  });

  it('is the same map where the definition is the same, and programs of both see it', async () => {
    using pins = temporaryBpffs();
    using old = await load(pins.path);
    using fresh = await load(pins.path);
    assert.equal(fresh.map('conntrack').id, old.map('conntrack').id);
    assert.deepEqual(fresh.predecessors, []);
  });

  it('that has become too full is larger at the next load, with all that it held', async () => {
    using pins = temporaryBpffs();
    {
      using old = await load(pins.path);
      for (let port = 1; port <= 800; port++) old.map('conntrack').update(flow(port), entry(port));
    }
    using fresh = await load(pins.path, { memoryBytes: 2 ** 36 });
    assert.equal(fresh.map('conntrack').maxEntries, 2048);
    assert.equal(packetsOf(fresh.map('conntrack'), 777), 777);
    fresh.forgetPredecessors();
    using again = await load(pins.path, { memoryBytes: 2 ** 36 });
    assert.equal(again.map('conntrack').id, fresh.map('conntrack').id, 'and no larger than it has to be');
  });
});
