// SPDX-License-Identifier: Apache-2.0
// What goes wrong between us and the Kubernetes API: said once, with what was attempted and where.

import { messageOf, StentorError } from '../base/errors.ts';

/** Reasons that are ours; all others are those of the API's Status objects ('NotFound', 'Conflict', 'Expired', …). */
export const KubeReason = {
  /** No connection, or one that broke before the whole answer was there. */
  unreachable: 'Unreachable',
  timeout: 'Timeout',
  aborted: 'Aborted',
  /** An answer that is not what Kubernetes says. */
  invalidAnswer: 'InvalidAnswer',
} as const;

export type KubeErrorOptions = {
  /** 'list', 'watch', 'get', 'create', 'patch', 'put', 'delete'. */
  readonly verb: string;
  readonly path: string;
  readonly server: string;
  readonly reason: string;
  /** What the other side said, or what was wanted. */
  readonly detail?: string;
  /** HTTP status; absent when there was no answer. */
  readonly status?: number;
  /** When the server asks to wait before trying again. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
};

export class KubeError extends StentorError {
  readonly status: number | undefined;
  /** Also the `code`. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  constructor(options: KubeErrorOptions) {
    const { verb, path, server, reason, detail, status, retryAfterMs, cause } = options;
    const said = [status, reason].filter((part) => part !== undefined).join(' ');
    super(
      reason,
      `Cannot ${verb} ${path} at ${server}: ${said}${detail === undefined ? '' : `: ${detail}`}`,
      cause === undefined ? {} : { cause },
    );
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether the history that a watch or a continued list asks for is gone from the server. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof KubeError && error.status === status;
}

/** What a Status object of the API says: reason and message; undefined for anything else. */
export function statusOf(body: unknown): { readonly reason: string; readonly message: string; readonly code: number } | undefined {
  if (typeof body !== 'object' || body === null || !('kind' in body) || body.kind !== 'Status') return undefined;
  const text = (name: string) => (name in body ? String(Object.getOwnPropertyDescriptor(body, name)?.value) : '');
  return { reason: text('reason'), message: text('message'), code: Number(text('code')) };
}

/** Any failure of a call, as a KubeError. */
export function asKubeError(thrown: unknown, call: Pick<KubeErrorOptions, 'verb' | 'path' | 'server'>): KubeError {
  if (thrown instanceof KubeError) return thrown;
  const aborted = thrown instanceof Error && thrown.name === 'AbortError';
  const code = thrown instanceof Error && 'code' in thrown ? `${String(thrown.code)} ` : '';
  return new KubeError({
    ...call,
    reason: aborted ? KubeReason.aborted : KubeReason.unreachable,
    ...(!aborted && { detail: code + messageOf(thrown) }),
    cause: thrown,
  });
}
