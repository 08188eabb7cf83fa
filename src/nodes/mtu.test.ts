// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mtuProblems, podMtu, podMtuEntry } from './mtu.ts';

const uplink = (name: string, mtu: number) => ({ name, mtu });

describe('the MTU of pods', () => {
  const cases: readonly [
    what: string,
    uplinks: readonly ReturnType<typeof uplink>[],
    configured: number | undefined,
    mtu: number,
    reason: string,
  ][] = [
    ['one uplink', [uplink('eth0', 1500)], undefined, 1500, 'the least of the uplinks: eth0 1500'],
    ['two', [uplink('wlan0', 1492), uplink('eth0', 9000)], undefined, 1492, 'the least of the uplinks: eth0 9000, wlan0 1492'],
    ['none', [], undefined, 1500, 'there is no uplink to take it from'],
    ['one beyond what a veth takes', [uplink('eth0', 65_536)], undefined, 65_520, 'the least of the uplinks: eth0 65536'],
    ['one, and the values say another', [uplink('eth0', 9000)], 1450, 1450, 'MTU in the values'],
  ];
  for (const [what, uplinks, configured, mtu, reason] of cases)
    it(`${what}: ${mtu} (${reason})`, () => assert.deepEqual(podMtu(uplinks, configured), { mtu, reason }));

  it('is nothing new for pods when the last uplink goes, unless the values say one', () => {
    assert.deepEqual([...podMtuEntry([], undefined)], []);
    assert.deepEqual([...podMtuEntry([], 1450)], [['now', { mtu: 1450, reason: 'MTU in the values' }]]);
    assert.deepEqual(
      [...podMtuEntry([uplink('eth0', 1400)], undefined)],
      [['now', { mtu: 1400, reason: 'the least of the uplinks: eth0 1400' }]],
    );
  });

  it('below 1280 it is a Problem where pods have IPv6, and only there', () => {
    const small = podMtu([uplink('eth0', 1500), uplink('tun-lan', 1279)], undefined);
    assert.deepEqual(
      mtuProblems(small, { node: 'node1', ipv6: true }).map(({ object, reason, message }) => [object, reason, message]),
      [
        [
          'Node node1',
          'MtuTooSmall',
          'pods get an MTU of 1279 (the least of the uplinks: eth0 1500, tun-lan 1279), and IPv6 wants at least 1280: pods with IPv6 get that, and what they send in full size is lost',
        ],
      ],
    );
    assert.deepEqual(mtuProblems(small, { node: 'node1', ipv6: false }), []);
    assert.deepEqual(mtuProblems({ mtu: 1280, reason: '' }, { node: 'node1', ipv6: true }), []);
  });
});
