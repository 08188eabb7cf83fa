// SPDX-License-Identifier: Apache-2.0
// What this node still answers for when its agent starts: the one before it left a lease and last words, and the others wait for so
// long. Without a lease somebody else has taken over, and nothing of before counts.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf } from '../base/errors.ts';
import { leaseLasts } from '../datapath/lease.ts';
import { l2AnswerCodec, l2KeyCodec } from '../datapath/schema.gen.ts';
import type { Datapath } from '../datapath/programs.ts';
import type { Claim } from '../l2/members.ts';
import { helloIn } from './hello.ts';
import type { Hello } from './hello.ts';

export type L2Before = {
  readonly claims: readonly Claim[];
  readonly words: LastWords | undefined;
};

/** What the agent said last of this node, and whom it knew: uids of Node objects by name. */
export type LastWords = { readonly hello: Hello; readonly known: ReadonlyMap<string, string> };

/** For so long the kernel answers without an agent that was asked to end, and the others wait. */
export const HOLD_MS = 3000;

export function l2Before(datapath: Datapath, state: string): L2Before {
  const answers = datapath.map('l2_answers');
  if (!leaseLasts(datapath.map('l2_lease'))) {
    for (const [key] of Array.from(answers.entries())) answers.delete(key); // before a new lease makes them good again
    return { claims: [], words: undefined };
  }
  const byIp = new Map<string, Claim>();
  for (const [key, value] of answers.entries()) {
    const { address } = l2KeyCodec.decode(key);
    byIp.set(address, { ip: address, epoch: l2AnswerCodec.decode(value).epoch, level: 2 });
  }
  return { claims: [...byIp.values()], words: wordsAt(pathIn(state)) };
}

/** Name of the file in which they are, beside the endpoints' directory. */
export const LAST_WORDS = 'l2-last-words.json';

function pathIn(state: string): string {
  return join(dirname(state), LAST_WORDS);
}

function wordsAt(path: string): LastWords | undefined {
  try {
    const read: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof read !== 'object' || read === null || !('hello' in read) || !('known' in read)) return undefined;
    const hello = helloIn(read.hello);
    return hello && { hello, known: new Map(Object.entries(read.known ?? {}).map(([name, uid]) => [name, String(uid)])) };
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    rmSync(path, { force: true }); // they count once
  }
}

export function leaveWords(state: string, { hello, known }: LastWords): void {
  const path = pathIn(state);
  writeFileSync(`${path}.new`, JSON.stringify({ hello, known: Object.fromEntries(known) }));
  renameSync(`${path}.new`, path);
}
