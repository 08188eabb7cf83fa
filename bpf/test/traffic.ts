// SPDX-License-Identifier: Apache-2.0
// Short words for the packets that these tests send: what a pod sends, what comes from the wire, the answer to a packet.

import assert from 'node:assert/strict';
import { ConntrackFlag } from '../../src/datapath/schema.gen.ts';
import type { ConntrackEntry, Flow } from '../../src/datapath/schema.gen.ts';
import { ip, ipToWire } from '../../src/base/ip.ts';
import { at, families } from './cluster.ts';
import { link, mac, packetFrom } from './loaded.ts';
import type { ConntrackRow, LoadedNode, Outcome, Program, Verdict } from './loaded.ts';
import { Protocol } from './packet.ts';
import type { Body, Packet } from './packet.ts';

type Tcp = Extract<Body, { kind: 'tcp' }>;
type Udp = Extract<Body, { kind: 'udp' }>;
type Echo = Extract<Body, { kind: 'echo' }>;
type Ends = { readonly source: string; readonly destination: string };

export function tcp(sourcePort: number, destinationPort: number, flags = 'S', more: Partial<Tcp> = {}): Tcp {
  return { kind: 'tcp', sourcePort, destinationPort, flags, seq: 1000, ack: flags.includes('A') ? 5000 : 0, payload: '', ...more };
}

export function udp(sourcePort: number, destinationPort: number, more: Partial<Udp> = {}): Udp {
  return { kind: 'udp', sourcePort, destinationPort, payload: 'question', ...more };
}

export function echo(id: number, more: Partial<Echo> = {}): Echo {
  return { kind: 'echo', reply: false, id, sequence: 1, payload: 'abcdefgh', ...more };
}

/** One first packet of each protocol; `port` is the service's, or the peer's. */
export const openings: readonly { readonly protocol: string; readonly body: (sourcePort: number) => Tcp | Udp | Echo }[] = [
  { protocol: 'TCP', body: (sourcePort) => tcp(sourcePort, 80) },
  { protocol: 'UDP', body: (sourcePort) => udp(sourcePort, 53) },
  { protocol: 'ping', body: (sourcePort) => echo(sourcePort) },
];

export const cases = families.flatMap((family) =>
  openings.map(({ protocol, body }) => ({ family, protocol, body, label: `${protocol} over IPv${family}`, ...at[family] })),
);

/** Those that can be answered by another node: `port` of the VIP is `target` of the backend. */
export const dsrCases = cases
  .filter(({ protocol }) => protocol !== 'ping')
  .map((one) => ({ ...one, target: one.protocol === 'TCP' ? 8080 : 5353, port: one.protocol === 'TCP' ? 80 : 53 }));

/** What a packet carries beside itself to say which frontend it came for: the option or header of direct server return. */
export function saying(address: string, port: number, family: 4 | 6): Pick<Packet, 'options' | 'extensions'> {
  const bytes = ipToWire(ip(address));
  if (family === 4) return { options: Buffer.from([0x9a, 8, port & 0xff, port >> 8, ...bytes.toReversed()]) };
  return {
    extensions: [{ protocol: Protocol.destinationOptions, bytes: Buffer.from([0, 2, 0x1b, 20, ...bytes, port >> 8, port & 0xff, 0, 0]) }],
  };
}

export function fromPod(pod: 'podA' | 'podB', ends: Ends, body: Body): Packet {
  return { from: mac[pod], to: mac.gateway, ...ends, ttl: 64, body };
}

export function fromWire(ends: Ends, body: Body): Packet {
  return { from: mac.router, to: mac.uplink, ...ends, ttl: 60, body };
}

/** What the one that gets `packet` sends back, without link addresses. */
export function answerTo({ source, destination, body }: Omit<Packet, 'from' | 'to'>): Ends & { readonly body: Body } {
  return { source: destination, destination: source, body: answeringBody(body) };
}

function answeringBody(body: Body): Body {
  switch (body.kind) {
    case 'tcp':
      return {
        ...body,
        sourcePort: body.destinationPort,
        destinationPort: body.sourcePort,
        flags: body.flags === 'S' ? 'SA' : body.flags,
        seq: body.ack,
        ack: body.seq + 1,
      };
    case 'udp':
      return { ...body, sourcePort: body.destinationPort, destinationPort: body.sourcePort, payload: 'answer' };
    case 'echo':
      return { ...body, reply: true };
    case 'sctp':
      return { ...body, sourcePort: body.destinationPort, destinationPort: body.sourcePort };
    case 'icmp':
    case 'raw':
      return body;
  }
}

