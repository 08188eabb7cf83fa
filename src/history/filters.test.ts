// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedOfRun } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import type { Flow } from '../flows/flow.ts';
import { flowPredicate } from '../hubble/filter.ts';
import type { FlowFilter } from '../hubble/filter-message.ts';
import { wantedOf } from './filters.ts';
import { directoryOf, entriesOf, flowsFrom, opened, START, told } from './testdata/stores.ts';
import { uuidsOf } from './uuid.ts';

const uuids = uuidsOf('default/node1');

/** Few values, so that filters match: of each field one that may be absent, and zero. */
function someFlow(random: Random, index: number): Flow {
  const one = <T>(values: readonly [T, ...T[]]) => random.pick(values);
  const endpoint = () =>
    one([
      undefined,
      {
        namespace: one(['shop', 'default', undefined]),
        podName: one(['a-1', 'ab-2', undefined]),
        identity: one([0, 5, 2]),
        workloads: [{ name: one(['w', '']), kind: 'Deployment' }],
        labels: [`k8s:app=${one(['x', 'y'])}`],
        clusterName: 'default',
      },
    ]);
  const ports = {
    ...(random.chance(0.7) && { sourcePort: one([0, 80, 40_000]) }),
    ...(random.chance(0.7) && { destinationPort: one([0, 80, 443, 50_000]) }),
  };
  return {
    time: BigInt(START + index * 1000) * 1_000_000n,
    uuid: uuids.of(START * 1000 + index),
    verdict: one([1, 2, 5]),
    type: 1,
    nodeName: one(['default/node1', 'other/node2']),
    summary: '',
    ip: one([
      undefined,
      {
        source: one(['10.0.0.1', '10.0.0.2', 'fd00::1']),
        destination: '10.0.1.1',
        ipVersion: one([0, 1, 2]),
        encrypted: one([true, false]),
      },
    ]),
    l4: one([undefined, { kind: 'TCP', flags: one([0, 2, 18]), ...ports }, { kind: 'UDP', ...ports }, { kind: 'ICMPv4', type: 8 }]),
    source: endpoint(),
    destination: endpoint(),
    sourceNames: one([undefined, ['a.example.com']]),
    dropReasonDesc: one([undefined, 0, 133]),
    isReply: one([undefined, true, false]),
    eventType: one([undefined, { type: 4, subType: 0 }, { type: 1, subType: 133 }]),
    interface: one([undefined, { index: 2, name: 'eth0' }]),
    l7: one([
      undefined,
      undefined,
      { type: 1, record: { kind: 'dns', query: 'a.example.com.' } },
      { type: 2, record: { kind: 'http', code: one([0, 200, 404]) } },
    ]),
  };
}

const values: { readonly [Key in keyof FlowFilter]: FlowFilter[Key] } = {
  sourceIp: ['10.0.0.1', 'fd00:0::1', '10.0.0.0/24'],
  sourcePod: ['shop/', 'shop/a-', 'ab', '/a', '/'],
  destinationPod: ['shop/ab-2', 'default/'],
  sourceIdentity: [0, 5],
  destinationIdentity: [2, 0],
  sourceWorkload: [{ name: 'w' }, { kind: 'Deployment' }, {}],
  destinationLabel: ['app=x', 'app in (y)'],
  sourceFqdn: ['*.example.com'],
  verdict: [1, 2],
  dropReasonDesc: [0, 133],
  sourcePort: ['0', '80', '40000'],
  destinationPort: ['443', '50000', '0'],
  protocol: ['tcp', 'icmp', 'dns', 'HTTP', 'udp'],
  tcpFlags: [2],
  reply: [true, false],
  eventType: [{ type: 4 }, { type: 1, matchSubType: true, subType: 133 }],
  interface: [{ name: 'eth0' }],
  nodeName: ['node1', 'other/*'],
  httpStatusCode: ['200', '4+'],
  dnsQuery: ['example'],
  ipVersion: [0, 1],
  encrypted: [true, false],
};

function someFilter(random: Random): FlowFilter {
  const keys = Object.keys(values) as [keyof FlowFilter, ...(keyof FlowFilter)[]]; // as: there are some
  const picked = Array.from({ length: 1 + random.below(3) }, () => random.pick(keys));
  const some = picked.map((key) => [key, ((values[key] ?? []) as readonly unknown[]).filter(() => random.chance(0.5))]); // as: each is a list
  const { eventType, ...rest }: FlowFilter = Object.fromEntries(some);
  return eventType && !rest.dnsQuery && !rest.httpStatusCode ? { ...rest, eventType } : rest; // the two do not go together
}

describe('a filter told as conditions', () => {
  it('finds in the store what the filter alone finds in all flows', async (t) => {
    const seed = seedOfRun();
    const random = randomFrom(seed);
    const flows = Array.from({ length: 400 }, (_, i) => someFlow(random, i));
    const { store } = await opened(await directoryOf(t), { rowsPerBlock: 16 });
    for (const flow of flows) {
      store.append([flow]);
      if (store.blocks.length > 3) await store.flush();
    }
    let found = 0;
    for (let run = 0; run < 120; run++) {
      const filters = {
        whitelist: Array.from({ length: random.below(3) }, () => someFilter(random)),
        blacklist: random.chance(0.2) ? [someFilter(random)] : [],
      };
      const matches = flowPredicate(filters);
      const wanted = flows.flatMap((flow, i) => (matches(flow) ? [i] : []));
      const got = told(await entriesOf(store, { wanted: wantedOf(filters) }));
      assert.deepEqual(got, wanted, `SEED=${seed} run ${run}: ${JSON.stringify(filters)}`);
      found += got.length;
    }
    assert.ok(found > 100, `${found} found`);
    await store.close();
  });

  it('keeps blocks unread that cannot have such a flow', async (t) => {
    const { store } = await opened(await directoryOf(t));
    store.append(flowsFrom(0, 300));
    await store.flush();
    const rare = wantedOf({ whitelist: [{ destinationPod: ['shop/rare'] }] });
    assert.deepEqual(told(await entriesOf(store, { wanted: rare })), [42, 142, 242]);
    const nowhere = wantedOf({ whitelist: [{ destinationPod: ['elsewhere/'] }] });
    let asked = 0;
    const counted = {
      ...nowhere,
      alternatives: nowhere.alternatives.map((all) => all.map((one) => ('holds' in one ? { ...one, holds: () => ++asked > 0 } : one))),
    };
    const onDisk = { until: store.places.at(-1)?.times[1] };
    assert.deepEqual([await entriesOf({ ...store, blocks: [] }, { wanted: counted, ...onDisk }), asked], [[], 0]);
    const wordless = { ...counted, alternatives: counted.alternatives.map((all) => all.map((one) => ({ ...one, words: undefined }))) };
    await entriesOf({ ...store, blocks: [] }, { wanted: wordless, ...onDisk });
    assert.ok(asked > 0, 'without words each block is asked');
    await store.close();
  });

  it('with a mistake is refused as any', () => {
    assert.throws(() => wantedOf({ whitelist: [{ sourcePort: ['x'] }] }), { message: /source_port/ });
  });
});
