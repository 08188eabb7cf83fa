// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { loadObject, PinnedMapError, VerifierError } from './load.ts';
import { BpfMap, MapType } from './map.ts';
import { readObject } from './object.ts';
import { bpfMissing, compiled, kernelError, temporaryBpffs } from './testdata/harness.ts';

const frame = Buffer.alloc(64);

function knob(path: string, name: string, value: number) {
  const variable = readObject(readFileSync(path)).config.find((each) => each.name === name);
  assert.ok(variable, `the object has no knob ${name}`);
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return { section: variable.section, offset: variable.offset, bytes };
}

describe('loading an object file', { skip: bpfMissing }, async () => {
  if (bpfMissing) return;
  const path = compiled('handles');

  it('gives its maps and programs by name, without the sections', async () => {
    using loaded = await loadObject({ path });
    assert.deepEqual([...loaded.maps.keys()].sort(), ['t_hash', 't_per_cpu', 't_ring']);
    assert.deepEqual([...loaded.programs.keys()].sort(), [
      'allow_connect',
      'another_verdict',
      'emit_records',
      'verdict_of_knob',
      'wake_reader',
    ]);
    assert.equal(loaded.maps.get('t_hash')?.valueSize, 8);
    assert.equal(loaded.programs.get('verdict_of_knob')?.testRun({ data: frame }).verdict, 7);
  });

  it('writes .rodata before the verifier sees it', async () => {
    using loaded = await loadObject({ path, config: [knob(path, 'knob_verdict', -3)] });
    assert.equal(loaded.programs.get('verdict_of_knob')?.testRun({ data: frame }).verdict, -3);
  });

  it('refuses configuration outside its section', async () => {
    const bytes = Buffer.alloc(4);
    await assert.rejects(loadObject({ path, config: [{ section: '.rodata', offset: 6, bytes }] }), RangeError);
    await assert.rejects(loadObject({ path, config: [{ section: '.rodata', offset: 2 ** 32 - 1, bytes }] }), RangeError);
    await assert.rejects(loadObject({ path, config: [{ section: '.nonsense', offset: 0, bytes }] }), kernelError('ENOENT'));
    await assert.rejects(loadObject({ path, config: [{ section: 't_hash', offset: 0, bytes }] }), kernelError('EINVAL'));
  });

  it('loads only the named programs and resizes the named maps', async () => {
    using loaded = await loadObject({ path, programs: ['another_verdict'], maxEntries: { t_hash: 5 } });
    assert.deepEqual([...loaded.programs.keys()], ['another_verdict']);
    assert.equal(loaded.maps.get('t_hash')?.maxEntries, 5);
    await assert.rejects(loadObject({ path, programs: ['nonsense'] }), /No program nonsense .* it has .*another_verdict/);
    await assert.rejects(loadObject({ path, maxEntries: { nonsense: 1 } }), /No map nonsense .* it has .*t_hash/);
  });

  it('carries the words of the verifier in its error', async () => {
    await assert.rejects(loadObject({ path: compiled('rejected') }), (error) => {
      assert.ok(error instanceof VerifierError);
      assert.equal(error.program, 'reads_too_far');
      assert.equal(error.code, 'EACCES');
      assert.match(error.message, /The verifier rejected program reads_too_far \(EACCES\): .*invalid access to packet/);
      assert.match(error.log, /^0: R1=ctx/m);
      assert.match(error.log, /processed \d+ insns/);
      return true;
    });
    using loaded = await loadObject({ path: compiled('rejected'), programs: ['harmless'] });
    assert.equal(loaded.programs.size, 1);
  });

  it('keeps the entries of a pinned map over a second load', async () => {
    using directory = temporaryBpffs();
    const pinDirectory = `${directory.path}/v1/maps`;
    const key = Buffer.alloc(4);
    {
      using first = await loadObject({ path, pinDirectory });
      assert.deepEqual(readdirSync(pinDirectory).sort(), ['t_hash', 't_per_cpu', 't_ring']);
      first.programs.get('verdict_of_knob')?.testRun({ data: frame });
    }
    using second = await loadObject({ path, pinDirectory });
    second.programs.get('verdict_of_knob')?.testRun({ data: frame });
    assert.equal(second.maps.get('t_hash')?.lookup(key)?.readBigUInt64LE(), 2n);
  });

  it('takes a pinned map with the size that it has, under the name that it is told', async () => {
    using directory = temporaryBpffs();
    const load = { path, pinDirectory: directory.path, pinName: (map: string) => `${map}/one` };
    {
      using first = await loadObject({ ...load, maxEntries: { t_hash: 77 } });
      assert.equal(first.maps.get('t_hash')?.maxEntries, 77);
    }
    using second = await loadObject({ ...load, maxEntries: { t_hash: 99 } });
    assert.equal(second.maps.get('t_hash')?.maxEntries, 77);
    assert.deepEqual(readdirSync(`${directory.path}/t_hash`), ['one']);
  });

  it('says which pinned map does not fit, and in what', async () => {
    using directory = temporaryBpffs();
    using other = BpfMap.create({ name: 't_hash', type: MapType.hash, keySize: 4, valueSize: 16, maxEntries: 1024, flags: 0 });
    other.pin(`${directory.path}/t_hash`);
    const pinDirectory = directory.path;
    await assert.rejects(loadObject({ path, pinDirectory, maxEntries: { t_hash: 2048 } }), (error) => {
      assert.ok(error instanceof PinnedMapError);
      assert.equal(error.map, 't_hash');
      assert.match(error.message, /wanted valueSize 8, found 16/);
      return true;
    });
    assert.equal(existsSync(`${pinDirectory}/t_ring`), false);
  });

  it('refuses to pin where there is no bpf filesystem', async () => {
    await assert.rejects(loadObject({ path, pinDirectory: `${path}.pins` }), { code: 'ENOTBPFFS' });
  });

  it('names a file that is missing or no object', async () => {
    await assert.rejects(
      loadObject({ path: '/nonexistent.o' }),
      (error) => kernelError('ENOENT')(error) && String(error).includes('/nonexistent.o'),
    );
    const nonsense = `${path}.nonsense`;
    writeFileSync(nonsense, 'not an ELF file');
    await assert.rejects(loadObject({ path: nonsense }), /bpf_object__open on .*nonsense failed: .*format invalid/);
  });
});
