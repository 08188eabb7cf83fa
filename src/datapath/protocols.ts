// SPDX-License-Identifier: Apache-2.0
// The protocols that services speak, with their numbers (IANA), as the maps have them.

export const Protocol = { TCP: 6, UDP: 17, SCTP: 132 } as const;
export type Protocol = keyof typeof Protocol;

const names = new Map<number, string>(Object.entries(Protocol).map(([name, number]) => [number, name]));

/** 'TCP'; of any other protocol its number. */
export function protocolText(protocol: number): string {
  return names.get(protocol) ?? String(protocol);
}
