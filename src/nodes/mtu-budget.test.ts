// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Family } from '../base/ip.ts';
import { mtuBudget, tellingBytes } from './mtu-budget.ts';
import type { BudgetOptions } from './mtu-budget.ts';

const nodes = new Set<Family>([4, 6]);
const usual: BudgetOptions = { pods: 1450, wire: 1500, mode: 'snat', dispatch: 'opt', nodes };

describe('the MTU budget', () => {
  it('of SNAT is the whole MTU on every way', () =>
    assert.deepEqual(
      mtuBudget(usual).map(({ way, ipv4, ipv6 }) => [way, ipv4, ipv6]),
      [
        ['pods of other nodes', 1450, 1450],
        ['services, from pods', 1450, 1450],
        ['services, from the wire, SNAT', 1500, 1500],
      ],
    ));

  const cases: readonly [options: Partial<BudgetOptions>, way: string, ipv4: number, ipv6: number, told: string][] = [
    [{ mode: 'dsr' }, 'services, from the wire, DSR', 1492, 1476, 'an IP option of 8 bytes (IPv6: 24)'],
    [{ mode: 'hybrid' }, 'services, from the wire, DSR (TCP)', 1492, 1476, 'an IP option of 8 bytes (IPv6: 24)'],
    [{ mode: 'dsr', dispatch: 'geneve' }, 'services, from the wire, DSR', 1438, 1406, 'a Geneve envelope of 62 bytes (IPv6: 94)'],
    [
      { mode: 'dsr', dispatch: 'geneve', nodes: new Set<Family>([4]) },
      'services, from the wire, DSR',
      1438,
      1426,
      'a Geneve envelope of 62 bytes (IPv6: 74)',
    ],
  ];
  for (const [options, way, ipv4, ipv6, told] of cases)
    it(`of ${JSON.stringify({ ...options, nodes: [...(options.nodes ?? nodes)] })}: ${ipv4}, ${ipv6}`, () => {
      const row = mtuBudget({ ...usual, ...options }).at(-1);
      assert.deepEqual([row?.way, row?.ipv4, row?.ipv6], [way, ipv4, ipv6]);
      assert.match(row?.reason ?? '', new RegExp(RegExp.escape(told)));
    });

  it("of nodes whose addresses are not known counts envelopes of the packet's family", () =>
    assert.deepEqual(
      ([4, 6] as const).map((family) => tellingBytes('geneve', family, new Set())),
      [62, 94],
    ));
});
