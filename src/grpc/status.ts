// SPDX-License-Identifier: Apache-2.0
// How a call ends: a status of gRPC with words, which stand percent-encoded in a trailer.

export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
/** Others may come from elsewhere. */
export type Status = number;

const names: ReadonlyMap<number, string> = new Map(Object.entries(Status).map(([name, number]) => [number, name]));
export const statusName = (status: Status): string => names.get(status) ?? `status ${status}`;

/** What a call ends with that does not end well; what a handler throws is told to the client word for word. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly status: Status;
  constructor(status: Status, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Printable ASCII but for '%' stands for itself, everything else is bytes of UTF-8. */
export function encodeWords(words: string): string {
  let encoded = '';
  for (const byte of Buffer.from(words))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return encoded;
}

export const decodeWords = (encoded: string): string =>
  Buffer.from(
    encoded.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');

const units: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

/** Milliseconds of a `grpc-timeout` ('250m'); undefined: it is none. */
export function timeoutOf(header: string): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  return digits === undefined ? undefined : Number(digits) * (units[unit ?? ''] ?? 1);
}
