// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { attachCgroup, attachedPrograms, attachTcx, AttachType, BpfLink, LinkChangedError } from './link.ts';
import { loadObject } from './load.ts';
import type { LoadedObject } from './load.ts';
import type { BpfProgram } from './program.ts';
import {
  bpfMissing,
  cgroupMissing,
  compiled,
  kernelError,
  netnsMissing,
  temporaryBpffs,
  temporaryCgroup,
  temporaryNetns,
} from './testdata/harness.ts';

const loopback = 1; // the index of lo in every network namespace

let loaded: LoadedObject;

function programNamed(name: string): BpfProgram {
  const program = loaded.programs.get(name);
  assert.ok(program, `no program ${name}`);
  return program;
}

describe('a link', { skip: bpfMissing }, () => {
  before(async () => {
    loaded = await loadObject({ path: compiled('handles') });
  });
  after(() => loaded[Symbol.dispose]());

  it('attaches a tcx program inside another network namespace', { skip: netnsMissing }, async () => {
    using netns = temporaryNetns();
    const program = programNamed('verdict_of_knob');
    using link = await attachTcx(program, loopback, { direction: 'ingress', netns: netns.path });
    const { id, programId, ifindex, attachType } = link.info();
    assert.deepEqual([programId, ifindex, attachType], [program.id, loopback, AttachType.tcxIngress]);
    assert.deepEqual(attachedPrograms(AttachType.tcxIngress, loopback, netns.path), [{ programId: program.id, linkId: id }]);
    assert.deepEqual(attachedPrograms(AttachType.tcxEgress, loopback, netns.path), []);
    assert.deepEqual(attachedPrograms(AttachType.tcxIngress, loopback), []);
  });

  it('puts a tcx program before another', { skip: netnsMissing }, async () => {
    using netns = temporaryNetns();
    const [one, two] = [programNamed('verdict_of_knob'), programNamed('another_verdict')];
    using first = await attachTcx(one, loopback, { direction: 'egress', netns: netns.path });
    using _second = await attachTcx(two, loopback, {
      direction: 'egress',
      netns: netns.path,
      place: { kind: 'before', linkId: first.info().id },
    });
    const order = attachedPrograms(AttachType.tcxEgress, loopback, netns.path).map(({ programId }) => programId);
    assert.deepEqual(order, [two.id, one.id]);
  });

  it('updates its program only from the expected one', { skip: netnsMissing }, async () => {
    using netns = temporaryNetns();
    const [one, two, three] = [programNamed('verdict_of_knob'), programNamed('another_verdict'), programNamed('emit_records')];
    using link = await attachTcx(one, loopback, { direction: 'ingress', netns: netns.path });
    link.update(two, one);
    assert.equal(link.info().programId, two.id);
    assert.throws(
      () => link.update(three, one),
      (error) => {
        assert.ok(error instanceof LinkChangedError);
        assert.deepEqual([error.wantedProgramId, error.foundProgramId], [one.id, two.id]);
        return true;
      },
    );
    assert.equal(link.info().programId, two.id);
    using current = link.program();
    link.update(three, current);
    link.update(one);
    assert.equal(link.info().programId, one.id);
  });

  it('is found again by its pin, outlives its descriptors and can be detached', { skip: netnsMissing }, async () => {
    using netns = temporaryNetns();
    using directory = temporaryBpffs();
    const path = `${directory.path}/ingress`;
    const program = programNamed('verdict_of_knob');
    {
      using link = await attachTcx(program, loopback, { direction: 'ingress', netns: netns.path });
      link.pin(path);
    }
    assert.equal(attachedPrograms(AttachType.tcxIngress, loopback, netns.path).length, 1);
    using link = BpfLink.openPinned(path);
    using same = BpfLink.openById(link.info().id);
    assert.equal(same.info().programId, program.id);
    assert.equal(same.attached, true);
    await link.detach();
    assert.deepEqual(attachedPrograms(AttachType.tcxIngress, loopback, netns.path), []);
    assert.equal(link.attached, false);
    assert.throws(() => link.update(program), kernelError('ENOLINK'));
  });

  it('attaches to a cgroup', { skip: cgroupMissing }, async () => {
    using cgroup = temporaryCgroup();
    const program = programNamed('allow_connect');
    using link = await attachCgroup(program, cgroup.path, AttachType.cgroupInet4Connect);
    assert.equal(link.info().attachType, AttachType.cgroupInet4Connect);
    assert.ok((link.info().cgroupId ?? 0n) > 0n);
    assert.equal(link.attached, true);
    assert.equal(attachedPrograms(AttachType.cgroupInet4Connect, cgroup.path)[0]?.programId, program.id);
  });

  const refusals = [
    {
      name: 'a device that does not exist',
      attach: () => attachTcx(programNamed('verdict_of_knob'), 2 ** 30, { direction: 'ingress' }),
      code: 'ENODEV',
    },
    {
      name: 'a namespace that does not exist',
      attach: () => attachTcx(programNamed('verdict_of_knob'), loopback, { direction: 'ingress', netns: '/nonexistent' }),
      code: 'ENOENT',
    },
    {
      name: 'a file that is no namespace',
      attach: () => attachTcx(programNamed('verdict_of_knob'), loopback, { direction: 'ingress', netns: '/etc/hostname' }),
      code: 'EINVAL',
    },
    {
      name: 'a cgroup that does not exist',
      attach: () => attachCgroup(programNamed('allow_connect'), '/nonexistent', AttachType.cgroupInet4Connect),
      code: 'ENOENT',
    },
    {
      name: 'a program of another type',
      attach: () => attachTcx(programNamed('allow_connect'), loopback, { direction: 'ingress' }),
      code: 'EINVAL',
    },
  ];
  for (const { name, attach, code } of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(attach(), kernelError(code));
    });
  }
});
