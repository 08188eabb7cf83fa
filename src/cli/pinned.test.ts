// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pinNameOf, retire } from '../datapath/inheritance.ts';
import { conntrackEntryCodec, flowCodec } from '../datapath/schema.gen.ts';
import { BpfMap, MapType } from '../kernel/map.ts';
import { bpfMissing, temporaryBpffs } from '../kernel/testdata/harness.ts';
import { pinnedBytes } from './pinned.ts';

const sizes = { keySize: flowCodec.size, valueSize: conntrackEntryCodec.size };

/** A map of so many entries, where the agent has it. */
function pinned(maps: string, entries: number): void {
  using map = BpfMap.create({ name: 'conntrack', type: MapType.lruHash, ...sizes, maxEntries: 1024, flags: 0 });
  for (let i = 0; i < entries; i++) {
    const key = Buffer.alloc(sizes.keySize);
    key.writeUInt32LE(i);
    map.update(key, Buffer.alloc(sizes.valueSize));
  }
  mkdirSync(join(maps, 'conntrack'), { recursive: true });
  map.pin(join(maps, pinNameOf('conntrack')));
}

describe('a pinned map', { skip: bpfMissing }, () => {
  it('is read before, while and after a larger one takes its place', () => {
    using bpffs = temporaryBpffs();
    const maps = join(bpffs.path, 'stentor', 'maps');
    const read = () => [...pinnedBytes(bpffs.path, 'conntrack')].length;
    pinned(maps, 3);
    assert.equal(read(), 3);
    retire(maps, 'conntrack');
    assert.equal(read(), 3);
    pinned(maps, 5);
    assert.equal(read(), 5);
  });

  it('of another definition is not read, and the message names it', () => {
    using bpffs = temporaryBpffs();
    const maps = join(bpffs.path, 'stentor', 'maps');
    pinned(maps, 3);
    renameSync(join(maps, pinNameOf('conntrack')), join(maps, 'conntrack', 'another'));
    assert.throws(() => [...pinnedBytes(bpffs.path, 'conntrack')], /another version of this program has it as another/);
  });

  it('that is not there is an error that names the option', () => {
    using bpffs = temporaryBpffs();
    assert.throws(() => [...pinnedBytes(bpffs.path, 'conntrack')], /no agent has loaded the data plane here.*--bpf-root/);
  });
});
