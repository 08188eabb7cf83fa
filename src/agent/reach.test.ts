// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import type { InterfaceRow } from '../datapath/network.ts';
import type { Asker } from './asker.ts';
import { reachOf } from './reach.ts';

const mac = parseMac('02:00:00:00:00:01') ?? assert.fail();
const row: InterfaceRow = {
  index: 2,
  name: 'eth0',
  kind: undefined,
  mac,
  mtu: 1500,
  up: true,
  carrier: true,
  loopback: false,
  master: undefined,
  addresses: [{ ip: ip('192.168.0.11'), bits: 24 }],
  defaultRoute: true,
  gateways: [ip('192.168.0.1')],
  segments: [],
};

/** A segment on which things happen as `world` says. */
function onSegment({ gateways = row.gateways } = {}) {
  const world = { gateway: true, peers: true, frames: 0, asked: 0, quiet: 10 };
  const asker: Asker = {
    ask: ({ ip: asked, source }) => {
      assert.deepEqual([asked, source], ['192.168.0.1', '192.168.0.11']);
      world.asked++;
      return Promise.resolve(world.gateway ? mac : undefined);
    },
    [Symbol.dispose]: () => undefined,
  };
  const received = () => new Map([['eth0', world.frames]]);
  const reach = reachOf({
    asker,
    interfaces: () => [{ ...row, gateways }],
    hears: () => world.peers,
    quietFor: () => world.quiet,
    changed: () => undefined,
    received,
  });
  const alone = async () => {
    await reach.silent([2]); // whoever was heard is believed to be there until it is known what his silence means
    world.peers = false;
    return reach.of(2);
  };
  return { world, reach, alone, turn: () => new Promise<void>((resolve) => (reach.often(), reach.seldom(), setImmediate(resolve))) };
}

const WELL = { fault: undefined, doubt: undefined };

describe('an interface through which no other node is heard any more', () => {
  it('works where the gateway answers: the others are dead', async () => {
    const { alone, turn } = onSegment();
    await turn();
    assert.deepEqual(await alone(), WELL);
  });

  it('has a fault where nothing at all arrives, until something does', async () => {
    const { world, reach, alone, turn } = onSegment();
    await turn();
    world.gateway = false;
    assert.equal((await alone()).fault, 'nothing is heard on it: neither the gateway nor another node answers there');
    await turn();
    assert.notEqual(reach.of(2).fault, undefined);
    world.peers = true;
    await turn();
    assert.deepEqual(reach.of(2), WELL);
    world.gateway = false;
    await alone();
    world.gateway = true;
    await turn();
    assert.deepEqual(reach.of(2), WELL);
  });

  it('is doubted where frames arrive: its side of a segment that is split may need it', async () => {
    const { world, reach, turn } = onSegment();
    await turn();
    world.gateway = false;
    const known = reach.silent([2]);
    world.frames++;
    await known;
    assert.deepEqual(reach.of(2), { fault: undefined, doubt: 'neither the gateway nor another node answers there' });
  });

  for (const [what, gateways] of [
    ['has no gateway', []],
    ['has one that has never answered', row.gateways],
  ] as const)
    it(`works where it ${what}: nobody could be asked`, async () => {
      const { world, alone, turn } = onSegment({ gateways });
      world.gateway = false;
      await turn();
      assert.deepEqual(await alone(), WELL);
    });

  it('of a cluster of one node is only doubted, when its gateway dies', async () => {
    const { world, reach, turn } = onSegment();
    world.peers = false;
    await turn();
    world.gateway = false;
    await turn();
    assert.deepEqual(reach.of(2), { fault: undefined, doubt: 'neither the gateway nor another node answers there' });
  });
});

it('the gateway is asked before the others are missed for good, and nothing follows from it while they are not', async () => {
  const { world, reach, alone, turn } = onSegment();
  await turn();
  Object.assign(world, { gateway: false, quiet: 120 });
  await turn();
  const { asked } = world;
  await turn();
  assert.deepEqual([reach.of(2), world.asked], [WELL, asked], 'once');
  assert.notEqual((await alone()).fault, undefined);
  assert.equal(world.asked, asked, 'what it said is known already');
});

it('the gateway is asked seldom while other nodes are heard', async () => {
  const { world, turn } = onSegment();
  for (let i = 0; i < 20; i++) await turn();
  assert.ok(world.asked <= 4, `${world.asked} times`);
});
