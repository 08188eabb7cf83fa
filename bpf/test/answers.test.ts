// SPDX-License-Identifier: Apache-2.0
// How much service addresses say of their own accord: RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AnswerKind, AnswerTo, DropReason, answerBudgetCodec } from '../../src/datapath/schema.gen.ts';
import type { AnswerBudget } from '../../src/datapath/schema.gen.ts';
import { at, families, vipOf } from './cluster.ts';
import { link, loadNode } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import type { Body, Packet } from './packet.ts';
import { checkPairs, echo, expectDrop, fromPod, fromWire, tcp, udp } from './traffic.ts';

const reason = DropReason.rateLimited;
const BURST = 20;

/** Each has a budget of its own. */
const kinds: readonly { readonly kind: keyof typeof AnswerKind; readonly body: Body; readonly perSecond: number }[] = [
  { kind: 'reset', body: tcp(1234, 81), perSecond: 1000 },
  { kind: 'unreachable', body: udp(1234, 81), perSecond: 100 },
  { kind: 'echo', body: echo(1234), perSecond: 1000 },
];

describe('what a service address answers of its own accord', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode({ answerBurst: BURST });
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
    for (let key = 0; key < 9; key++) put(key, { due: 0, given: 0 });
  });

  const keyOf = (key: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(key);
    return bytes;
  };
  const put = (key: number, budget: AnswerBudget) =>
    node.datapath.map('answer_budgets').update(keyOf(key), answerBudgetCodec.encode(budget));
  const budgetOf = (kind: keyof typeof AnswerKind, to: keyof typeof AnswerTo) => {
    const value = node.datapath.map('answer_budgets').lookup(keyOf(3 * AnswerTo[to] + AnswerKind[kind]));
    assert.ok(value);
    return answerBudgetCodec.decode(value);
  };
  const answers = (request: Packet) => node.run('host_from', request, { ifindex: link.uplink }).verdict === 'redirect';
  /** How many of twice the burst, sent within a few milliseconds. */
  const answered = (request: Packet) => Array.from({ length: 2 * BURST }, () => answers(request)).filter(Boolean).length;

  for (const family of families)
    for (const { kind, body, perSecond } of kinds) {
      const { world, far, podA } = at[family];
      const destination = vipOf('front', family);
      const request = fromWire({ source: world, destination }, body);

      it(`is limited, and what is too much is counted and told: ${kind} over IPv${family}`, () => {
        const dropped = node.drops(reason);
        const started = performance.now();
        const given = answered(request);
        const refilled = Math.ceil(((performance.now() - started + 10) * perSecond) / 1000);
        assert.ok(given >= BURST && given <= BURST + refilled, `${given} answers, a burst is ${BURST} and ${refilled} could be added`);
        assert.equal(node.drops(reason) - dropped, 2 * BURST - given);
        assert.equal(budgetOf(kind, 'wire').given, given);
        put(3 * AnswerTo.wire + AnswerKind[kind], { due: Number.MAX_SAFE_INTEGER, given });
        expectDrop(node, 'host_from', request, { reason });
      });

      it(`begins anew when time has passed: ${kind} over IPv${family}`, () => {
        answered(request);
        const { due, given } = budgetOf(kind, 'wire');
        put(3 * AnswerTo.wire + AnswerKind[kind], { due: due - 1e9, given });
        assert.ok(answers(request));
      });

      it(`has a budget for the cluster that strangers cannot use up: ${kind} over IPv${family}`, () => {
        for (const other of kinds) put(3 * AnswerTo.wire + AnswerKind[other.kind], { due: Number.MAX_SAFE_INTEGER, given: 0 });
        assert.ok(!answers(request));
        assert.ok(answers(fromWire({ source: far, destination }, body)), 'pods and nodes by the wire');
        const own = fromPod('podA', { source: podA, destination }, body);
        assert.equal(node.run('pod_from', own, { ifindex: link.podA }).verdict, 'redirect', 'pods of this node');
      });
    }

  it('is never said to a reset, and a flood of them uses up nothing', () => {
    const request = fromWire({ source: at[4].world, destination: vipOf('front', 4) }, tcp(1234, 81, 'R'));
    assert.equal(answered(request), 0);
    assert.equal(budgetOf('reset', 'wire').given, 0);
  });
});
