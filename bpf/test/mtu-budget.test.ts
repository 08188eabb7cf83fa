// SPDX-License-Identifier: Apache-2.0
// The budget that the status prints is the one that the data plane keeps, to the byte.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellingBytes } from '../../src/nodes/mtu-budget.ts';
import { families, vipOf } from './cluster.ts';
import { link, loadNode } from './loaded.ts';
import { dsrCases, fromWire, udp } from './traffic.ts';

const MTU = 1500; // of eth0

for (const dispatch of ['opt', 'geneve'] as const)
  test(
    `a datagram that fits the budget of ${dispatch} is answered directly, one byte more is not`,
    { skip: namespaceMissing },
    async () => {
      using node = await loadNode({ dsrGeneve: Number(dispatch === 'geneve') }, 'dsr');
      for (const { family, world } of dsrCases.filter(({ protocol }) => protocol === 'UDP')) {
        const room = MTU - tellingBytes(dispatch, family, new Set(families)) - (family === 4 ? 28 : 48);
        const isDirect = (sourcePort: number, bytes: number) => {
          const body = udp(sourcePort, 53, { payload: 'x'.repeat(bytes) });
          const request = fromWire({ source: world, destination: vipOf('away', family) }, body);
          node.run('host_from', request, { ifindex: link.uplink });
          const [row] = node.conntrack().filter(({ key }) => key.source === world && key.sourcePort === sourcePort);
          return row?.value.source === world;
        };
        assert.deepEqual([isDirect(40_001, room), isDirect(40_002, room + 1)], [true, false], `IPv${family}`);
      }
    },
  );
