// SPDX-License-Identifier: Apache-2.0
// Which clients an address answers of its own accord, as rows of lb_addresses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LbAddressFlag } from '../datapath/schema.gen.ts';
import type { Service } from '../kube/types.ts';
import { cluster } from './testdata/cluster.ts';

const VIP = '192.0.2.217';
const { inside, outside, deny } = LbAddressFlag;

type Asked = { readonly ranges?: readonly string[]; readonly policy?: 'deny'; readonly ports?: readonly number[] };

/** One of those that share the VIP. */
function sharing(name: string, port: number, { ranges, policy, ports = [port] }: Asked): Service {
  return {
    metadata: { namespace: 'shop', name, ...(policy && { annotations: { 'service.cilium.io/src-ranges-policy': policy } }) },
    spec: {
      type: 'LoadBalancer',
      clusterIPs: [`10.96.4.${port}`],
      ports: ports.map((one) => ({ name: `p${one}`, port: one })),
      ...(ranges && { loadBalancerSourceRanges: [...ranges] }),
    },
    status: { loadBalancer: { ingress: [{ ip: VIP }] } },
  };
}

async function addressOf(...asked: readonly Asked[]) {
  const found = cluster();
  for (const [i, one] of asked.entries()) found.put(sharing(`s${i}`, i + 1, one));
  await found.synced();
  const entry = () => found.lbAddresses.get(VIP)?.value;
  const idOf = (port: number) => found.lbServices.get(`${VIP}:${port}/TCP`)?.value.outside ?? 0;
  return { found, entry, idOf };
}

const home = { ranges: ['192.168.0.0/16'] };
const office = { ranges: ['203.0.113.0/24', '198.51.100.0/24'] };

describe('an address answers of its own accord', () => {
  it('everybody, where a Service there has no source ranges', async () => {
    const { entry } = await addressOf(home, {});
    assert.deepEqual(entry(), { flags: inside | outside, guards: [0, 0, 0] });
  });

  it('whom the Service lets in, once for all of its ports', async () => {
    const { entry, idOf } = await addressOf({ ...home, ports: [1, 8, 9] });
    assert.deepEqual(entry(), { flags: inside | outside, guards: [Math.min(idOf(1), idOf(8), idOf(9)), 0, 0] });
  });

  it('whom one of those who share it lets in', async () => {
    const { entry, idOf } = await addressOf(home, { ...office, policy: 'deny' }, { ranges: office.ranges.toReversed(), policy: 'deny' });
    assert.deepEqual(entry(), { flags: inside | outside | (deny << 1), guards: [idOf(1), idOf(2), 0] });
  });

  it('everybody, where there are more lists than there is room for', async () => {
    const { entry } = await addressOf(...['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '10.4.0.0/16'].map((one) => ({ ranges: [one] })));
    assert.deepEqual(entry()?.guards, [0, 0, 0]);
  });

  it('others when the ranges change, and everybody when they are gone', async () => {
    const { found, entry, idOf } = await addressOf(home);
    assert.deepEqual(entry()?.guards, [idOf(1), 0, 0]);
    found.put(sharing('s0', 1, { ...office, policy: 'deny' }));
    await found.settled();
    assert.deepEqual(entry(), { flags: inside | outside | deny, guards: [idOf(1), 0, 0] });
    found.put(sharing('s0', 1, {}));
    await found.settled();
    assert.deepEqual(entry()?.guards, [0, 0, 0]);
    found.forget(sharing('s0', 1, {}));
    await found.settled();
    assert.equal(entry(), undefined);
  });
});
