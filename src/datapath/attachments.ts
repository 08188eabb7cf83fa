// SPDX-License-Identifier: Apache-2.0
// The node's own programs, on uplinks and on the cgroup of all processes of the node, as a Target. Each is a link pinned under the row's key: it
// outlives the agent, and an upgrade is an update of the link (compare and swap), never a detach and attach.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EntryErrors } from '../base/ledger.ts';
import type { AsyncTarget } from '../base/reconcile-async.ts';
import { isKernelError } from '../kernel/errors.ts';
import { attachCgroup, attachTcx, attachXdp, BpfLink } from '../kernel/link.ts';
import type { AttachType, XdpMode } from '../kernel/link.ts';
import type { BpfProgram } from '../kernel/program.ts';

export type { XdpMode };

export type Attachment =
  /** `index`: the interface. */
  | { readonly kind: 'tcx'; readonly index: number; readonly direction: 'ingress' | 'egress'; readonly program: number }
  /** `optional`: a driver that does not run such programs is no failure. */
  | { readonly kind: 'xdp'; readonly index: number; readonly mode: XdpMode; readonly optional: boolean; readonly program: number }
  | { readonly kind: 'cgroup'; readonly path: string; readonly type: AttachType; readonly program: number }
  /** What a pin turned out to be; never wanted. A link that was detached stays so. */
  | { readonly kind: 'found'; readonly index: number | undefined; readonly attached: boolean; readonly program: number };

export function sameAttachment(a: Attachment, b: Attachment): boolean {
  if (a.program !== b.program) return false;
  if ([a, b].some((one) => one.kind === 'found' && !one.attached)) return false;
  const [x, y] = [a, b].map((one) => (one.kind === 'cgroup' ? undefined : one.index));
  return x === y;
}

async function attach(attachment: Attachment, programOf: (id: number) => BpfProgram): Promise<BpfLink> {
  if (attachment.kind === 'found') throw new TypeError('Cannot attach what was only found');
  const program = programOf(attachment.program);
  if (attachment.kind === 'tcx') return attachTcx(program, attachment.index, { direction: attachment.direction });
  if (attachment.kind === 'xdp') return attachXdp(program, attachment.index, attachment.mode);
  return attachCgroup(program, attachment.path, attachment.type);
}

/** `directory` is on a bpf filesystem; `programs` are those that rows may name; `before` is called before one of them runs. */
export function attachmentTarget(
  directory: string,
  programs: readonly BpfProgram[],
  before: () => void = () => {},
): AsyncTarget<string, Attachment> {
  const programOf = (id: number) => {
    const program = programs.find((candidate) => candidate.id === id);
    if (!program) throw new RangeError(`Cannot attach program ${id}: it is not loaded by this agent`);
    return program;
  };
  const put = async (key: string, attachment: Attachment) => {
    const path = join(directory, key);
    using pinned = open(path);
    const found = pinned && attachmentOf(pinned);
    if (pinned && found && sameAttachment(found, { ...attachment, program: found.program })) {
      pinned.update(programOf(attachment.program));
      return;
    }
    rmSync(path, { force: true });
    using link = await attach(attachment, programOf).catch((error: unknown) => {
      if (attachment.kind === 'xdp' && attachment.optional && isKernelError(error, 'EOPNOTSUPP')) return undefined;
      throw error;
    });
    link?.pin(path);
  };
  return {
    name: 'attachments',
    async list() {
      mkdirSync(directory, { recursive: true });
      return readdirSync(directory).flatMap((key) => {
        using link = open(join(directory, key));
        return link ? [[key, attachmentOf(link)] as const] : [];
      });
    },
    async put(entries) {
      const failures = new Map<string, unknown>();
      before();
      for (const [key, attachment] of entries) await put(key, attachment).catch((error: unknown) => failures.set(key, error));
      if (failures.size > 0) throw new EntryErrors(failures);
    },
    async remove(entries) {
      for (const [key] of entries) rmSync(join(directory, key), { force: true });
    },
  };
}

function open(path: string): BpfLink | undefined {
  try {
    return BpfLink.openPinned(path);
  } catch (error) {
    if (isKernelError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function attachmentOf(link: BpfLink): Attachment {
  const info = link.info();
  return { kind: 'found', index: info.ifindex, attached: link.attached, program: info.programId };
}
