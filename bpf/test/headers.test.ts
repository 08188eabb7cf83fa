// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { randomFrom, seedOfRun } from '../../src/base/random.ts';
import type { Random } from '../../src/base/random.ts';
import { DropReason } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { fragmentsOf } from './fragments.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode, Program } from './loaded.ts';
import { frame, ipBytes, Protocol } from './packet.ts';
import type { Body, Extension, Packet } from './packet.ts';
import { checkPairs, delivered, echo, entryFrom, expectDrop, expectRun, fromPod, fromWire, openings, routed, tcp, udp } from './traffic.ts';

const padding = (protocol: number): Extension => ({ protocol, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) });
/** RFC 4302: its length counts words of 4 bytes, less 2. */
const authentication: Extension = { protocol: Protocol.ah, bytes: Buffer.concat([Buffer.from([0, 4]), Buffer.alloc(22, 9)]) };
const MOST_EXTENSIONS = 6;

describe('headers', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const { protocol, body } of openings) {
    it(`with IPv4 options are translated and kept: ${protocol}`, () => {
      const { podA, podB, world, cart, node: host } = at[4];
      for (const bytes of [4, 8, 40]) {
        const options = Buffer.concat([Buffer.alloc(bytes - 1, 1), Buffer.alloc(1)]);
        const request = { ...fromPod('podA', { source: podA, destination: world }, body(40_000)), options };
        expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request, { source: host }) });
        if (protocol === 'ping') continue;
        const { destinationPort, ...out } = { ...request, destinationPort: protocol === 'TCP' ? 8080 : 5353, destination: cart };
        const translated = { ...out.body, ...(out.body.kind !== 'echo' && { destinationPort }) } as Body; // as: the same kind with another port
        expectRun(node, 'pod_from', out, {
          verdict: 'redirect',
          out: delivered('podB', { ...out, body: translated }, { destination: podB }),
        });
      }
    });

    it(`with IPv6 extensions are translated and kept: ${protocol}`, () => {
      const { podA, world, node: host } = at[6];
      for (const extensions of [
        [padding(Protocol.hopByHop)],
        [padding(Protocol.hopByHop), padding(Protocol.destinationOptions), padding(Protocol.routing), padding(Protocol.destinationOptions)],
        [authentication, padding(Protocol.destinationOptions)],
        Array.from({ length: MOST_EXTENSIONS }, () => padding(Protocol.destinationOptions)),
      ]) {
        const request = { ...fromPod('podA', { source: podA, destination: world }, body(40_000)), extensions };
        expectRun(node, 'pod_from', request, { verdict: 'redirect', out: routed(request, { source: host }) });
        assert.equal(entryFrom(node, podA).key.sourcePort, 40_000);
      }
    });

    it(`with too many IPv6 extensions end here: ${protocol}`, () => {
      const extensions = Array.from({ length: MOST_EXTENSIONS + 1 }, () => padding(Protocol.destinationOptions));
      expectDrop(
        node,
        'pod_from',
        { ...fromPod('podA', { source: at[6].podA, destination: at[6].world }, body(40_000)), extensions },
        { reason: DropReason.invalidPacket },
      );
      expectRun(
        node,
        'host_from',
        { ...fromWire({ source: at[6].world, destination: at[6].podA }, body(40_000)), extensions },
        { verdict: 'stack' },
      );
    });
  }

  it('of IPv6 that end without a transport header are a flow without ports', () => {
    const { podA, podB } = at[6];
    const request = fromPod('podA', { source: podA, destination: podB }, { kind: 'raw', protocol: Protocol.none, bytes: Buffer.alloc(0) });
    expectRun(node, 'pod_from', request, { verdict: 'redirect', out: delivered('podB', request) });
  });

  it('that say they are shorter than a header are invalid', () => {
    const bytes = frame(fromPod('podA', { source: at[4].podA, destination: at[4].podB }, tcp(1, 2)));
    for (let words = 0; words < 5; words++) {
      bytes.writeUInt8(0x40 | words, 14);
      expectDrop(node, 'pod_from', bytes, { reason: DropReason.invalidPacket });
    }
  });

  for (const family of families) {
    const ends = { source: at[family].podA, destination: at[family].podB };
    for (const [name, body, needed] of [
      ['TCP', tcp(1, 2), 14],
      ['UDP', udp(1, 2), 4],
      ['ping', echo(1), 8],
    ] as const) {
      it(`that are cut short are invalid: ${name} over IPv${family}`, () => {
        const whole = frame(fromPod('podA', ends, body));
        const least = 14 + (family === 4 ? 20 : 40) + needed;
        for (let length = leastTestRun(whole); length < whole.length; length++) {
          const cut = whole.subarray(0, length);
          if (length < least) expectDrop(node, 'pod_from', cut, { reason: DropReason.invalidPacket });
          else assert.equal(node.run('pod_from', cut, { ifindex: link.podA }).verdict, 'redirect');
          node.run('pod_to', cut, { ifindex: link.podA });
        }
      });
    }
  }

  describe('that nobody expects', () => {
    const seed = seedOfRun();
    const places: readonly (readonly [Program, number])[] = [
      ['pod_from', link.podA],
      ['pod_to', link.podA],
      ['host_from', link.uplink],
      ['host_to', link.uplink],
    ];
    const everywhere = (bytes: Buffer) => {
      if (bytes.length >= leastTestRun(bytes)) for (const [program, ifindex] of places) node.run(program, bytes, { ifindex });
    };

    it(`never make a program return what is no verdict: random bytes (SEED=${seed})`, () => {
      const random = randomFrom(seed);
      for (let i = 0; i < 2000; i++) {
        const bytes = random.bytes(14 + random.below(200));
        bytes.writeUInt16BE(random.pick([0x0800, 0x86dd, 0x0806, 0x0800, 0x86dd, random.below(0x10000)]), 12);
        if (random.chance(0.5) && bytes.length > 14) bytes.writeUInt8(random.pick([0x45, 0x46, 0x4f, 0x60]), 14);
        everywhere(bytes);
      }
      node.forget(); // pairs are checked for packets that mean something
    });

    it(`never make a program return what is no verdict: changed and cut packets (SEED=${seed})`, () => {
      const random = randomFrom(seed);
      const samples = samplePackets();
      for (let i = 0; i < 4000; i++) everywhere(changed(random.pick(samples), random));
      node.forget();
    });

    it(`keep their checksums right, whatever they are: valid packets (SEED=${seed})`, () => {
      const random = randomFrom(seed);
      let redirected = 0;
      for (let i = 0; i < 2000; i++) {
        const outcome = node.run('pod_from', validPacket(random), { ifindex: link.podA });
        if (outcome.verdict !== 'drop') packetFrom(outcome);
        if (outcome.verdict === 'redirect') redirected++;
      }
      assert.ok(redirected > 500, `only ${redirected} of 2000 packets went anywhere`);
      node.forget();
    });
  });
});

