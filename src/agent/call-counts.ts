// SPDX-License-Identifier: Apache-2.0
// CNI calls, by verb and result.

export type CallCount = {
  readonly verb: string;
  /** 0: it was done. */ readonly code: number;
  readonly count: number;
  readonly seconds: number;
};

export type CallCounts = {
  add(verb: string, code: number, seconds: number): void;
  rows(): readonly CallCount[];
};

export function callCounts(): CallCounts {
  const rows = new Map<string, CallCount>();
  return {
    add(verb, code, seconds) {
      const key = `${verb} ${code}`;
      const { count, seconds: before } = rows.get(key) ?? { count: 0, seconds: 0 };
      rows.set(key, { verb, code, count: count + 1, seconds: before + seconds });
    },
    rows: () => [...rows.values()],
  };
}
