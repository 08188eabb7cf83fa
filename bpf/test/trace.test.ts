// SPDX-License-Identifier: Apache-2.0
// The tracer says what the programs do: every packet of the cluster through both. The maps here and the tables there are made of the
// same objects by the same derivations.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { familyOf, ip } from '../../src/base/ip.ts';
import { ConntrackFlag, configDefaults, dropReasonNames } from '../../src/datapath/schema.gen.ts';
import type { Moving, Packet as Asked, Protocol, Trace, Verdict as Fate, Way } from '../../src/trace/packet.ts';
import { node1 } from '../../src/trace/testdata/node1.ts';
import { traceOf } from '../../src/trace/trace.ts';
import type { TraceTables } from '../../src/trace/trace.ts';
import { at, families } from './cluster.ts';
import { endpoints, link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode, Outcome, Program } from './loaded.ts';
import type { Body, Packet } from './packet.ts';
import { echo, fromPod, fromWire, tcp, udp } from './traffic.ts';

const destinations = Object.keys(at[4]) as (keyof (typeof at)[4])[]; // as: keys of this very object
const unknown = { 4: '10.244.1.99', 6: 'fd00:244:1::99' } as const;
const elsewhere = {
  4: ['192.168.77.9', '224.0.0.251', '192.168.77.1', '10.244.2.77'],
  6: ['fd00:77::9', 'ff02::fb', 'fd00:77::1', 'fd00:244:2::77'],
} as const;
const bodies: readonly {
  readonly protocol: Protocol;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly body: Body;
}[] = [
  ...[80, 81].map((port) => ({ protocol: 'tcp', sourcePort: 1234, destinationPort: port, body: tcp(1234, port) }) as const),
  ...[53, 80].map((port) => ({ protocol: 'udp', sourcePort: 41_000, destinationPort: port, body: udp(41_000, port) }) as const),
  { protocol: 'icmp', sourcePort: 0, destinationPort: 0, body: echo(7) },
];

type Case = { readonly asked: Asked; readonly program: Program; readonly packet: Packet; readonly ifindex: number };

function casesFrom(source: string, place: Pick<Case, 'program' | 'ifindex'>): Case[] {
  const family = familyOf(ip(source));
  const targets = [...destinations.map((name) => at[family][name]), ...elsewhere[family]].filter((target) => target !== source);
  return targets.flatMap((destination) =>
    bodies.map(({ protocol, sourcePort, destinationPort, body }) => ({
      asked: { protocol, source: ip(source), sourcePort, destination: ip(destination), destinationPort, raw: true },
      packet:
        place.program === 'host_from'
          ? fromWire({ source, destination }, body)
          : fromPod(place.ifindex === link.podB ? 'podB' : 'podA', { source, destination }, body),
      ...place,
    })),
  );
}

const cases: readonly Case[] = families.flatMap((family) => [
  ...casesFrom(at[family].podA, { program: 'pod_from', ifindex: link.podA }),
  ...casesFrom(at[family].podB, { program: 'pod_from', ifindex: link.podB }),
  ...casesFrom(unknown[family], { program: 'pod_from', ifindex: link.podA }),
  ...casesFrom(at[family].other, { program: 'host_from', ifindex: link.uplink }),
  ...casesFrom(at[family].far, { program: 'host_from', ifindex: link.uplink }),
  ...casesFrom(at[family].node, { program: 'host_to', ifindex: link.uplink }),
]);

describe('the tracer and the programs', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());

  it(`agree on ${cases.length} packets from pods, from the wire and from the host`, () => {
    assert.deepEqual(disagreements(node, node1({ endpoints })), []);
  });

  const damages: readonly (readonly [what: string, tables: () => TraceTables])[] = [
    ['a pod is missing', () => node1({ endpoints: endpoints.slice(0, 1) })],
    ['masquerade is off', () => node1({ endpoints, masquerade: { ipv4: true, ipv6: false } })],
    ['services without backends drop', () => node1({ endpoints, noBackendReject: false })],
  ];
  for (const [what, tables] of damages)
    it(`disagree where the tables are not those of the maps: ${what}`, () => {
      assert.notEqual(disagreements(node, tables()).length, 0);
    });
});

