// SPDX-License-Identifier: Apache-2.0
// A segment that carries frames one way only, or not between all nodes. What is promised (decision 0133): of two nodes of which one hears the
// other one answers; a node that hears nobody announces nothing; one that nobody hears is not waited for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LAN } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { mustRun, run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { faultyCluster, skip } from './cluster.ts';
import { failoversIn, judged, macOf, names } from './failovers.ts';

const faulty = faultyCluster('faultpt');
const VIP = '192.168.0.239';
const failovers = failoversIn(faulty, VIP);
const { asked, inNode, ownerOn, settled, signal, startOn } = failovers;
/** STENTOR_API_GONE_S=600 has the API silent for ten minutes. */
const API_GONE_S = Number(process.env['STENTOR_API_GONE_S'] ?? 20);

const bridge = () => inNetns(faulty().cluster.layout, LAN);

/** Drops what these rules of nft's table "bridge" name on its way through the switch. */
async function dropping(...rules: readonly string[]): Promise<AsyncDisposable> {
  const lines = rules.map((rule) => `${rule} drop;`).join(' ');
  await mustRun([...bridge(), 'nft', '-f', '-'], {
    input: `table bridge partition { chain forward { type filter hook forward priority 0; ${lines} }; }`,
  });
  return { [Symbol.asyncDispose]: async () => void (await mustRun([...bridge(), 'nft', 'delete', 'table', 'bridge', 'partition'])) };
}

const cannot = async () => {
  const ran = await run([...bridge(), 'nft', '-f', '-'], { input: 'table bridge probe { }; delete table bridge probe' });
  return ran.code === 0 ? undefined : `missing capability: nft cannot filter a bridge: ${ran.stderr.trim().split('\n')[0]}`;
};

/** After a split two may answer for so long, as for the sniffer. */
const HEALS_MS = 1000;

const holders = async () => {
  const rows = await Promise.all(names.map((name) => ownerOn(name).catch(() => undefined)));
  return names.filter((_, i) => rows[i]?.held !== undefined);
};

test('three nodes agree', { skip }, async () => {
  await faulty().dismissAgents();
  await Promise.all(names.map(startOn));
  faulty().cluster.store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'checks', name: 'partitions', annotations: { 'lbipam.cilium.io/ips': VIP } },
    spec: { type: 'LoadBalancer', selector: { app: 'echo' }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await settled();
});

for (const [what, rule] of [
  ['hears nobody, and is heard', (owner: string) => `oifname "${owner}"`],
  ['is heard by nobody, and hears', (owner: string) => `iifname "${owner}"`],
] as const)
  test(`another node answers in less than a second when the owner ${what}`, { skip }, async (t) => {
    const missing = await cannot();
    if (missing !== undefined) return t.skip(missing);
    const owner = await settled();
    const stack = new AsyncDisposableStack();
    const found = await asked(async () => stack.use(await dropping(rule(owner))), 3000);
    const { gap, owner: heir } = judged(found);
    t.diagnostic(`${gap.toFixed(0)} ms without an answer`);
    assert.notEqual(heir, macOf(owner));
    assert.ok(gap < 1000, `${gap} ms`);
    const row = await ownerOn(owner);
    assert.equal(row?.held, undefined, `${owner} still claims it: ${row?.why}`);
    const back = await asked(() => stack.disposeAsync(), 2000);
    const settledAnswers = back.answers.filter(({ at }) => at > back.acted + HEALS_MS);
    assert.deepEqual(new Set(settledAnswers.map(({ mac }) => mac)), new Set([heir]), 'who is whole again takes nothing');
    await settled();
  });

test('a node that hears nobody takes nothing over, and does not say that it has what others answer for', { skip }, async (t) => {
  const missing = await cannot();
  if (missing !== undefined) return t.skip(missing);
  const owner = await settled();
  const deaf = names.find((name) => name !== owner) ?? '';
  const stack = new AsyncDisposableStack();
  const { answers } = await asked(async () => stack.use(await dropping(`oifname "${deaf}"`)), 3000);
  assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
  const row = await ownerOn(deaf);
  assert.equal(row?.held, undefined);
  assert.match(row?.why ?? '', /nothing is heard on it/);
  await stack.disposeAsync();
  assert.equal(await settled(), owner);
});

for (const [what, rules] of [
  ['does not hear the owner', (owner: string, other: string) => [`iifname "${owner}" oifname "${other}"`]],
  ['is not heard by the owner', (owner: string, other: string) => [`iifname "${other}" oifname "${owner}"`]],
] as const)
  test(`one node answers, and clients notice nothing, when another ${what}`, { skip }, async (t) => {
    const missing = await cannot();
    if (missing !== undefined) return t.skip(missing);
    const owner = await settled();
    for (const other of names.filter((name) => name !== owner)) {
      const now = await settled();
      const stack = new AsyncDisposableStack();
      const found = await asked(async () => stack.use(await dropping(...rules(now, other === now ? owner : other))), 2500);
      const { gap, exclusive } = judged(found);
      t.diagnostic(`${other}: ${gap.toFixed(0)} ms without an answer, one answers after ${exclusive.toFixed(0)} ms`);
      assert.ok(gap < 1000, `${gap} ms`);
      assert.ok(exclusive < 1000, `two answered for ${exclusive} ms`);
      assert.equal((await holders()).length, 1);
      await stack.disposeAsync();
      await settled();
    }
  });

test(`a node dies while the API is silent for ${API_GONE_S} s: another answers, and nothing moves besides`, { skip }, async (t) => {
  const owner = await settled();
  const { faults } = faulty().cluster;
  faults.silent = true;
  try {
    await delay((API_GONE_S * 1000) / 2); // half of the time
    const { gap, owner: heir } = judged(await asked(() => signal(owner, 'SIGKILL')));
    t.diagnostic(`${gap.toFixed(0)} ms without an answer, after ${API_GONE_S / 2} s without the API`);
    assert.notEqual(heir, macOf(owner));
    assert.ok(gap < 1000, `${gap} ms`);
    const { answers } = await asked(() => Promise.resolve(), (API_GONE_S * 1000) / 2);
    assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([heir]));
    assert.equal(judged({ answers, acted: 0 }).owner, heir);
  } finally {
    faults.silent = false;
  }
  await startOn(owner);
  await until('one owner', 10_000, async () => (await holders()).length === 1);
  assert.notEqual(await settled(), owner);
});

test('an interface that comes up again is not announced on before the others were heard', { skip }, async () => {
  const owner = await settled();
  const other = names.find((name) => name !== owner) ?? '';
  await inNode(other, 'ip link set eth0 down');
  const { answers } = await asked(() => failovers.linkUp(other), 2000);
  assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
});
