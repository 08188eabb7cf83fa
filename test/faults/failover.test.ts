// SPDX-License-Identifier: Apache-2.0
// Addresses move from a node that fails to one that lives, in less than a second and without the Kubernetes API.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LAN } from '../../sandbox/layout.ts';
import { inNetns } from '../../sandbox/network.ts';
import { mustRun, run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { BpfMap } from '../../src/kernel/map.ts';
import { faultyCluster, skip, statusOn } from './cluster.ts';
import { failoversIn, judged, macOf, names } from './failovers.ts';
import type { Fault } from './failovers.ts';

const faulty = faultyCluster('faultsl');
const VIP = '192.168.0.239';
const { agents, faults, asked, cordon, lan, ownerOn, settled, startOn } = failoversIn(faulty, VIP);

test('three nodes agree on who answers for an address', { skip }, async () => {
  const { store } = faulty().cluster;
  await faulty().dismissAgents();
  await Promise.all(names.map(startOn));
  store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'checks', name: 'failover', annotations: { 'lbipam.cilium.io/ips': VIP } },
    spec: { type: 'LoadBalancer', selector: { app: 'echo' }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  assert.ok(names.includes(await settled()));
});

/** One failure and its end; the milliseconds in which nobody answered. */
async function failOver({ cut, act, mend }: Fault): Promise<number> {
  const owner = await settled();
  faulty().cluster.faults.silent = true;
  const asking = await asked(() => act(owner));
  faulty().cluster.faults.silent = false;
  const { answers, acted } = asking;
  const { gap, owner: heir, exclusive } = judged(asking);
  assert.notEqual(heir, macOf(owner));
  assert.ok(gap < 1000, `${gap} ms`);
  const first = answers.find(({ mac, at }) => mac !== macOf(owner) && at > acted)?.at ?? NaN;
  assert.ok(first - acted >= exclusive, `two nodes answered: ${owner} until ${exclusive} ms, another from ${first - acted} ms`);
  const back = await asked(() => mend(owner));
  const { owner: stays, exclusive: together } = judged(back);
  assert.equal(stays, heir, 'who comes back takes nothing');
  assert.ok(together < (cut ? 1000 : 1), `two nodes answered for ${together} ms`);
  assert.notEqual(await settled(), owner);
  return gap;
}

/** STENTOR_FAILOVERS=30 makes each of them so often. */
const ROUNDS = Number(process.env['STENTOR_FAILOVERS'] ?? 1);

for (const fault of faults)
  test(`another node answers in less than a second when ${fault.name}, without the API`, { skip }, async (t) => {
    const gaps: number[] = [];
    for (let round = 0; round < ROUNDS; round++) gaps.push(await failOver(fault));
    gaps.sort((a, b) => a - b);
    const at = (part: number) => (gaps[Math.ceil(part * gaps.length) - 1] ?? NaN).toFixed(0);
    t.diagnostic(`${gaps.length} times: ${at(0.5)} ms without an answer, p95 ${at(0.95)}, at most ${at(1)}`);
  });

test('a third of all heartbeats may get lost: nothing moves, and a failure is noticed as soon', { skip }, async (t) => {
  const bridge = inNetns(faulty().cluster.layout, LAN);
  const rule = 'ether type 0x88b5 numgen random mod 100 < 30 drop';
  const lossy = await run([...bridge, 'nft', '-f', '-'], {
    input: `table bridge loss { chain forward { type filter hook forward priority 0; ${rule}; }; }`,
  });
  if (lossy.code !== 0) return t.skip(`missing capability: nft cannot drop frames of a bridge: ${lossy.stderr.trim().split('\n')[0]}`);
  try {
    const owner = await settled();
    const { answers } = await asked(() => Promise.resolve(), 20_000);
    assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
    const [frozen = assert.fail()] = faults;
    t.diagnostic(`${(await failOver(frozen)).toFixed(0)} ms without an answer`);
  } finally {
    await mustRun([...bridge, 'nft', 'delete', 'table', 'bridge', 'loss']);
  }
});

test('a cordoned node hands over without a moment in which nobody answers', { skip }, async (t) => {
  const owner = await settled();
  const { answers, acted } = await asked(() => Promise.resolve(cordon(owner, true)));
  const { gap, owner: heir, first } = judged({ answers, acted });
  t.diagnostic(`another answered after ${first.toFixed(0)} ms; ${gap.toFixed(0)} ms without an answer`);
  assert.notEqual(heir, macOf(owner));
  assert.ok(gap < 50, `${gap} ms`);
  cordon(owner, false);
  assert.notEqual(await settled(), owner);
});

test('nothing moves when an agent is restarted as planned, and its node answers on', { skip }, async (t) => {
  const owner = await settled();
  const { answers } = await asked(async () => {
    agents.get(owner)?.signal('SIGTERM');
    await agents.get(owner)?.exited;
    await startOn(owner);
  }, 3500);
  const { gap } = judged({ answers, acted: 0 });
  t.diagnostic(`${gap.toFixed(0)} ms without an answer`);
  assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
  assert.ok(gap < 100, `${gap} ms`);
  assert.equal(await settled(), owner);
});

test('nothing moves when the agent is restarted while the API is silent, until it knows the cluster', { skip }, async () => {
  const owner = await settled();
  const { answers } = await asked(async () => {
    agents.get(owner)?.signal('SIGTERM');
    await agents.get(owner)?.exited;
    faulty().cluster.faults.silent = true;
    const node = faulty().node(owner);
    agents.set(owner, faulty().start(node));
    await delay(5000); // longer than the others wait for a restart
  }, 500);
  faulty().cluster.faults.silent = false;
  assert.deepEqual(new Set(answers.map(({ mac }) => mac)), new Set([macOf(owner)]));
  await until(
    'the agent to have asked the API again',
    60_000,
    async () => (await statusOn(faulty().node(owner)).catch(() => undefined))?.agent.ok === true,
  );
  assert.equal(await settled(), owner);
});

test('each side of a split segment has its owner, and a second after it is whole there is one', { skip }, async (t) => {
  await settled();
  for (const name of names) await lan(`${name} type bridge_slave isolated on`);
  await until('both sides to have an owner', 5000, async () => {
    const rows = await Promise.all(names.map((name) => ownerOn(name)));
    return rows.filter((row) => row?.held !== undefined).length > 1;
  });
  const { answers, acted } = await asked(async () => {
    for (const name of names) await lan(`${name} type bridge_slave isolated off`);
  }, 2000);
  const { exclusive } = judged({ answers, acted });
  t.diagnostic(`one owner after ${exclusive.toFixed(0)} ms`);
  assert.ok(exclusive < 1000, `${exclusive} ms`);
  await settled();
});

test('an answer that somebody deletes in the kernel is there again within three seconds', { skip }, async (t) => {
  const owner = await settled();
  const directory = faulty().node(owner).path('/sys/fs/bpf/stentor/maps/l2_answers');
  const [definition = ''] = await readdir(directory);
  using map = BpfMap.openPinned(join(directory, definition));
  const { answers, acted } = await asked(() => {
    const deleted = Array.from(map.entries(), ([key]) => map.delete(key));
    assert.deepEqual(deleted, [true]);
    return Promise.resolve();
  }, 4000);
  const { gap } = judged({ answers, acted });
  t.diagnostic(`${gap.toFixed(0)} ms without an answer`);
  assert.ok(gap < 3000 && answers.at(-1)?.mac !== undefined, `${gap} ms`);
});
