// SPDX-License-Identifier: Apache-2.0
// What a failed system call looks like in TypeScript. The addon makes these itself (see addon.ts), so `stack` points at the caller.

import { StentorError } from '../base/errors.ts';

/** What the kernel said. `code` is the symbolic name ('ENOENT'), `errno` the positive number. */
export type KernelFailure = {
  readonly code: string;
  readonly errno: number;
  /** The call that failed, e.g. 'bpf(BPF_MAP_UPDATE_ELEM)', 'setns', 'netlink'. */
  readonly syscall: string;
  /** Batches only: how many entries, from the start, took effect before the failure. */
  readonly done?: number;
  /** Program loads only: everything that libbpf and the verifier printed. */
  readonly log?: string;
  readonly cause?: unknown;
};

/** A system call that failed. Misuse of a handle is a TypeError (wrong kind), RangeError (short buffer) or HandleClosedError instead. */
export class KernelError extends StentorError {
  readonly errno: number;
  readonly syscall: string;
  readonly done: number | undefined;
  readonly log: string | undefined;

  constructor(message: string, failure: KernelFailure) {
    super(failure.code, message, failure.cause === undefined ? {} : { cause: failure.cause });
    this.errno = failure.errno;
    this.syscall = failure.syscall;
    this.done = failure.done;
    this.log = failure.log;
  }
}

/** A handle was used after it was closed. Always a mistake of the caller; the kernel was not asked. */
export class HandleClosedError extends StentorError {
  constructor(message: string) {
    super('ERR_HANDLE_CLOSED', message);
  }
}

/** True for a KernelError with this code, e.g. `isKernelError(error, 'EEXIST')`. */
export function isKernelError(error: unknown, code: string): error is KernelError {
  return error instanceof KernelError && error.code === code;
}
