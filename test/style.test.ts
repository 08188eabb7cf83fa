// SPDX-License-Identifier: Apache-2.0
// The conventions that the linter has no rule for. Each finding is a line that can be clicked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Visitor } from 'oxc-parser';
import type { Node, VisitorObject } from 'oxc-parser';
import { sourceOf, typescriptFiles } from './sources.ts';
import type { Source } from './sources.ts';

type Note = (node: Node, what: string) => void;
type Rule = (source: Source, note: Note) => VisitorObject;

/** A comment on the line where a node begins or ends is its reason. */
function hasReason({ comments, lineAt }: Source, { start, end }: Node): boolean {
  const lines = new Set([lineAt(start), lineAt(end)]);
  return comments.some((comment) => lines.has(lineAt(comment.start)) || lines.has(lineAt(comment.end)));
}

function findings(source: Source, rule: Rule): readonly string[] {
  const found: string[] = [];
  new Visitor(rule(source, (node, what) => found.push(`${source.path}:${source.lineAt(node.start)} ${what}`))).visit(source.program);
  return found;
}

const isConst = (node: Node): boolean =>
  node.type === 'TSTypeReference' && node.typeName.type === 'Identifier' && node.typeName.name === 'const';

/** 13. `any`, `as` and `!` carry a reason on the same line. */
const reasons: Rule = (source, note) => {
  const wantReason = (node: Node, what: string) =>
    hasReason(source, node) || note(node, `${what} without its reason in a comment on the same line`);
  return {
    TSAnyKeyword: (node) => wantReason(node, 'any'),
    TSNonNullExpression: (node) => wantReason(node, '!'),
    TSAsExpression: (node) => isConst(node.typeAnnotation) || wantReason(node, 'as'),
  };
};

/** 12. Absence is `undefined`. Where the outside wants `null`, the line says so; comparing with what came from there is free. */
const absence: Rule = (source, note) => {
  const compared = new Set<Node>();
  return {
    BinaryExpression: ({ left, right }) => [left, right].forEach((side) => compared.add(side)),
    Literal: (node) =>
      node.raw !== 'null' ||
      compared.has(node) ||
      hasReason(source, node) ||
      note(node, 'null without its reason in a comment on the same line'),
  };
};

/** 37. Waiting is polling a condition with a deadline: in a test a pause stands inside a loop, or says why it is the time itself that matters. */
const pauses: Rule = (source, note) => {
  let loops = 0;
  const isPause = ({ start, end }: Node): boolean =>
    /^(delay|sleep|setTimeout)\(|^new Promise\b.*\bsetTimeout\(/s.test(source.text.slice(start, end));
  const enter = () => void loops++;
  const leave = () => void loops--;
  return {
    WhileStatement: enter,
    'WhileStatement:exit': leave,
    DoWhileStatement: enter,
    'DoWhileStatement:exit': leave,
    ForStatement: enter,
    'ForStatement:exit': leave,
    ForOfStatement: enter,
    'ForOfStatement:exit': leave,
    AwaitExpression: (node) =>
      loops > 0 || !isPause(node.argument) || hasReason(source, node) || note(node, 'waits for a time, wanted a condition with a deadline'),
  };
};

const isTest = (path: string): boolean => path.endsWith('.test.ts');
const findingsIn = (rule: Rule, isLooked: (path: string) => boolean): readonly string[] =>
  typescriptFiles()
    .filter(isLooked)
    .flatMap((path) => findings(sourceOf(path), rule));

test('any, as and ! carry a reason on the same line', () => {
  assert.deepEqual(
    findingsIn(reasons, (path) => !isTest(path)),
    [],
  );
});

test('null carries a reason on the same line', () => {
  assert.deepEqual(
    findingsIn(absence, (path) => !isTest(path)),
    [],
  );
});

test('no test sleeps', () => {
  assert.deepEqual(findingsIn(pauses, isTest), []);
});

test('a file opens with what is true of it', () => {
  const silent = typescriptFiles().filter((path) => !isTest(path) && !/^(#!.*\n)?\/\/ SPDX.*\n(\/\/ \S|\/\*\*)/.test(sourceOf(path).text));
  assert.deepEqual(silent, []);
});

const broken: readonly (readonly [rule: Rule, code: string, findings: number])[] = [
  [reasons, 'export const a = b as C;', 1],
  [reasons, 'export const a = b as C; // as: it is one', 0],
  [reasons, 'export const a = [1] as const;', 0],
  [reasons, 'export const a = b!.c;', 1],
  [reasons, 'export const a = (b: any) => b;', 1],
  [reasons, "export const a = '!' + ' as C'; // any", 0],
  [absence, 'export const a = null;', 1],
  [absence, 'export const a = b === null || null !== c;', 0],
  [absence, 'export const a = { status: null }; // null: JSON deletes so', 0],
  [pauses, 'await delay(50);', 1],
  [pauses, 'await new Promise((resolve) => setTimeout(resolve, 50));', 1],
  [pauses, 'await delay(50); // traffic for a while', 0],
  [pauses, 'while (!done()) await delay(5);', 0],
];

for (const [rule, code, count] of broken)
  test(`the rules find ${count} in: ${code}`, () => {
    assert.equal(findings(sourceOf('a.ts', code), rule).length, count);
  });
