// SPDX-License-Identifier: Apache-2.0
// A program attached to a hook. The hook runs it as long as a descriptor or a pin of the link exists: a pinned link outlives the agent, and an upgrade
// is an update of its program, during which no packet misses it.

import type { AttachedProgram, LinkHandle, LinkInfo } from './addon.ts';
import { native } from './addon.ts';
import { StentorError } from '../base/errors.ts';
import { isKernelError } from './errors.ts';
import { BpfProgram } from './program.ts';

/** enum bpf_attach_type, the hooks that we use. */
export const AttachType = {
  cgroupInet4Connect: 10,
  cgroupInet6Connect: 11,
  cgroupInet4PostBind: 12,
  cgroupInet6PostBind: 13,
  cgroupUdp4Sendmsg: 14,
  cgroupUdp6Sendmsg: 15,
  cgroupUdp4Recvmsg: 19,
  cgroupUdp6Recvmsg: 20,
  cgroupInet4Getpeername: 29,
  cgroupInet6Getpeername: 30,
  cgroupInetSockRelease: 34,
  skLookup: 36,
  xdp: 37,
  tcxIngress: 46,
  tcxEgress: 47,
} as const;
export type AttachType = (typeof AttachType)[keyof typeof AttachType];

const linkFlag = { before: 1 << 3, after: 1 << 4, id: 1 << 5, link: 1 << 13 } as const;

/** Where a tcx program goes among others: at the end unless said otherwise. */
export type TcxPlace = { readonly kind: 'before' | 'after'; readonly linkId: number };

export type TcxOptions = {
  readonly direction: 'ingress' | 'egress';
  /** Path of the network namespace of `ifindex`; our own unless said otherwise. */
  readonly netns?: string;
  readonly place?: TcxPlace;
};

/** Somebody else replaced the program of a link since we looked. */
export class LinkChangedError extends StentorError {
  readonly wantedProgramId: number;
  readonly foundProgramId: number;

  constructor(linkId: number, wantedProgramId: number, foundProgramId: number) {
    super(
      'ELINKCHANGED',
      `Could not replace the program of link ${linkId}: wanted program ${wantedProgramId} attached, found ${foundProgramId}`,
    );
    this.wantedProgramId = wantedProgramId;
    this.foundProgramId = foundProgramId;
  }
}

/** Owns one descriptor of a link. Disposing the last one of an unpinned link detaches, which waits some 10 ms for tcx. */
export class BpfLink {
  readonly handle: LinkHandle;

  /** Takes the handle over. */
  constructor(handle: LinkHandle) {
    this.handle = handle;
  }

  /** Throws KernelError (ENOENT), or TypeError when something else is pinned there. */
  static openPinned(path: string): BpfLink {
    return new BpfLink(native().linkOpenPinned(path));
  }

  /** Throws KernelError ENOENT when there is no link with this id. */
  static openById(id: number): BpfLink {
    return new BpfLink(native().linkOpenById(id));
  }

  info(): LinkInfo {
    return native().linkInfo(this.handle);
  }

  /**
   * From the next packet on the hook runs `program`. With `expected`, only if that is what it runs now: else LinkChangedError. Throws KernelError
   * (ENOLINK: detached, as when its device is gone).
   */
  update(program: BpfProgram, expected?: BpfProgram): void {
    try {
      native().linkUpdate(this.handle, program.handle, expected?.handle);
    } catch (error) {
      if (expected === undefined || !isKernelError(error, 'EPERM')) throw error;
      const { id, programId } = this.info();
      if (programId === expected.id) throw error;
      throw new LinkChangedError(id, expected.id, programId);
    }
  }

  /** The program of the link, attached or not, as a descriptor of its own: what update() expects. */
  program(): BpfProgram {
    return BpfProgram.openById(this.info().programId);
  }

  /** False once somebody detached it or its device or cgroup is gone; it never comes back. */
  get attached(): boolean {
    const { ifindex, cgroupId } = this.info();
    return ifindex !== 0 && cgroupId !== 0n;
  }

  /** `path` is on a bpf filesystem. Throws KernelError (EEXIST). */
  pin(path: string): void {
    native().pin(this.handle, path);
  }

  /** Takes the program off the hook whoever else holds the link; off the main thread. */
  detach(): Promise<void> {
    return native().linkDetach(this.handle);
  }

  [Symbol.dispose](): void {
    native().close(this.handle);
  }
}

/** Attaches off the main thread: it waits for an RCU grace period, 8 to 16 ms. Throws KernelError (ENODEV). */
export async function attachTcx(program: BpfProgram, ifindex: number, { direction, netns, place }: TcxOptions): Promise<BpfLink> {
  const placeFlags = place === undefined ? 0 : linkFlag[place.kind] | linkFlag.id | linkFlag.link;
  const handle = await native().linkCreate({
    program: program.handle,
    attachType: direction === 'ingress' ? AttachType.tcxIngress : AttachType.tcxEgress,
    target: ifindex,
    netns,
    flags: placeFlags,
    relativeId: place?.linkId ?? 0,
  });
  return new BpfLink(handle);
}

/** Attaches to a cgroup2 directory, beside what its parents and others have attached. Throws KernelError (ENOENT; EBADF: not cgroup2). */
export async function attachCgroup(program: BpfProgram, cgroupPath: string, attachType: AttachType): Promise<BpfLink> {
  const handle = await native().linkCreate({
    program: program.handle,
    attachType,
    target: cgroupPath,
    netns: undefined,
    flags: 0,
    relativeId: 0,
  });
  return new BpfLink(handle);
}

/** `native`: in the driver; `generic`: in the stack, for any device. */
export type XdpMode = 'native' | 'generic';
const xdpFlag: Readonly<Record<XdpMode, number>> = { generic: 1 << 1, native: 1 << 2 };

/** Attaches to an interface of our own network namespace. Throws KernelError (EOPNOTSUPP: not this driver; EBUSY: somebody else's is there; ENODEV). */
export async function attachXdp(program: BpfProgram, ifindex: number, mode: XdpMode): Promise<BpfLink> {
  const handle = await native().linkCreate({
    program: program.handle,
    attachType: AttachType.xdp,
    target: ifindex,
    netns: undefined,
    flags: xdpFlag[mode],
    relativeId: 0,
  });
  return new BpfLink(handle);
}

/** The programs at a hook in the order in which they run. `target` is an interface index, in `netns` or our own, or a cgroup directory. */
export function attachedPrograms(attachType: AttachType, target: number | string, netns?: string): readonly AttachedProgram[] {
  return native().programQuery(attachType, target, netns);
}
