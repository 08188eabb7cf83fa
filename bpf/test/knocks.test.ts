// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { ip } from '../../src/base/ip.ts';
import { configDefaults, l2KnockCodec, l2KnockKeyCodec } from '../../src/datapath/schema.gen.ts';
import { native } from '../../src/kernel/addon.ts';
import { at, families } from './cluster.ts';
import { link, loadNode } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { fromWire, tcp, udp } from './traffic.ts';

const VIP = { 4: '192.168.0.220', 6: 'fd00:0:0:1::220' } as const;
const FROM = configDefaults.knockPort;

describe('what comes back when this node has knocked at a service address of another', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  const keyOf = (family: 4 | 6) => l2KnockKeyCodec.encode({ address: ip(VIP[family]), port: 80 });
  const answered = (family: 4 | 6) =>
    l2KnockCodec.decode(node.datapath.map('l2_knocks').lookup(keyOf(family)) ?? assert.fail('no entry')).answered;
  const hear = (family: 4 | 6, body: Parameters<typeof fromWire>[1], source: string = VIP[family]) =>
    node.run('host_from', fromWire({ source, destination: at[family].node }, body), { ifindex: link.uplink }).verdict;
  before(async () => {
    node = await loadNode();
  });
  beforeEach(() => {
    for (const family of families) node.datapath.map('l2_knocks').update(keyOf(family), l2KnockCodec.encode({ answered: 0 }));
  });
  after(() => node[Symbol.dispose]());

  for (const family of families)
    for (const flags of ['SA', 'RA', 'A'])
      it(`is noted, and no stray to the stack: ${flags} over IPv${family}`, () => {
        const since = Number(native().monotonicNs());
        assert.equal(hear(family, tcp(80, FROM, flags)), 'drop');
        assert.ok(answered(family) >= since);
        assert.deepEqual([node.conntrack(), node.events()], [[], []]);
      });

  for (const [what, body, source] of [
    ['from another port', tcp(81, FROM, 'SA'), VIP[4]],
    ['to another port', tcp(80, FROM + 1, 'SA'), VIP[4]],
    ['from another address', tcp(80, FROM, 'SA'), '192.168.0.221'],
    ['that is not TCP', udp(80, FROM), VIP[4]],
  ] as const)
    it(`is the stack's, and answers nothing, ${what}`, () => {
      assert.equal(hear(4, body, source), 'stack');
      assert.equal(answered(4), 0);
    });
});
