// SPDX-License-Identifier: Apache-2.0
// The functions of build/stentor.node (built from native/) and the handles that they take. Nothing outside src/kernel calls them: the classes beside
// this file own the handles.
//
// A handle is opaque and carries its kind: one of another kind is a TypeError, a closed one a HandleClosedError, a buffer shorter than the kernel's sizes
// a RangeError, a failed system call a KernelError. None of these reaches the kernel with a bad pointer.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { HandleClosedError, KernelError } from './errors.ts';

declare const handleKind: unique symbol;
type Handle<Kind extends string> = { readonly [handleKind]: Kind };

/** An open BPF ELF file (libbpf's bpf_object), loaded or not. */
export type ObjectHandle = Handle<'object'>;
export type MapHandle = Handle<'map'>;
export type ProgramHandle = Handle<'program'>;
export type LinkHandle = Handle<'link'>;
/** The memory of a ring buffer map, mapped. */
export type RingHandle = Handle<'ring'>;
/** A netlink or a packet socket. */
export type SocketHandle = Handle<'socket'>;
/** A descriptor watched by the event loop. */
export type PollHandle = Handle<'poll'>;
/** The thread that sends heartbeats and notices whose are missing. */
export type BeatHandle = Handle<'beat'>;
export type AnyHandle = ObjectHandle | MapHandle | ProgramHandle | LinkHandle | RingHandle | SocketHandle | PollHandle | BeatHandle;

/** A map as its object file declares it. `internal` maps are the sections .rodata, .data, .bss and .kconfig. */
export type MapDeclaration = {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly internal: boolean;
};

/** A program as its object file declares it; `type` is enum bpf_prog_type. */
export type ProgramDeclaration = { readonly name: string; readonly section: string; readonly type: number };

/** struct bpf_map_info, and from fdinfo the memory that the map takes now, in bytes. Sizes in bytes, per-CPU values not multiplied. */
export type MapInfo = {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly memoryBytes: number;
  /** Of the types of key and value, see btfRead(); 0: not known. */
  readonly btfId: number;
  readonly btfKeyType: number;
  readonly btfValueType: number;
};

/** struct bpf_prog_info. Run time and count stay 0 unless the sysctl kernel.bpf_stats_enabled is 1. */
export type ProgramInfo = {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** Hash of the instructions, 16 hex digits. */
  readonly tag: string;
  readonly jitedBytes: number;
  readonly translatedBytes: number;
  readonly verifiedInstructions: number;
  readonly runTimeNs: number;
  readonly runCount: number;
};

/** struct bpf_link_info. `ifindex` or `cgroupId` is 0 once the link is detached; `programId` stays. Undefined is what a type of link does not have. */
export type LinkInfo = {
  readonly id: number;
  readonly type: number;
  readonly programId: number;
  readonly attachType: number | undefined;
  readonly ifindex: number | undefined;
  readonly cgroupId: bigint | undefined;
  readonly netnsInode: number | undefined;
};

/** One program at a hook; `linkId` is 0 when it was attached without a link. */
export type AttachedProgram = { readonly programId: number; readonly linkId: number };

/** Arguments of BPF_LINK_CREATE. */
export type LinkRequest = {
  readonly program: ProgramHandle;
  /** enum bpf_attach_type. */
  readonly attachType: number;
  /** An interface index, or the path of what to attach to: a cgroup directory, a network namespace file. */
  readonly target: number | string;
  /** Path of the network namespace in which `target` is an interface index; undefined: our own. */
  readonly netns: string | undefined;
  readonly flags: number;
  /** With BPF_F_BEFORE or BPF_F_AFTER and BPF_F_ID in `flags`: the id of a program, or with BPF_F_LINK of a link. Else 0. */
  readonly relativeId: number;
};

export type TestRunResult = {
  readonly verdict: number;
  readonly durationNs: number;
  readonly dataBytes: number;
  readonly contextBytes: number;
};

export type DrainResult = { readonly bytes: number; readonly records: number; readonly discarded: number };

export type MapCreation = {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
};

