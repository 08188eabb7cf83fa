// SPDX-License-Identifier: Apache-2.0
// A loaded BPF program, and running it on a packet of our choice.

import type { ProgramHandle, ProgramInfo } from './addon.ts';
import { native } from './addon.ts';

/** A run: `data` begins with the Ethernet header; `context` is the program's context struct, e.g. from skbContext(). */
export type TestRun = {
  readonly data?: Uint8Array;
  readonly context?: Uint8Array;
  /** Runs on the same packet without resetting it; for timing programs that do not change it. 1 unless said otherwise. */
  readonly repeat?: number;
};

export type TestRunOutcome = {
  /** What the program returned, signed: TC_ACT_UNSPEC is -1. */
  readonly verdict: number;
  /** The packet afterwards. */
  readonly data: Buffer;
  /** The context afterwards; empty when none was given. */
  readonly context: Buffer;
  /** Average of the repeats. */
  readonly durationNs: number;
};

const growthBytes = 512; // more than any encapsulation adds

/** Owns one descriptor of a program; the program itself lives as long as anybody has one, a pin or a hook. */
export class BpfProgram {
  readonly handle: ProgramHandle;
  readonly id: number;
  /** Of the function, at most 15 bytes. */
  readonly name: string;
  /** enum bpf_prog_type. */
  readonly type: number;

  /** Takes the handle over. */
  constructor(handle: ProgramHandle) {
    const { id, name, type } = native().programInfo(handle);
    this.handle = handle;
    this.id = id;
    this.name = name;
    this.type = type;
  }

  /** Throws KernelError (ENOENT), or TypeError when something else is pinned there. */
  static openPinned(path: string): BpfProgram {
    return new BpfProgram(native().programOpenPinned(path));
  }

  /** Throws KernelError ENOENT when there is no program with this id. */
  static openById(id: number): BpfProgram {
    return new BpfProgram(native().programOpenById(id));
  }

  /** The number for TCA_BPF_FD and program arrays. It is valid while this object is not disposed. */
  get descriptor(): number {
    return native().descriptor(this.handle);
  }

  info(): ProgramInfo {
    return native().programInfo(this.handle);
  }

  /** BPF_PROG_TEST_RUN (net/bpf/test_run.c). Throws KernelError: ENOTSUPP for cgroup hooks, EINVAL for a frame shorter than 14 bytes. */
  testRun({ data = Buffer.alloc(0), context = Buffer.alloc(0), repeat = 1 }: TestRun): TestRunOutcome {
    const dataOut = Buffer.alloc(data.length === 0 ? 0 : data.length + growthBytes);
    const contextOut = Buffer.alloc(context.length);
    const result = native().programTestRun(this.handle, { data, dataOut, context, contextOut, repeat });
    return {
      verdict: result.verdict,
      data: dataOut.subarray(0, result.dataBytes),
      context: contextOut.subarray(0, result.contextBytes),
      durationNs: result.durationNs,
    };
  }

  /** `path` is on a bpf filesystem. Throws KernelError (EEXIST). */
  pin(path: string): void {
    native().pin(this.handle, path);
  }

  [Symbol.dispose](): void {
    native().close(this.handle);
  }
}

/** The members of struct __sk_buff that a test run takes and gives back. */
export type SkbContext = {
  readonly mark?: number;
  readonly priority?: number;
  /** Of an interface in our own network namespace; it must exist. */
  readonly ifindex?: number;
  readonly ingressIfindex?: number;
};

const skbBytes = 192;
const skbOffset = { mark: 8, priority: 32, ingressIfindex: 36, ifindex: 40 } as const;

/** struct __sk_buff for a run of a tc program; host byte order, which is little-endian. */
export function skbContext({ mark = 0, priority = 0, ifindex = 0, ingressIfindex = 0 }: SkbContext): Buffer {
  const skb = Buffer.alloc(skbBytes);
  skb.writeUInt32LE(mark, skbOffset.mark);
  skb.writeUInt32LE(priority, skbOffset.priority);
  skb.writeUInt32LE(ingressIfindex, skbOffset.ingressIfindex);
  skb.writeUInt32LE(ifindex, skbOffset.ifindex);
  return skb;
}

/** The reverse: what the program left in its context. */
export function skbOf(context: Buffer): Required<SkbContext> {
  return {
    mark: context.readUInt32LE(skbOffset.mark),
    priority: context.readUInt32LE(skbOffset.priority),
    ifindex: context.readUInt32LE(skbOffset.ifindex),
    ingressIfindex: context.readUInt32LE(skbOffset.ingressIfindex),
  };
}
