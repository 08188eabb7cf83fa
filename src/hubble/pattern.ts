// SPDX-License-Identifier: Apache-2.0
// Regular expressions of clients, in the syntax of RE2, asked whether they match anywhere in a text. The time is bounded by the
// length of the pattern times that of the text, whatever the pattern is: JavaScript's own can take for ever, and the agent with them.
//
//   pattern ─ parse() ─▶ Node ─ emit() ─▶ instructions ─ step by step, all alternatives at once ─▶ yes or no

import { parsePattern } from './pattern-syntax.ts';
import type { Range, Syntax } from './pattern-syntax.ts';

type Instruction =
  | { readonly kind: 'char'; readonly ranges: readonly Range[]; readonly negated: boolean }
  | { readonly kind: 'assert'; readonly at: 'start' | 'end' | 'lineStart' | 'lineEnd' | 'word' | 'noWord' }
  | { readonly kind: 'split'; readonly to: readonly number[] }
  | { readonly kind: 'match' };

export type Pattern = (text: string) => boolean;

/** What a pattern may cost: repetitions are written out. */
const MOST_INSTRUCTIONS = 5000;

/** Throws SyntaxError, which says what is wrong. */
export function pattern(source: string): Pattern {
  if (/^[\w /:@,;=&%#<>"'!~`-]*$/.test(source)) return (text) => text.includes(source);
  const program: Instruction[] = [];
  emit(parsePattern(source), program);
  program.push({ kind: 'match' });
  return (text) => matches(program, text);
}

function push(program: Instruction[], instruction: Instruction): number {
  if (program.length >= MOST_INSTRUCTIONS) throw new SyntaxError('the pattern is too large');
  return program.push(instruction) - 1;
}

function emit(node: Syntax, program: Instruction[]): void {
  switch (node.kind) {
    case 'empty':
      return;
    case 'char':
    case 'assert':
      push(program, node);
      return;
    case 'sequence':
      for (const part of node.parts) emit(part, program);
      return;
    case 'choice':
      return emitChoice(node.parts, program);
    case 'repeat':
      return emitRepeat(node, program);
  }
}

function emitChoice(parts: readonly Syntax[], program: Instruction[]): void {
  const starts: number[] = [];
  const split = push(program, { kind: 'split', to: starts });
  const ends: number[][] = [];
  for (const part of parts) {
    starts.push(program.length);
    emit(part, program);
    const to: number[] = [];
    push(program, { kind: 'split', to });
    ends.push(to);
  }
  for (const to of ends) to.push(program.length);
  program[split] = { kind: 'split', to: starts };
}

function emitRepeat({ of, least, most }: Extract<Syntax, { kind: 'repeat' }>, program: Instruction[]): void {
  for (let times = 0; times < least; times++) emit(of, program);
  if (most === undefined) {
    const to: number[] = [];
    const loop = push(program, { kind: 'split', to });
    to.push(program.length);
    emit(of, program);
    push(program, { kind: 'split', to: [loop] });
    to.push(program.length);
    return;
  }
  const skips: number[][] = [];
  for (let times = least; times < most; times++) {
    const to: number[] = [];
    push(program, { kind: 'split', to });
    to.push(program.length);
    skips.push(to);
    emit(of, program);
  }
  for (const to of skips) to.push(program.length);
}

const isWord = (code: number | undefined): boolean =>
  code !== undefined && ((code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122));

function holds(at: Extract<Instruction, { kind: 'assert' }>['at'], before: number | undefined, after: number | undefined): boolean {
  switch (at) {
    case 'start':
      return before === undefined;
    case 'end':
      return after === undefined;
    case 'lineStart':
      return before === undefined || before === 10;
    case 'lineEnd':
      return after === undefined || after === 10;
    case 'word':
      return isWord(before) !== isWord(after);
    case 'noWord':
      return isWord(before) === isWord(after);
  }
}

/** All places in the program at which the text so far can be, moved on by one character at a time. */
function matches(program: readonly Instruction[], text: string): boolean {
  const codes = Array.from(text, (char) => char.codePointAt(0) ?? 0);
  let here: number[] = [];
  for (let index = 0; index <= codes.length; index++) {
    const [before, code] = [codes[index - 1], codes[index]];
    const seen = new Set<number>();
    const next: number[] = [];
    const waiting = [...here, 0]; // 0: a match may begin anywhere
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const instruction = program[at];
      if (instruction === undefined) continue;
      if (instruction.kind === 'match') return true;
      if (instruction.kind === 'split') waiting.push(...instruction.to);
      else if (instruction.kind === 'assert') {
        if (holds(instruction.at, before, code)) waiting.push(at + 1);
      } else if (code !== undefined && isIn(instruction, code)) next.push(at + 1);
    }
    here = next;
  }
  return false;
}

function isIn({ ranges, negated }: { readonly ranges: readonly Range[]; readonly negated: boolean }, code: number): boolean {
  for (const [first, last] of ranges) if (code >= first && code <= last) return !negated;
  return negated;
}