/** What a delivery to a pod of this node makes of a packet. */
export function delivered(pod: 'podA' | 'podB', packet: Packet, change: Partial<Packet> = {}): Packet {
  return { ...packet, from: mac.gateway, to: mac[pod], ttl: packet.ttl - 1, ...change };
}

/** What leaving by the uplink makes of a packet: link addresses are for bpf_redirect_neigh to find. */
export function routed(packet: Packet, change: Partial<Packet> = {}): Packet {
  return { ...packet, ttl: packet.ttl - 1, ...change };
}

const placeOf: Readonly<Record<Program, number>> = { pod_from: link.podA, pod_to: link.podA, host_from: link.uplink, host_to: link.uplink };

/** A packet with another end and ports: the rewriting that a test expects. */
export function withPorts(body: Body, ports: { readonly sourcePort?: number; readonly destinationPort?: number }): Body {
  if (body.kind === 'echo') return { ...body, id: ports.sourcePort ?? ports.destinationPort ?? body.id };
  return body.kind === 'tcp' || body.kind === 'udp' || body.kind === 'sctp' ? { ...body, ...ports } : body;
}

export type Expectation = { readonly verdict: Verdict; readonly out?: Packet; readonly ifindex?: number; readonly mark?: number };

/** Runs the packet through the program and compares: the verdict, and the packet afterwards, the same as before unless said. */
export function expectRun(node: LoadedNode, program: Program, packet: Packet, wanted: Expectation): Outcome {
  const outcome = node.run(program, packet, { ifindex: wanted.ifindex ?? placeOf[program], mark: wanted.mark ?? 0 });
  assert.equal(outcome.verdict, wanted.verdict, `${program}: ${JSON.stringify(node.events().at(-1))}`);
  if (wanted.verdict !== 'drop') assert.deepEqual(packetFrom(outcome), wanted.out ?? packet);
  return outcome;
}

/** The packet is dropped, counted, and told of with the reason. */
export function expectDrop(
  node: LoadedNode,
  program: Program,
  packet: Packet | Buffer,
  wanted: { readonly reason: number; readonly ifindex?: number },
): void {
  const before = node.drops(wanted.reason);
  node.events();
  const ifindex = wanted.ifindex ?? placeOf[program];
  assert.equal(node.run(program, packet, { ifindex }).verdict, 'drop');
  const events = node.events().map(({ reason, interfaceIndex }) => ({ reason, interfaceIndex }));
  assert.deepEqual(events, [{ reason: wanted.reason, interfaceIndex: ifindex }]);
  assert.equal(node.drops(wanted.reason), before + 1);
}

/** The conntrack entry of flows from `source`, which has but one. */
export function entryFrom(node: LoadedNode, source: string): ConntrackRow {
  const [row, ...more] = node.conntrack().filter(({ key }) => key.source === source);
  assert.ok(row && more.length === 0, `wanted one entry from ${source}, found ${JSON.stringify(node.conntrack())}`);
  return row;
}

/** The reverse of what the packets of an entry leave as: the key of the other direction. */
function oppositeKey({ key, value }: ConntrackRow): Flow {
  return {
    source: value.destination,
    destination: value.source,
    sourcePort: value.destinationPort,
    destinationPort: value.sourcePort,
    protocol: key.protocol,
  };
}

/** Every entry has its opposite, of which it is the opposite; one of the two is the reply; what one translates the other translates back. */
export function checkPairs(node: LoadedNode): void {
  const rows = node.conntrack();
  const byKey = new Map(rows.map((row) => [JSON.stringify(row.key), row]));
  const natOf = ({ flags }: ConntrackEntry) => ({
    source: Boolean(flags & ConntrackFlag.sourceNat),
    destination: Boolean(flags & ConntrackFlag.destinationNat),
  });
  for (const row of rows) {
    const opposite = byKey.get(JSON.stringify(oppositeKey(row)));
    assert.ok(opposite, `no opposite for ${JSON.stringify(row)}`);
    assert.deepEqual(oppositeKey(opposite), row.key);
    assert.equal((row.value.flags ^ opposite.value.flags) & ConntrackFlag.reply, ConntrackFlag.reply);
    const [one, other] = [natOf(row.value), natOf(opposite.value)];
    assert.deepEqual(one, { source: other.destination, destination: other.source });
    assert.deepEqual([row.value.service, row.value.backend], [opposite.value.service, opposite.value.backend]);
  }
}