function disagreements(node: LoadedNode, tables: TraceTables): string[] {
  return cases.flatMap((one) => {
    const { asked, program, packet, ifindex } = one;
    const trace = traceOf(asked, tables);
    if (!reaches(trace, program)) return [];
    node.forget();
    const outcome = node.run(program, packet, { ifindex });
    const done = doneBy(node, one, outcome);
    const said = [trace, ...trace.others].map((way) => saidOf(way, trace, one));
    const told = `${program} ${asked.protocol} ${asked.source} -> ${asked.destination}:${asked.destinationPort}`;
    return said.some((words) => words === done || words.replace(PORT_DRAWN, portOf(done)) === done)
      ? []
      : [`${told}: the tracer says ${said.join(' or ')}, the program did ${done}`];
  });
}

const PORT_DRAWN = 'drawn';

/** The number in the place of a port that the program draws, where it is one of the range. */
function portOf(done: string): string {
  const port = Number(/ from [^ ]+ port (\d+)/.exec(done)?.[1]);
  return port >= configDefaults.natPortFirst && port <= configDefaults.natPortLast ? String(port) : PORT_DRAWN;
}

/** The host's own packets pass host_to only on their way out of the uplink. */
function reaches({ steps }: Trace, program: Program): boolean {
  return program !== 'host_to' || steps.some(({ hook }) => hook === 'host_to');
}

const ends = ({ protocol, source, sourcePort, destination, destinationPort }: Moving) =>
  protocol === 'icmp'
    ? `from ${source} to ${destination}`
    : `from ${source} port ${sourcePort ?? PORT_DRAWN} to ${destination} port ${destinationPort}`;

/** What the trace expects the program to do. */
function saidOf({ verdict, out }: Pick<Way, 'verdict' | 'out'>, { steps }: Trace, { program }: Case): string {
  if (program === 'host_to' && (verdict.kind === 'sent' || verdict.kind === 'leaves'))
    return steps.some(({ decision }) => decision.startsWith('claims')) ? 'stack, claimed' : 'stack';
  if (program !== 'host_to' && steps.some(({ hook }) => hook === 'stack')) return `stack, ${ends(out)}`;
  return fateText(verdict, out);
}

function fateText(verdict: Fate, out: Moving): string {
  switch (verdict.kind) {
    case 'delivered':
      return `into ${endpoints.find(({ namespace, pod }) => `${namespace}/${pod}` === verdict.pod)?.interfaceIndex}, ${ends(out)}`;
    case 'sent':
    case 'leaves':
      return `out of ${link.uplink}, ${ends(out)}`;
    case 'refused':
    case 'answered':
      return verdict.kind;
    case 'dropped':
      return `dropped ${verdict.reason}`;
    case 'taken':
      return `stack, ${ends(out)}`;
  }
}

/** What the program did: its verdict, and what it remembers of the flow. */
function doneBy(node: LoadedNode, { program, asked, packet }: Case, outcome: Outcome): string {
  if (outcome.verdict === 'drop') return `dropped ${dropReasonNames[node.events().at(-1)?.reason ?? 0]}`;
  const entry = node.conntrack().find(({ value }) => !(value.flags & ConntrackFlag.reply))?.value;
  if (program === 'host_to' && outcome.verdict === 'stack') return entry ? 'stack, claimed' : 'stack';
  const after = packetFrom(outcome);
  if (outcome.verdict === 'stack') return `stack, ${ends(movingOf(asked, after))}`;
  if (!entry) return answerText(after, packet);
  const way = entry.flags & ConntrackFlag.local ? 'into' : 'out of';
  return `${way} ${entry.interfaceIndex}, ${ends({ protocol: asked.protocol, ...entry })}`;
}

function movingOf({ protocol }: Asked, { source, destination, body }: Packet): Moving {
  const ports = body.kind === 'tcp' || body.kind === 'udp' ? body : { sourcePort: 0, destinationPort: 0 };
  return {
    protocol,
    source: ip(source),
    destination: ip(destination),
    sourcePort: ports.sourcePort,
    destinationPort: ports.destinationPort,
  };
}

/** A packet that went back to its sender. */
function answerText({ destination, body }: Packet, asked: Packet): string {
  assert.equal(destination, asked.source);
  if (body.kind === 'echo') return 'answered';
  return body.kind === 'icmp' || (body.kind === 'tcp' && body.flags.includes('R')) ? 'refused' : `answered with ${body.kind}`;
}
