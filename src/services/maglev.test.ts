// SPDX-License-Identifier: Apache-2.0
// What the paper claims of Maglev tables, of ours; and when they change.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LbServiceFlag } from '../datapath/schema.gen.ts';
import type { Service } from '../kube/types.ts';
import { frontendKey } from './frontends.ts';
import { idsIn, maglevSize, maglevTable } from './maglev.ts';
import type { Candidate } from './maglev.ts';
import { cart, cluster, slice, values } from './testdata/cluster.ts';
import { usualOptions } from './testdata/options.ts';

const candidates = (count: number): readonly Candidate[] =>
  Array.from({ length: count }, (_, i) => ({ name: `10.244.${i >> 8}.${i & 255}:8080/TCP`, id: i + 1 }));

const SEED = 7;

/** Entries of each backend. */
function shares(table: Iterable<number>): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const id of table) found.set(id, (found.get(id) ?? 0) + 1);
  return found;
}

/** How much more the fullest backend has than the emptiest, of the mean. */
function imbalance(table: Uint32Array, backends: number): number {
  const counts = [...shares(table).values()];
  assert.equal(counts.length, backends, 'every backend has entries');
  return (Math.max(...counts) - Math.min(...counts)) / (table.length / backends);
}

/** The share of entries that change though their backend is in both. */
function needless(before: Uint32Array, after: Uint32Array): number {
  const stay = new Set(after);
  return before.filter((id, i) => stay.has(id) && after[i] !== id).length / before.length;
}

describe('a Maglev table', () => {
  for (const backends of [2, 3, 7, 10, 11, 40, 100, 163, 655])
    it(`is full, and the shares of ${backends} backends differ by at most 1 %`, () => {
      const size = maglevSize(backends, 131_071);
      assert.ok(size > 100 * backends);
      const uneven = imbalance(maglevTable(candidates(backends), size, SEED), backends);
      assert.ok(uneven <= 0.01, `${uneven}`);
    });

  it('is uneven where it is too small, which the test sees', () => {
    assert.ok(imbalance(maglevTable(candidates(100), 1021, SEED), 100) > 0.01);
  });

  for (const backends of [3, 10, 40, 163])
    it(`loses one of ${backends} backends and moves few entries of the others`, () => {
      const size = maglevSize(backends, 131_071);
      const all = candidates(backends);
      const before = maglevTable(all, size, SEED);
      const moved = all.map((gone) => {
        const after = maglevTable(
          all.filter((one) => one !== gone),
          size,
          SEED,
        );
        assert.ok(!after.includes(gone.id));
        return needless(before, after);
      });
      const mean = moved.reduce((sum, one) => sum + one, 0) / moved.length;
      assert.ok(mean < 0.04, `${mean} of all entries change their backend, which is there still`);
    });

  it('of another seed is another: the test sees what moves', () => {
    const size = maglevSize(10, 131_071);
    assert.ok(needless(maglevTable(candidates(10), size, SEED), maglevTable(candidates(10), size, SEED + 1)) > 0.8);
  });

  it('does not depend on the numbers that a node gives', () => {
    const name = (given: readonly Candidate[]) => {
      const byId = new Map(given.map((one) => [one.id, one.name]));
      return Array.from(maglevTable(given, 1021, SEED), (id) => byId.get(id));
    };
    assert.deepEqual(name(candidates(5)), name(candidates(5).map(({ name }, i) => ({ name, id: 1000 - i }))));
  });

  it('gives entries by weight', () => {
    const weighted = [100, 50, 25, 0].map((weight, i) => ({ name: `b${i}`, id: i + 1, weight }));
    const found = shares(maglevTable(weighted, 1021, SEED));
    for (const [id, share] of [
      [1, 100 / 175],
      [2, 50 / 175],
      [3, 25 / 175],
    ] as const)
      assert.ok(Math.abs((found.get(id) ?? 0) / 1021 - share) < 0.002);
    assert.deepEqual(found.get(4), undefined);
    assert.ok(maglevTable([{ name: 'a', id: 1, weight: 0 }], 1021, SEED).every((id) => id === 0));
  });

  const sizes = [
    [2, 16_381, 1021],
    [10, 16_381, 1021],
    [11, 16_381, 4093],
    [163, 16_381, 16_381],
    [164, 16_381, 16_381],
    [164, 131_071, 65_521],
    [5_000, 131_071, 131_071],
    [2, 251, 251],
    [300, 251, 509],
  ] as const;
  for (const [backends, largest, size] of sizes)
    it(`of ${backends} backends has ${size} entries where ${largest} are allowed`, () => assert.equal(maglevSize(backends, largest), size));
});

