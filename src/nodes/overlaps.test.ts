// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr } from '../base/ip.ts';
import { overlapProblem, overlapsOf } from './overlaps.ts';

/** By node its podCIDRs, and by node what it is told. */
const cases: readonly [what: string, nodes: Readonly<Record<string, readonly string[]>>, told: Readonly<Record<string, string>>][] = [
  ['neighbours', { a: ['10.244.1.0/24', 'fd00:1::/64'], b: ['10.244.2.0/24', 'fd00:1:0:1::/64'], c: ['10.244.0.0/24'] }, {}],
  ['the same', { a: ['10.244.1.0/24'], b: ['10.244.1.0/24'] }, { a: '10.244.1.0/24 b 10.244.1.0/24', b: '10.244.1.0/24 a 10.244.1.0/24' }],
  [
    'one in another, with a neighbour in between',
    { a: ['10.244.2.128/25'], b: ['10.244.0.0/16'], c: ['10.245.0.0/24'], d: ['10.244.1.0/24'] },
    { a: '10.244.2.128/25 b 10.244.0.0/16', b: '10.244.0.0/16 d 10.244.1.0/24', d: '10.244.1.0/24 b 10.244.0.0/16' },
  ],
  [
    'one family of two',
    { a: ['10.244.1.0/24', 'fd00:1::/64'], b: ['10.244.2.0/24', 'fd00:1::/64'] },
    { a: 'fd00:1::/64 b fd00:1::/64', b: 'fd00:1::/64 a fd00:1::/64' },
  ],
  ['families that look alike', { a: ['0.0.0.0/0'], b: ['::/0'] }, {}],
  ["a node's own", { a: ['10.244.0.0/16', '10.244.1.0/24'] }, {}],
  [
    'three of the same',
    { a: ['10.244.1.0/24'], b: ['10.244.1.0/24'], c: ['10.244.1.0/24'] },
    { a: '10.244.1.0/24 b 10.244.1.0/24', b: '10.244.1.0/24 a 10.244.1.0/24', c: '10.244.1.0/24 b 10.244.1.0/24' },
  ],
];

const text = (prefix: { readonly ip: string; readonly bits: number }) => `${prefix.ip}/${prefix.bits}`;

describe('podCIDRs of several nodes', () => {
  for (const [what, nodes, told] of cases)
    it(`${what}: ${Object.keys(told).join(', ') || 'nobody'} is told`, () => {
      const rows = Object.entries(nodes).map(([name, prefixes]) => ({ name, addresses: [], podCidrs: prefixes.map((one) => cidr(one)) }));
      const found = overlapsOf(rows).map(({ node, prefix, other }) => [node, `${text(prefix)} ${other.node} ${text(other.prefix)}`]);
      assert.deepEqual(Object.fromEntries(found), told);
    });

  it('what is told names both prefixes', () => {
    const row = { node: 'a', prefix: cidr('10.244.1.0/24'), other: { node: 'b', prefix: cidr('10.244.0.0/16') } };
    const { object, reason, message } = overlapProblem(row);
    assert.deepEqual([object, reason], ['Node a', 'PodCidrOverlaps']);
    assert.match(message, /^spec\.podCIDRs has 10\.244\.1\.0\/24, which overlaps 10\.244\.0\.0\/16 of Node b: /);
    assert.match(
      overlapProblem({ ...row, other: { node: 'b', prefix: row.prefix } }).message,
      /has 10\.244\.1\.0\/24, and so has Node b: /,
    );
  });

  it('ten thousand nodes take less than a second', () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => ({
      name: `node${i}`,
      addresses: [],
      podCidrs: [cidr(`10.${i >> 8}.${i & 255}.0/24`)],
    }));
    const started = performance.now();
    assert.deepEqual(overlapsOf(rows), []);
    assert.ok(performance.now() - started < 1000);
  });
});
