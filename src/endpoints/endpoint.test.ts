// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { table } from '../base/table.ts';
import { endpointEntries, podFiltersFor, podLinksFor } from './attachments.ts';
import { endpointOf } from './endpoint.ts';
import type { EndpointRow } from './endpoint.ts';
import { endpointTables } from './tables.ts';

const row: EndpointRow = {
  hostInterface: 'lxc0123456789ab',
  id: 7,
  interfaceIndex: 0x100007,
  containerId: 'c',
  interfaceName: 'eth0',
  netns: '/run/netns/x',
  netnsCookie: '',
  namespace: 'shop',
  pod: 'cart',
  uid: 'u',
  addresses: [ip('10.244.1.5'), ip('fd00:10:244:1::5')],
  mac: parseMac('02:00:00:00:00:01') ?? assert.fail(),
  mtu: 1500,
};

describe('an endpoint', () => {
  it('is one veth pair, one pair of programs, and an entry for each address', () => {
    assert.deepEqual(
      [...podLinksFor(row)].map(([key, link]) => [key, link.index, link.peer?.addresses.length]),
      [['lxc0123456789ab', 0x100007, 2]],
    );
    assert.deepEqual([...podFiltersFor(row, { from: 11, to: 12 })], [['lxc0123456789ab', { link: 0x100007, from: 11, to: 12 }]]);
    assert.deepEqual(
      [...endpointEntries(row, 300)].map(([key, { value }]) => [key, value.interfaceIndex, value.identity]),
      [
        ['10.244.1.5', 0x100007, 300],
        ['fd00:10:244:1::5', 0x100007, 300],
      ],
    );
  });

  it('has the identity that it is told of, and ends also when nobody has told', () => {
    const identities = table<string, { readonly identity: number }>('endpoint_identities'); // never complete
    const { endpoints, entries, derivations } = endpointTables({ programs: { from: 11, to: 12 }, identities, podMtu: table('pod_mtu') });
    const [writer, told] = [endpoints.writer('test'), identities.writer('test')];
    const numbers = () => {
      for (const derivation of derivations) derivation.run();
      return Array.from(entries.entries(), ([, { value }]) => value.identity);
    };
    writer.put(row.hostInterface, row);
    writer.complete();
    assert.deepEqual([numbers(), entries.complete], [[0, 0], true]);
    told.put(row.hostInterface, { identity: 300 });
    assert.deepEqual(numbers(), [300, 300]);
    writer.delete(row.hostInterface);
    assert.deepEqual([numbers(), entries.complete], [[], true]);
  });

  const mtus: readonly [what: string, known: Partial<EndpointRow>, podMtu: number | undefined, mtu: number | undefined][] = [
    ['as the node says', {}, 1400, 1400],
    ['as it is while the node does not say', {}, undefined, undefined],
    ['no less than IPv6 needs', {}, 1200, 1280],
    ['less without IPv6', { addresses: [ip('10.244.1.5')] }, 1200, 1200],
    ['as it is where its namespace is not known', { netns: '' }, 1400, undefined],
  ];
  for (const [what, known, podMtu, mtu] of mtus)
    it(`has an MTU ${what}`, () =>
      assert.deepEqual(
        Array.from(podLinksFor({ ...row, ...known }, podMtu), ([, link]) => link.mtu),
        [mtu],
      ));

  it('follows the MTU of its node, and is there without one', () => {
    const podMtu = table<'now', { readonly mtu: number }>('pod_mtu'); // never complete
    const { endpoints, podLinks, derivations } = endpointTables({
      programs: { from: 11, to: 12 },
      identities: table('endpoint_identities'),
      podMtu,
    });
    const [writer, told] = [endpoints.writer('test'), podMtu.writer('test')];
    const sizes = () => {
      for (const derivation of derivations) derivation.run();
      return Array.from(podLinks.entries(), ([, { mtu }]) => mtu);
    };
    writer.put(row.hostInterface, row);
    writer.complete();
    assert.deepEqual([sizes(), podLinks.complete], [[undefined], true]);
    told.put('now', { mtu: 1400 });
    assert.deepEqual(sizes(), [1400]);
    told.put('now', { mtu: 1500 });
    assert.deepEqual(sizes(), [1500]);
    told.delete('now');
    assert.deepEqual(sizes(), [undefined]);
  });

  it('survives being written to disk and read', () => assert.deepEqual(endpointOf(JSON.parse(JSON.stringify(row))), row));

  const damaged: readonly { name: string; value: unknown; says: RegExp }[] = [
    { name: 'no object', value: 7, says: /no object/ },
    { name: 'a missing field', value: { ...row, netns: undefined }, says: /netns is undefined, wanted text/ },
    { name: 'a wrong number', value: { ...row, id: '7' }, says: /id is "7", wanted a whole number/ },
    { name: 'a wrong address', value: { ...row, addresses: ['10.244.1.500'] }, says: /addresses is .*500/ },
    { name: 'a wrong MAC', value: { ...row, mac: 'x' }, says: /mac is "x"/ },
  ];
  for (const { name, value, says } of damaged)
    it(`a file with ${name} is refused with the reason`, () =>
      assert.match(JSON.stringify(endpointOf(value)).replaceAll('\\"', '"'), says));
});
