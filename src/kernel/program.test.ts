// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadObject } from './load.ts';
import { BpfMap } from './map.ts';
import { BpfProgram, skbContext, skbOf } from './program.ts';
import { bpfMissing, compiled, kernelError, temporaryBpffs } from './testdata/harness.ts';

async function loadedProgram(name: string): Promise<BpfProgram> {
  using loaded = await loadObject({ path: compiled('handles'), programs: [name] });
  const program = loaded.programs.get(name);
  assert.ok(program);
  return BpfProgram.openById(program.id);
}

describe('a BPF program', { skip: bpfMissing }, () => {
  it('runs on a packet and its context', async () => {
    using program = await loadedProgram('verdict_of_knob');
    const data = Buffer.from(Array.from({ length: 60 }, (_, i) => i));
    const outcome = program.testRun({ data, context: skbContext({ mark: 41, priority: 3, ifindex: 1 }) });
    assert.equal(outcome.verdict, 7);
    assert.deepEqual(outcome.data, data);
    assert.deepEqual(skbOf(outcome.context), { mark: 42, priority: 3, ifindex: 1, ingressIfindex: 0 });
  });

  it('gives a negative verdict as a negative number', async () => {
    using program = await loadedProgram('another_verdict');
    assert.equal(program.testRun({ data: Buffer.alloc(64) }).verdict, -1);
  });

  it('refuses a frame that the kernel refuses', async () => {
    using program = await loadedProgram('another_verdict');
    assert.throws(() => program.testRun({ data: Buffer.alloc(3) }), kernelError('EINVAL'));
    assert.throws(() => program.testRun({ data: Buffer.alloc(64), repeat: -1 }), RangeError);
  });

  it('tells what the kernel knows about it', async () => {
    using program = await loadedProgram('verdict_of_knob');
    const info = program.info();
    assert.equal(info.name, 'verdict_of_knob');
    assert.equal(info.type, 3);
    assert.match(info.tag, /^[0-9a-f]{16}$/);
    assert.ok(info.verifiedInstructions > 5);
    assert.ok(info.translatedBytes > 0);
  });

  it('is found again by its pin, which is not a map', async () => {
    using directory = temporaryBpffs();
    using program = await loadedProgram('another_verdict');
    const path = `${directory.path}/program`;
    program.pin(path);
    using again = BpfProgram.openPinned(path);
    assert.equal(again.id, program.id);
    assert.throws(() => BpfMap.openPinned(path), /^TypeError: Wanted a pinned map at .*, found anon_inode:bpf-prog/);
  });
});
