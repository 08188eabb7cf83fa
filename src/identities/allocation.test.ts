// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { table } from '../base/table.ts';
import { agreedOn, wantedIdentities } from './allocation.ts';
import { identityRows } from './facts.ts';
import type { IdentityRow } from './facts.ts';
import { labelsIn } from './labels.ts';
import type { Labels } from './labels.ts';
import { agreedIdentity, identity, proposal, rangeOf } from './numbers.ts';
import type { Range } from './numbers.ts';

const labels = (app: string): Labels => labelsIn({ 'k8s:app': app }) ?? assert.fail();
const RANGE: Range = [256, 265];

function identities(rows: readonly (Partial<IdentityRow> & { readonly id: IdentityRow['id'] })[]) {
  const out = table<string, IdentityRow>('cilium_identities', { indexes: { labels: (row) => [row.labels] } });
  const writer = out.writer('test');
  for (const row of rows) writer.put(`${row.id}`, { labels: labels('cart'), created: '2026-01-01T00:00:00Z', retired: false, ...row });
  return out;
}

describe('numbers', () => {
  it('a cluster without id gives 256 to 65535, cluster n those with n in bits 16 to 23', () => {
    assert.deepEqual([0, 1, 255].map(rangeOf), [
      [256, 65_535],
      [65_536, 131_071],
      [0xff_0000, 0xff_ffff],
    ]);
  });

  for (const [name, wanted] of [
    ['256', 256],
    ['16777215', 0xff_ffff],
    ['255', undefined],
    ['16777216', undefined],
    ['0256', undefined],
    ['x', undefined],
  ] as const)
    it(`a CiliumIdentity called ${name} is ${wanted ?? 'none'}`, () => assert.equal(agreedIdentity(name), wanted));

  it('equal labels are proposed one number, whoever asks', () =>
    assert.equal(
      proposal(labels('cart'), RANGE, () => false),
      proposal(labels('cart'), RANGE, () => false),
    ));

  it('a taken number leads to the next, up to the last that is free', () => {
    const taken = new Set<number>();
    for (let i = 0; i < 10; i++) taken.add(proposal(labels('cart'), RANGE, (id) => taken.has(id)) ?? assert.fail());
    assert.equal(taken.size, 10);
    assert.equal(
      proposal(labels('cart'), RANGE, (id) => taken.has(id)),
      undefined,
    );
  });

  it('1,000 label sets that differ in one digit hardly ever meet', () => {
    const found = new Set(Array.from({ length: 1000 }, (_, i) => proposal(labels(`a${i}`), rangeOf(0), () => false)));
    assert.ok(found.size > 980, `${found.size}`);
  });
});

describe('what the cluster has agreed on', () => {
  const cases: readonly { readonly name: string; readonly rows: Parameters<typeof identities>[0]; readonly wanted: number | undefined }[] =
    [
      { name: 'nothing', rows: [], wanted: undefined },
      {
        name: 'of two numbers for one label set, the older',
        rows: [{ id: identity(256), created: '2026-01-02T00:00:00Z' }, { id: identity(260) }],
        wanted: 260,
      },
      { name: 'of two of the same second, the lesser', rows: [{ id: identity(261) }, { id: identity(260) }], wanted: 260 },
      { name: 'not the number of other labels', rows: [{ id: identity(260), labels: labels('other') }], wanted: undefined },
      {
        name: 'not one that is retired',
        rows: [
          { id: identity(260), retired: true },
          { id: identity(261), created: '2026-01-02T00:00:00Z' },
        ],
        wanted: 261,
      },
      { name: 'not one of another cluster', rows: [{ id: identity(300) }], wanted: undefined },
    ];
  for (const { name, rows, wanted } of cases) it(name, () => assert.equal(agreedOn(labels('cart'), identities(rows), RANGE), wanted));
});

describe('what is asked for', () => {
  const asked = (sets: readonly Labels[], rows: Parameters<typeof identities>[0] = []) => [
    ...wantedIdentities(sets, identities(rows), RANGE),
  ];

  it('one number for each label set, none twice, none that is taken', () => {
    const sets = Array.from({ length: 9 }, (_, i) => labels(`a${i}`));
    const found = asked(sets, [{ id: identity(258) }]).flatMap((one) => ('kind' in one ? [] : [one[1].id]));
    assert.equal(new Set(found).size, 9);
    assert.ok(!found.includes(identity(258)));
  });

  it('nothing for what is agreed on', () => assert.deepEqual(asked([labels('cart')], [{ id: identity(258) }]), []));

  it('another number where the own is retired', () =>
    assert.equal(asked([labels('cart')], [{ id: identity(258), retired: true }]).length, 1));

  it('no number left is a Problem', () => {
    const found = asked(Array.from({ length: 11 }, (_, i) => labels(`a${i}`)));
    assert.deepEqual(
      found.flatMap((one) => ('kind' in one ? [one.reason] : [])),
      ['NoIdentityLeft'],
    );
  });
});

describe('a CiliumIdentity', () => {
  const rows = (name: string, found?: Record<string, string>) => [
    ...identityRows({ metadata: { name }, ...(found && { 'security-labels': found }) }),
  ];
  for (const [name, security] of [
    ['12', { 'k8s:app': 'cart' }],
    ['cart', { 'k8s:app': 'cart' }],
    ['300', undefined],
    ['300', { 'k8s:app': 'a;b' }],
  ] as const)
    it(`called ${name} with ${JSON.stringify(security)} is a Problem`, () =>
      assert.deepEqual(
        rows(name, security).map((row) => 'kind' in row && row.reason),
        ['UnreadableIdentity'],
      ));
});
