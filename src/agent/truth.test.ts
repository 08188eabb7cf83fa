// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { table } from '../base/table.ts';
import type { MemberRow, Sight } from '../l2/members.ts';
import type { OwnerRow } from '../l2/owners.ts';
import type { Asker } from './asker.ts';
import type { Knocker } from './knocker.ts';
import { truthOf } from './truth.ts';
import type { TruthOptions } from './truth.ts';

const mac = parseMac('02:00:00:00:00:01') ?? assert.fail();
const theirs = parseMac('02:00:00:00:00:02') ?? assert.fail();
const A = ip('192.168.0.220');

const member = (node: string, sights: readonly Sight[] = []): MemberRow => ({
  node,
  interfaces: [{ name: 'eth0', mac: node === 'node1' ? mac : theirs, prefixes: ['192.168.0.0/24'], fault: undefined }],
  claims: [],
  sights,
  cedes: [],
});

/** node1, which looks, among others; `owner` answers for the address, whose Service has TCP port 80 and a ready endpoint. */
function looking(owner: string, sights: Readonly<Record<string, Sight>> = {}) {
  const world = { found: true, opens: true, healed: 0, ceded: [] as string[], knocked: [] as string[] };
  const owners = table<string, OwnerRow>('owners');
  const held = owner === 'node1' ? { epoch: 1, level: 2 as const, interfaces: ['eth0'] } : undefined;
  const row: OwnerRow = {
    ip: A,
    services: ['shop/web'],
    balanced: true,
    policies: ['policy'],
    owner,
    interfaces: ['eth0'],
    why: '',
    epoch: 1,
    held,
    probes: undefined,
    rivals: [],
    candidates: [],
  };
  owners.writer('test').put(A, row);
  const peers = table<string, MemberRow>('peers');
  const others = peers.writer('test');
  for (const node of ['node2', 'node3']) others.put(node, member(node, sights[node] ? [sights[node]] : []));
  const own = table<string, Sight>('sights');
  const uplinks = table<string, { readonly index: number }>('uplinks');
  uplinks.writer('test').put('eth0', { index: 2 });
  const interfaces = table<string, object>('interfaces');
  interfaces.writer('test').put('2', { index: 2, mac, addresses: [{ ip: ip('192.168.0.11'), bits: 24 }] });
  const services = table<string, object>('services');
  services.writer('test').put('shop/web', { ports: [{ name: '', protocol: 'TCP', port: 80 }], external: {} });
  const slices = table<string, { readonly service: string }>('slices', { indexes: { service: ({ service }) => [service] } });
  const slice = { service: 'shop/web', family: 4, endpoints: [{ ready: true }] };
  slices.writer('test').put('shop/web-1', slice);
  const asker: Asker = { ask: () => Promise.resolve(world.found ? theirs : undefined), [Symbol.dispose]: () => undefined };
  const knocker: Knocker = {
    knock: ({ ip: address, port, to }) => (world.knocked.push(`${address} ${port} ${to}`), Promise.resolve(world.opens)),
    keep: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
  const tables = {
    l2: { owners, peers, sights: own, self: () => member('node1') },
    nodes: { uplinks, interfaces },
    services: { services, slices },
  };
  const turn = truthOf({
    ...(tables as unknown as Pick<TruthOptions, 'l2' | 'nodes' | 'services'>), // as: the rows have what is read of them
    self: 'node1',
    asker,
    knocker,
    heal: () => void world.healed++,
    cede: (address: Ip, why: string) => void world.ceded.push(`${address} ${why}`),
  });
  return {
    world,
    sight: () => own.get(A),
    async turns(count: number) {
      let problems: readonly { readonly reason: string; readonly message: string }[] = [];
      for (let i = 0; i < count; i++) {
        problems = turn();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return problems;
    },
  };
}

describe('a node that asks for an address of another', () => {
  it('finds it where its owner has it and its port answers', async () => {
    const { world, sight, turns } = looking('node2');
    await turns(1);
    assert.deepEqual(sight(), { ip: A, found: true });
    assert.deepEqual(world.knocked, [`${A} 80 ${theirs}`]);
  });

  it('misses it after three turns without an answer, and says when it is the port that has none', async () => {
    const { world, sight, turns } = looking('node2');
    world.opens = false;
    await turns(2);
    assert.equal(sight(), undefined);
    await turns(1);
    assert.deepEqual(sight(), { ip: A, found: false, missing: 'TCP port 80' });
    world.found = false;
    await turns(1);
    assert.deepEqual(sight(), { ip: A, found: false });
    Object.assign(world, { found: true, opens: true });
    await turns(1);
    assert.deepEqual(sight(), { ip: A, found: true });
  });
});

describe('the owner of an address', () => {
  const lost: Sight = { ip: A, found: false, missing: 'TCP port 80' };

  it('that both who ask miss writes it again at once, and hands it over some seconds later, once', async () => {
    const { world, turns } = looking('node1', { node2: lost, node3: lost });
    const [problem] = await turns(1);
    assert.equal(problem?.reason, 'NotReachable');
    assert.match(problem.message, /node2 and node3 ask for .* which answers for it: nothing answers at TCP port 80$/);
    assert.deepEqual([world.healed, world.ceded], [1, []]);
    await turns(20);
    assert.deepEqual([world.healed, world.ceded], [1, [`${A} is not where node2 and node3 find it`]]);
  });

  it('that one misses and another finds goes on', async () => {
    const { world, turns } = looking('node1', { node2: lost, node3: { ip: A, found: true } });
    assert.deepEqual(await turns(20), []);
    assert.deepEqual([world.healed, world.ceded], [0, []]);
  });

  it('that the only one who asks misses does not hand over: he may be cut off himself', async () => {
    const { world, turns } = looking('node1', { node2: lost });
    await turns(20);
    assert.deepEqual([world.healed, world.ceded], [1, []]);
  });
});
