// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import type { Ip } from '../base/ip.ts';
import { conntrackEntryCodec, ConntrackFlag, DropReason, flowCodec } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { eventRow, untold } from '../datapath/testdata/rows.ts';
import { exhaustionProblems, shortages } from './exhaustion.ts';
import { destinationText, portCount } from './port-use.ts';
import type { Destination } from './port-use.ts';

const NOW = 100_000;
const TCP = 6;
const [cart, stock, node] = [ip('10.244.1.5'), ip('10.244.1.6'), ip('192.168.0.11')];
const world = { destination: ip('203.0.113.10'), destinationPort: 80, protocol: TCP };
const service = { destination: ip('10.96.0.9'), destinationPort: 443, protocol: TCP };
const ownerOf = (address: Ip) => (address === cart ? 'Pod shop/cart' : address === stock ? 'Pod shop/stock' : 'Node node1');
const context = { ownerOf, range: [65_532, 65_535] } as const;

type Row = { from?: Ip; port: number; as?: Ip; to?: typeof world; by?: typeof world; flags?: number; idle?: number };

/** A flow that leaves as `as` to `to`, which it may name `by` another address. */
function entry({ from = cart, port, as = node, to = world, by = to, flags = ConntrackFlag.sourceNat, idle = 1 }: Row): [Buffer, Buffer] {
  const rest = { interfaceIndex: 2, lastSeen: NOW - idle, service: 0, backend: 0, packets: 1, bytes: 60 };
  return [
    flowCodec.encode({ ...by, source: from, sourcePort: port }),
    conntrackEntryCodec.encode({
      ...untold,
      source: as,
      sourcePort: port,
      destination: to.destination,
      destinationPort: to.destinationPort,
      flags,
      ...rest,
    }),
  ];
}

function usesIn(rows: readonly Row[], only?: readonly Destination[], pairs?: number) {
  const count = portCount(NOW, { ...(only && { only }), ...(pairs !== undefined && { pairs }) });
  for (const row of rows) count.add(...entry(row));
  return count.uses();
}

const dropped = (source: Ip, to = world, reason: number = DropReason.noMappingForNatMasquerade): Event =>
  eventRow({ reason, flow: { ...to, source, sourcePort: 40_000 } });

describe('ports that are held', () => {
  const three = [{ port: 1 }, { port: 2 }, { port: 3, from: stock }];
  const cases: readonly [
    what: string,
    rows: readonly Row[],
    wanted: readonly [address: Ip, to: string, holders: Record<string, number>][],
  ][] = [
    ['count by holder, most first', three, [[node, '203.0.113.10:80/TCP', { [cart]: 2, [stock]: 1 }]]],
    [
      'count for each address that is left with',
      [{ port: 1 }, { port: 1, as: ip('192.0.2.1') }],
      [
        [node, '203.0.113.10:80/TCP', { [cart]: 1 }],
        [ip('192.0.2.1'), '203.0.113.10:80/TCP', { [cart]: 1 }],
      ],
    ],
    [
      'count where a service leads',
      [{ port: 1, by: service, flags: ConntrackFlag.sourceNat | ConntrackFlag.destinationNat }],
      [[node, '203.0.113.10:80/TCP', { [cart]: 1 }]],
    ],
    [
      "count the node's own among them",
      [{ port: 1 }, { port: 2, from: node, flags: 0 }],
      [[node, '203.0.113.10:80/TCP', { [cart]: 1, [node]: 1 }]],
    ],
    ['are none of a node that nobody leaves as', [{ port: 2, from: node, flags: 0 }], []],
    ['are none of a flow that keeps its address', [{ port: 1, as: cart, flags: ConntrackFlag.routed }], []],
    ['are none of replies', [{ port: 1, flags: ConntrackFlag.sourceNat | ConntrackFlag.reply }], []],
    ['are free when their flow has expired', [{ port: 1, idle: 61 }], []],
    [
      'are free when one side has ended their connection and nothing came for four minutes',
      [241, 240].map((idle) => ({ port: idle, idle, flags: ConntrackFlag.sourceNat | ConntrackFlag.answered | ConntrackFlag.halfClosed })),
      [[node, '203.0.113.10:80/TCP', { [cart]: 1 }]],
    ],
    [
      'have no port in a ping',
      [{ port: 1, to: { ...world, destinationPort: 0, protocol: 1 } }],
      [[node, '203.0.113.10/ICMPv4', { [cart]: 1 }]],
    ],
  ];
  for (const [what, rows, wanted] of cases)
    it(what, () =>
      assert.deepEqual(
        usesIn(rows).map(({ address, to, holders }) => [
          address,
          destinationText(to),
          Object.fromEntries(holders.map((one) => [one.source, one.ports])),
        ]),
        wanted,
      ),
    );

  it('are found where most are, however many destinations there are', () => {
    const few = Array.from({ length: 20_000 }, (_, i) => ({ port: 1, to: { ...world, destinationPort: 1000 + i } }));
    const many = Array.from({ length: 2000 }, (_, i) => ({ port: 2000 + i }));
    const mixed = few.flatMap((row, i) => (i % 10 === 0 ? [row, ...many.slice(i / 10, i / 10 + 1)] : [row]));
    const [first, ...rest] = usesIn(mixed, undefined, 128);
    assert.equal(first && destinationText(first.to), '203.0.113.10:80/TCP');
    assert.ok((first?.ports ?? 0) > 1980, `${first?.ports} of 2000`);
    assert.ok(rest.length < 128, `${rest.length} others are remembered`);
    assert.equal(usesIn(mixed).length, 20_001, 'all of them without a limit');
  });

  it('are looked for at one destination, named or reached', () => {
    const other = { ...world, destinationPort: 81 };
    const rows = [{ port: 1 }, { port: 2, by: service }, { port: 3, to: other }];
    assert.deepEqual(
      usesIn(rows, [world]).map(({ ports }) => ports),
      [2],
    );
    assert.deepEqual(
      usesIn(rows, [service]).map(({ ports }) => ports),
      [1],
    );
    assert.deepEqual(usesIn(rows, [{ ...world, protocol: 17 }]), []);
  });
});