export type Addon = {
  /** Classes of which failures are made: called once, below. */
  setErrorClasses(kernelError: typeof KernelError, closedError: typeof HandleClosedError): void;
  /** Name and text of a positive errno; 'E<number>' when it has no name. */
  describeErrno(errno: number): { readonly code: string; readonly text: string };
  /** Closes any handle; a second time is no error. An object that is loading closes when the load ends. */
  close(handle: AnyHandle): void;
  isClosed(handle: AnyHandle): boolean;
  /** Number of the descriptor, for what takes numbers: TCA_BPF_FD, the values of map-in-map and program arrays. It stays owned by the handle. */
  descriptor(handle: MapHandle | ProgramHandle | LinkHandle | SocketHandle): number;
  pin(handle: MapHandle | ProgramHandle | LinkHandle, path: string): void;

  objectOpen(path: string): ObjectHandle;
  objectMaps(object: ObjectHandle): readonly MapDeclaration[];
  objectPrograms(object: ObjectHandle): readonly ProgramDeclaration[];
  /** Before the load: writes `bytes` at `offset` of the section's initial value. */
  objectSetData(object: ObjectHandle, section: string, offset: number, bytes: Uint8Array): void;
  objectSetMaxEntries(object: ObjectHandle, map: string, maxEntries: number): void;
  /** Before the load: the declared map becomes this one instead of a new one. */
  objectReuseMap(object: ObjectHandle, map: string, existing: MapHandle): void;
  objectSetAutoload(object: ObjectHandle, program: string, autoload: boolean): void;
  /** Before the load: enum bpf_prog_type and bpf_attach_type, for sections that libbpf does not know. */
  objectSetProgramType(object: ObjectHandle, program: string, type: number, attachType: number): void;
  /** Loads off the JS thread. The failure's `log` has what the verifier printed. */
  objectLoad(object: ObjectHandle): Promise<void>;
  /** After the load; the handle owns its own descriptor. */
  objectMap(object: ObjectHandle, name: string): MapHandle;
  objectProgram(object: ObjectHandle, name: string): ProgramHandle;

  mapCreate(creation: MapCreation): MapHandle;
  mapOpenPinned(path: string): MapHandle;
  mapOpenById(id: number): MapHandle;
  mapInfo(map: MapHandle): MapInfo;
  /** The types of a loaded BTF object, in the form of a .BTF section. */
  btfRead(id: number): Buffer;
  /** Bytes of one value as user space sees it: per-CPU maps have one per possible CPU, each rounded up to 8. */
  mapValueBytes(map: MapHandle): number;
  /** False when there is no such entry. */
  mapLookup(map: MapHandle, key: Uint8Array, into: Uint8Array): boolean;
  mapUpdate(map: MapHandle, key: Uint8Array, value: Uint8Array, flags: number): void;
  mapDelete(map: MapHandle, key: Uint8Array): boolean;
  /** Lookup and delete as one step. */
  mapTake(map: MapHandle, key: Uint8Array, into: Uint8Array): boolean;
  /** Entries packed one after the other. A failure carries `done`. Map types without a batch operation are written one by one. */
  /** How many were written; with mustNotExist an entry that exists is none of them, and no error. */
  mapUpdateBatch(map: MapHandle, keys: Uint8Array, values: Uint8Array, count: number, flags: number): number;
  /** Returns how many entries existed. A failure carries `done`, which counts missing ones as done. */
  mapDeleteBatch(map: MapHandle, keys: Uint8Array, count: number): number;
  /**
   * Fills `keys` and `values` with the next entries and returns their number; 0 at the end. `cursor` starts as zeros and belongs to the addon; it has
   * 8 + max(4, keySize) bytes. ENOSPC: one hash bucket has more entries than the buffers hold, ask again with larger ones.
   */
  mapRead(map: MapHandle, cursor: Uint8Array, keys: Uint8Array, values: Uint8Array): number;
  mapFreeze(map: MapHandle): void;

  programOpenPinned(path: string): ProgramHandle;
  programOpenById(id: number): ProgramHandle;
  programInfo(program: ProgramHandle): ProgramInfo;
  /** BPF_PROG_TEST_RUN; empty buffers stand for absent ones. */
  programTestRun(
    program: ProgramHandle,
    run: {
      readonly data: Uint8Array;
      readonly dataOut: Uint8Array;
      readonly context: Uint8Array;
      readonly contextOut: Uint8Array;
      readonly repeat: number;
    },
  ): TestRunResult;
  /** BPF_PROG_QUERY. Arguments as in LinkRequest. */
  programQuery(attachType: number, target: number | string, netns: string | undefined): readonly AttachedProgram[];

  /** Off the JS thread: a tcx attach waits for an RCU grace period. */
  linkCreate(request: LinkRequest): Promise<LinkHandle>;
  linkOpenPinned(path: string): LinkHandle;
  linkOpenById(id: number): LinkHandle;
  linkInfo(link: LinkHandle): LinkInfo;
  /** With `expected`, compare and swap: EPERM when another program is attached. */
  linkUpdate(link: LinkHandle, program: ProgramHandle, expected: ProgramHandle | undefined): void;
  linkDetach(link: LinkHandle): Promise<void>;

  ringOpen(map: MapHandle): RingHandle;
  ringDrain(ring: RingHandle, into: Uint8Array): DrainResult;
  ringUsedBytes(ring: RingHandle): number;

  socketOpen(protocol: number, groups: readonly number[], receiveBufferBytes: number, netns: string | undefined): SocketHandle;
  socketSend(socket: SocketHandle, message: Uint8Array): void;
  /** Bytes of the next datagram from the kernel, 0 when there is none now. ENOBUFS: the kernel dropped messages. */
  socketReceive(socket: SocketHandle, into: Uint8Array): number;
  /** Waits on the JS thread until readable; false when the time is over. */
  socketWait(socket: SocketHandle, timeoutMs: number): boolean;
  socketNetnsCookie(socket: SocketHandle): bigint;
  /** Sends one rtnetlink message in our own namespace and reads one datagram, both off the JS thread, by a socket that lives for this only. */
  socketExchange(message: Uint8Array): Promise<Buffer>;

  /** A packet socket for frames of one Ethernet protocol on one interface; protocol 0 hears nothing, IPv6 only neighbour advertisements. */
  packetOpen(interfaceIndex: number, protocol: number): SocketHandle;
  /** Has the interface take frames for a group address while the socket is open. */
  packetJoin(socket: SocketHandle, interfaceIndex: number, group: Uint8Array): void;
  packetSend(socket: SocketHandle, frame: Uint8Array): void;
  /** Bytes of the next frame, 0 when there is none now; what does not fit is cut off. */
  packetReceive(socket: SocketHandle, into: Uint8Array): number;

  /** Begins to extend the lease in `lease` for as long as beatTouch() is called. `patienceMs`: without it. */
  beatStart(lease: MapHandle, beats: MapHandle, node: bigint, times: { readonly leaseMs: number; readonly patienceMs: number }): BeatHandle;
  /** Whom to beat to, and whose beats to look for in `beats`. 32 bytes each, see struct peer in native/beat.c. New ones count as alive until the next look. */
  beatSetPeers(beat: BeatHandle, times: { readonly intervalMs: number; readonly windowMs: number }, peers: Uint8Array): void;
  /** Says that JavaScript lives. */
  beatTouch(beat: BeatHandle): void;
  /** Whether the lease ran out: it is not extended, and nothing is sent, until beatResume(). */
  beatLapsed(beat: BeatHandle): boolean;
  beatResume(beat: BeatHandle): void;
  /** A byte for each peer, in their order: 1 where it lives. Returns how many. */
  beatAlive(beat: BeatHandle, into: Uint8Array): number;
  /** Extends the lease, asks peers to wait that long, and closes the handle. */
  beatHold(beat: BeatHandle, holdMs: number): void;

  /** Calls back on the event loop while the descriptor is readable. A throw in the callback is an uncaught exception. */
  pollStart(handle: SocketHandle | RingHandle | BeatHandle, onReadable: () => void): PollHandle;

  netnsCreate(path: string): void;
  netnsDelete(path: string): void;
  netnsReadFile(netns: string, path: string): string;
  netnsWriteFile(netns: string, path: string, text: string): void;

  /** Nanoseconds of CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). */
  monotonicNs(): bigint;
  /** Nanoseconds of CLOCK_BOOTTIME, the clock of bpf_ktime_get_boot_ns(). */
  boottimeNs(): bigint;
  possibleCpus(): number;
};

const addonPath = fileURLToPath(new URL('../../build/stentor.node', import.meta.url));

let loaded: Addon | undefined;

/**
 * The addon, loaded at the first call: what only needs types or pure functions of this layer runs without it.
 * Throws when it is not built or libbpf.so.1 is missing.
 */
export function native(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(addonPath) as Addon; // as: the one place that vouches for what the C exports
  } catch (cause) {
    throw new Error('Could not load the native addon build/stentor.node: build it with "make -C native" and install libbpf1', { cause });
  }
  addon.setErrorClasses(KernelError, HandleClosedError);
  return addon;
}