const SERVICE: Service = {
  metadata: cart.metadata,
  spec: {
    type: 'LoadBalancer',
    clusterIPs: ['10.96.4.7'],
    ports: [{ name: 'http', port: 80, nodePort: 30_080 }],
    externalIPs: ['192.0.2.9'],
  },
};
const { maglev, maglevFlow } = LbServiceFlag;
const annotated = (annotations: Readonly<Record<string, string>>): Service => ({
  ...SERVICE,
  metadata: { ...SERVICE.metadata, annotations },
});
const ALGORITHM = 'service.cilium.io/lb-algorithm';
const KEY = 'lb.stentor.dev/maglev-key';

async function served(one: Service, algorithm: 'random' | 'maglev', addresses = ['10.244.1.5', '10.244.1.6', '10.244.1.7']) {
  const found = cluster(undefined, { balance: { ...usualOptions.balance, algorithm } });
  found.put(one);
  found.putSlice(slice('a', 'cart', addresses));
  await found.synced();
  const flags = Object.entries(values(found.lbServices)).map(([key, value]) => [key, value.flags & (maglev | maglevFlow)]);
  return { ...found, flags: Object.fromEntries(flags) as Readonly<Record<string, number>> };
}

describe('a Service with Maglev', () => {
  it('has a table for clients that come to its addresses on the wire, and none for its ClusterIP', async () => {
    const { flags, lbMaglev, lbMaglevParts } = await served(SERVICE, 'maglev');
    assert.deepEqual(flags, { '10.96.4.7:80/TCP': 0, '192.0.2.9:80/TCP': maglev, '0.0.0.0:30080/TCP': maglev });
    assert.deepEqual([lbMaglev.size, lbMaglevParts.size], [1, 1]);
    const { lbMaglev: none } = await served(cart, 'maglev');
    assert.equal(none.size, 0);
    const { lbMaglev: alone } = await served(SERVICE, 'maglev', ['10.244.1.5']);
    assert.equal(alone.size, 0, 'one backend needs no table');
  });

  const said: readonly (readonly ['random' | 'maglev', Readonly<Record<string, string>>, number])[] = [
    ['random', {}, 0],
    ['random', { [ALGORITHM]: 'maglev' }, maglev],
    ['random', { [ALGORITHM]: 'maglev', [KEY]: 'flow' }, maglev | maglevFlow],
    ['maglev', { [ALGORITHM]: 'random' }, 0],
    ['maglev', { [KEY]: 'flow' }, maglev | maglevFlow],
    ['random', { [KEY]: 'flow' }, 0],
  ];
  for (const [algorithm, annotations, flag] of said)
    it(`follows its annotations ${JSON.stringify(annotations)} before the value ${algorithm}`, async () =>
      assert.equal((await served(annotated(annotations), algorithm)).flags['192.0.2.9:80/TCP'], flag));

  it('whose annotation cannot be read is as the values say, and a Problem', async () => {
    const { flags, problems } = await served(annotated({ [ALGORITHM]: 'magnetic' }), 'maglev');
    assert.equal(flags['192.0.2.9:80/TCP'], maglev);
    assert.match([...problems.entries()][0]?.[1].message ?? '', /lb-algorithm has magnetic, wanted random or maglev/);
  });

  it('gets a whole new table under a new generation when a backend drains', async () => {
    const found = await served(SERVICE, 'maglev');
    const one = () => [...found.maglev.entries()][0]?.[1];
    const before = one();
    found.putSlice(slice('a', 'cart', ['10.244.1.5', '10.244.1.6']));
    found.putSlice(slice('b', 'cart', ['10.244.1.7'], { ready: false, serving: true, terminating: true }));
    await found.settled();
    const after = one();
    assert.ok(before && after);
    assert.notEqual(before.generation, after.generation);
    const drained = found.backendIds.get(
      frontendKey({ address: found.backends.get('10.244.1.7:8080/TCP')!.address, port: 8080, protocol: 'TCP' }),
    )?.id; // !: it drains
    assert.ok(drained !== undefined && idsIn(before.parts, before.size).includes(drained));
    assert.ok(!idsIn(after.parts, after.size).includes(drained));
    found.putSlice(slice('b', 'cart', ['10.244.1.7']));
    await found.settled();
    assert.deepEqual(one(), before, 'the same backends have the same table');
  });

  it('has with externalTrafficPolicy: Local a table of the backends of this node', async () => {
    const found = cluster(undefined, { balance: { ...usualOptions.balance, algorithm: 'maglev' } });
    found.put({ ...SERVICE, spec: { ...SERVICE.spec, externalTrafficPolicy: 'Local' } });
    const nodes = ['node1', 'node1', 'node2'];
    const endpoints = nodes.map((nodeName, i) => ({ addresses: [`10.244.1.${i + 5}`], nodeName }));
    found.putSlice({ ...slice('a', 'cart', []), endpoints });
    await found.synced();
    const [whole, local] = ['shop/cart/http/TCP/IPv4', 'shop/cart/http/TCP/IPv4/local'].map((key) => found.maglev.get(key));
    assert.ok(whole && local);
    assert.deepEqual([new Set(idsIn(whole.parts, 1021)).size, new Set(idsIn(local.parts, 1021)).size], [3, 2]);
  });
});