describe('a shortage', () => {
  it('begins with a packet that found no port, and with no other', () => {
    const known = shortages();
    assert.equal(known.note(dropped(stock, world, DropReason.ctMapInsertionFailed), 0), false);
    assert.deepEqual(known.current(1, 60), []);
    assert.equal(known.note(dropped(stock), 0), true);
    assert.deepEqual(
      known.current(1, 60).map(({ to }) => destinationText(to)),
      ['203.0.113.10:80/TCP'],
    );
  });

  it('ends when nothing was dropped for long enough', () => {
    const known = shortages();
    known.note(dropped(stock), 0);
    known.note(dropped(stock), 50);
    assert.equal(known.current(109, 60).length, 1);
    assert.equal(known.current(110, 60).length, 0);
  });

  it('is remembered of a bounded number of destinations', () => {
    const known = shortages();
    for (let port = 1; port <= 1000; port++) known.note(dropped(stock, { ...world, destinationPort: port }), 0);
    assert.equal(known.current(1, 60).length, 64);
  });

  it('is a Problem of the pod that holds most ports, not of the one that finds none', () => {
    const known = shortages();
    known.note(dropped(stock), 0);
    const current = known.current(1, 60);
    const uses = usesIn(
      [{ port: 1 }, { port: 2 }, { port: 3 }, { port: 4, from: stock }],
      current.map(({ to }) => to),
    );
    assert.deepEqual(
      exhaustionProblems(current, uses, context).map(({ object, reason, message }) => ({ object, reason, message })),
      [
        {
          object: 'Pod shop/cart',
          reason: 'MasqueradePortsExhausted',
          message:
            'Holds 3 of the 4 ports (65532-65535) with which 192.168.0.11 reaches 203.0.113.10:80/TCP; ' +
            '4 are in use, and new connections there fail: those of Pod shop/stock',
        },
      ],
    );
  });

  it('is one Problem of a pod that causes several, and one of each pod that causes another', () => {
    const [near, far] = [world, { ...world, destinationPort: 81 }];
    const known = shortages();
    for (const to of [near, far, service]) known.note(dropped(cart, to), 0);
    const rows = [{ port: 1 }, { port: 2 }, { port: 3, to: far }, { port: 4, from: stock, to: service }];
    const found = exhaustionProblems(known.current(1, 60), usesIn(rows), context);
    assert.deepEqual(
      found.map(({ object }) => object),
      ['Pod shop/cart', 'Pod shop/stock'],
    );
    assert.match(found[0]?.message ?? '', /Holds 2 .* reaches 203\.0\.113\.10:80\/TCP.* fail: its own$/);
  });
});
