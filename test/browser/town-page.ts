// SPDX-License-Identifier: Apache-2.0
// The page as users get it, over a town of flows (src/hubble-ui/testdata): for tests and measurements of the page, and to look at it by hand:
//
//   node test/browser/town-page.ts [PORT] [large]

import { join } from 'node:path';
import { logTo } from '../../src/base/log.ts';
import { assetsIn } from '../../src/hubble-ui/assets.ts';
import { openGuard } from '../../src/hubble-ui/guard.ts';
import { servePage } from '../../src/hubble-ui/server.ts';
import type { PageServer } from '../../src/hubble-ui/server.ts';
import { largeTown, smallTown } from '../../src/hubble-ui/testdata/town.ts';
import type { TownOptions } from '../../src/hubble-ui/testdata/town.ts';
import { townSource } from '../../src/hubble-ui/testdata/town-source.ts';
import type { Vips, VipView } from '../../src/page/api.ts';

const root = join(import.meta.dirname, '../..');

export async function townPage(options: TownOptions, port = 0): Promise<PageServer> {
  return servePage({
    host: '127.0.0.1',
    port,
    version: '0.1.0',
    cluster: 'default',
    source: townSource(options),
    guard: openGuard,
    assets: await assetsIn(join(root, 'build/ui')),
    vips: () => Promise.resolve(vips()),
    losses: () => [{ node: 'default/node2', source: 'ring buffer', lost: 12, last: Date.now() - 3_600_000 }],
    log: logTo((line) => process.stderr.write(line)),
  });
}

function vips(): Vips {
  const vip = (i: number, rest: Partial<VipView>): VipView => ({
    ip: `192.168.0.22${i}`,
    services: [`networking/gateway-${i}`],
    policies: ['lan'],
    owner: `node${1 + (i % 3)}`,
    interfaces: ['eth0'],
    macs: [`02:42:c0:a8:00:1${i}`],
    since: Date.now() - i * 7_400_000 - 60_000,
    why: 'it has the highest score of the nodes that can',
    reachable: [{ from: `node${1 + ((i + 1) % 3)}`, found: i !== 2 }],
    candidates: [1, 2, 3].map((n) => ({ node: `node${n}`, level: n === 3 ? 1 : 2, ...(n === 3 && { why: 'is cordoned' }) })),
    ...rest,
  });
  const nobody = vip(4, {
    owner: undefined,
    since: undefined,
    interfaces: [],
    macs: [],
    reachable: [],
    why: 'no node that the policy selects is ready',
  });
  return {
    vips: [
      vip(0, {}),
      vip(1, { from: 'node3', why: 'node3 was cordoned' }),
      vip(2, {}),
      vip(3, { services: ['home/assistant', 'home/mqtt'] }),
      nobody,
    ],
  };
}

if (import.meta.main) {
  const server = await townPage(process.argv[3] === 'large' ? largeTown : smallTown, Number(process.argv[2] ?? 0));
  console.log(`http://127.0.0.1:${server.port}/`);
}