/** BPF_PROG_TEST_RUN refuses frames whose IP header is not whole (net/bpf/test_run.c, Linux 6.18). */
function leastTestRun(bytes: Buffer): number {
  const type = bytes.readUInt16BE(12);
  if (type === 0x0800) return 14 + 20;
  return type === 0x86dd ? 14 + 40 : 15;
}

function samplePackets(): readonly [Buffer, ...Buffer[]] {
  const packets = families.flatMap((family) => {
    const { podA, podB, world, cart, nobody, self, node: host } = at[family];
    const bodies: readonly Body[] = [tcp(40_000, 80), tcp(40_000, 80, 'FA', { payload: 'xyz' }), udp(40_000, 53), echo(40_000)];
    const sent = [podB, world, cart, nobody, self, host].flatMap((destination) =>
      bodies.map((body) => fromPod('podA', { source: podA, destination }, body)),
    );
    const came = bodies.map((body) => fromWire({ source: world, destination: host }, body));
    const about = ipBytes(fromPod('podA', { source: host, destination: world }, udp(40_000, 53)));
    const error = fromWire(
      { source: world, destination: host },
      { kind: 'icmp', type: family === 4 ? 3 : 1, code: 1, rest: 0, data: about },
    );
    const pieces = fragmentsOf(
      fromPod('podA', { source: podA, destination: world }, udp(40_000, 53, { payload: 'x'.repeat(300) })),
      5,
      128,
    );
    return [...[...sent, ...came, error].map(frame), ...pieces];
  });
  const [first = Buffer.alloc(14), ...rest] = packets;
  return [first, ...rest];
}

function changed(sample: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(sample);
  for (let i = 0; i <= random.below(4); i++)
    bytes.writeUInt8(
      random.below(256),
      random.chance(0.7) ? 14 + random.below(Math.min(60, bytes.length - 14)) : random.below(bytes.length),
    );
  return random.chance(0.3) ? bytes.subarray(0, 14 + random.below(bytes.length - 13)) : bytes;
}

function validPacket(random: Random): Packet {
  const family = random.pick(families);
  const { podA, podB, world, cart, nobody, self, far, remote, outside, kubernetes } = at[family];
  const destination = random.pick([podB, world, cart, nobody, self, far, remote, outside, kubernetes]);
  const [sourcePort, payload] = [random.below(65_536), 'p'.repeat(random.below(1200))];
  const port = random.pick([80, 53, 443]);
  const body = random.pick<() => Body>([
    () =>
      tcp(sourcePort, port, random.pick(['S', 'A', 'PA', 'FA', 'R', 'RA', 'SA']), {
        payload,
        seq: random.below(2 ** 32),
        ack: random.below(2 ** 32),
      }),
    () => udp(sourcePort, port, { payload }),
    () => echo(sourcePort, { payload }),
  ])();
  return { ...fromPod('podA', { source: podA, destination }, body), ttl: 1 + random.below(255) };
}
