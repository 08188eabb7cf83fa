// SPDX-License-Identifier: Apache-2.0
// One thing that the doctor looked at.

import { messageOf } from '../base/errors.ts';

export type Finding = {
  readonly name: string;
  readonly ok: boolean;
  /** Nothing works without it. */
  readonly necessary: boolean;
  /** What is there, or what is wrong. */
  readonly found: string;
  /** What it is for. */
  readonly gives: string;
};

export type Look = Pick<Finding, 'name' | 'necessary' | 'gives'>;

/** Present when `probe` returns, with what it returns; missing with the words of what it throws. */
export async function tried(look: Look, probe: () => string | Promise<string>): Promise<Finding> {
  try {
    return { ...look, ok: true, found: await probe() };
  } catch (error) {
    return { ...look, ok: false, found: messageOf(error).replaceAll(/\s*\n\s*/g, '; ') };
  }
}
