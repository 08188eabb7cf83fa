// SPDX-License-Identifier: Apache-2.0
// What user space is told of packets that pass: which of them, what of each, and what of those that it is not told.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ConntrackFlag, eventCodec, EventKind, payloadEventCodec, TracePoint, TraceReason } from '../../src/datapath/schema.gen.ts';
import type { Event } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { link, loadNode, mac, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import { frame } from './packet.ts';
import type { Body, Packet } from './packet.ts';
import { delivered, echo, fromPod, fromWire, tcp, udp } from './traffic.ts';

const POD = 300;
const WORLD = 2;
const REPORT_SECONDS = 5;

const eventsOf = (node: LoadedNode, kind: number): readonly Event[] =>
  node
    .records()
    .map((record) => eventCodec.decode(record))
    .filter((event) => event.kind === kind);

const flagsText = (flags: number) => ['F', 'S', 'R', 'P', 'A'].filter((_flag, bit) => flags & (1 << bit)).join('');

describe('what is told of a flow', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode({ eventsPerSecond: 100_000 });
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => node.forget());

  for (const family of families) {
    const { podA, podB, world, node: host, cart, far, frontVip, router } = at[family];
    const send = (body: Body, destination: string = world) =>
      packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination }, body), { ifindex: link.podA }));
    const receive = (body: Body, source: string = world, destination: string = host) =>
      node.run('host_from', fromWire({ source, destination }, body), { ifindex: link.uplink });
    const traces = () => eventsOf(node, EventKind.trace);
    const told = () => traces().map(({ reason, point, tcpFlags }) => [reason, point, flagsText(tcpFlags)]);
    const open = () => {
      send(tcp(40_000, 443));
      receive(tcp(443, 40_000, 'SA'));
      send(tcp(40_000, 443, 'A'));
    };

    it(`over IPv${family} is its first packet, the first answer, and each TCP flag once in each direction`, () => {
      open();
      for (let i = 0; i < 3; i++) send(tcp(40_000, 443, 'PA', { payload: 'x' }));
      for (let i = 0; i < 3; i++) receive(tcp(443, 40_000, 'PA', { payload: 'y' }));
      assert.deepEqual(told(), [
        [TraceReason.new, TracePoint.toNetwork, 'S'],
        [TraceReason.reply, TracePoint.toEndpoint, 'SA'],
        [TraceReason.established, TracePoint.toNetwork, 'A'],
        [TraceReason.established, TracePoint.toNetwork, 'PA'],
        [TraceReason.reply, TracePoint.toEndpoint, 'PA'],
      ]);
      send(tcp(40_000, 443, 'A'));
      assert.deepEqual(told(), []);
    });

    it(`over IPv${family} is what the data plane knew of both sides`, () => {
      open();
      const [first, reply] = traces();
      assert.ok(first && reply);
      assert.deepEqual([first.flow.source, first.destination, first.source], [podA, world, host]);
      assert.deepEqual([first.sourceIdentity, first.destinationIdentity], [POD, WORLD]);
      assert.deepEqual([reply.flow.source, reply.flow.destination, reply.destination], [world, host, podA]);
      assert.deepEqual([reply.sourceIdentity, reply.destinationIdentity], [WORLD, POD]);
      assert.equal(first.interfaceIndex, link.uplink);
      assert.equal(reply.interfaceIndex, link.podA);
      assert.ok(reply.answered > 0 && reply.opened === first.opened);
    });

    it(`over IPv${family} is how much there was after ${REPORT_SECONDS} seconds, in each direction that goes on`, () => {
      open();
      traces();
      node.age(REPORT_SECONDS - 1);
      send(tcp(40_000, 443, 'A'));
      assert.deepEqual(told(), []);
      node.age(REPORT_SECONDS);
      send(tcp(40_000, 443, 'A'));
      send(tcp(40_000, 443, 'A'));
      const [report, ...more] = traces();
      assert.deepEqual(more, []);
      assert.deepEqual([report?.whole, report?.packets, report?.replyPackets], [1, 4, 1]);
    });

    it(`over IPv${family} is its end, once, with both directions`, () => {
      open();
      send(tcp(40_000, 443, 'FA'));
      assert.deepEqual(eventsOf(node, EventKind.connection), []);
      receive(tcp(443, 40_000, 'FA'));
      send(tcp(40_000, 443, 'A'));
      const [end, ...more] = eventsOf(node, EventKind.connection);
      assert.deepEqual(more, []);
      assert.deepEqual([end?.packets, end?.replyPackets, end?.whole], [2, 3, 1]);
      assert.equal((end?.conntrack ?? 0) & ConntrackFlag.reply, ConntrackFlag.reply);
    });

    it(`over IPv${family} is that it was reset`, () => {
      open();
      node.records();
      receive(tcp(443, 40_000, 'RA'));
      const kinds = node.records().map((record) => eventCodec.decode(record).kind);
      assert.deepEqual(kinds, [EventKind.trace, EventKind.connection]);
    });

    it(`over IPv${family} is the service that a client means, beside the backend that it gets`, () => {
      send(tcp(1234, 80), cart);
      const [inside] = traces();
      assert.deepEqual([inside?.flow.destination, inside?.destination, inside?.destinationPort], [cart, podB, 8080]);
      assert.equal(inside?.point, TracePoint.toEndpoint);
      receive(tcp(4321, 80), world, frontVip);
      const [outside] = traces();
      assert.deepEqual([outside?.flow.destination, outside?.reason], [frontVip, TraceReason.new]);
      assert.ok(inside.meant > 0 && (outside?.meant ?? 0) > 0 && inside.meant !== outside?.meant);
    });

    it(`over IPv${family} is what the node itself sends to a pod`, () => {
      const packet: Packet = { ...delivered('podA', fromWire({ source: host, destination: podA }, tcp(5555, 8080))), ttl: 64 };
      node.run('pod_to', packet, { ifindex: link.podA });
      const [event] = traces();
      assert.deepEqual([event?.point, event?.reason, event?.sourceIdentity], [TracePoint.toEndpoint, TraceReason.new, 1]);
      send(tcp(8080, 5555, 'SA'), host);
      assert.deepEqual(told(), [[TraceReason.reply, TracePoint.toHost, 'SA']]);
    });

    it(`over IPv${family} is an echo and its reply, by type`, () => {
      send(echo(7));
      receive(echo(7, { reply: true }));
      const types = traces().map(({ icmpType, reason }) => [icmpType, reason]);
      const [request, reply] = family === 4 ? [8, 0] : [128, 129];
      assert.deepEqual(types, [
        [request, TraceReason.new],
        [reply, TraceReason.reply],
      ]);
    });

    const payloads = () =>
      node
        .records()
        .filter((record) => eventCodec.decode(record).kind === EventKind.payload)
        .map((record) => payloadEventCodec.decode(record))
        .map(({ bytes, kept, length }) => ({ text: Buffer.from(bytes.subarray(0, kept)).toString(), length }));
    const positions = () => node.records().map((record) => payloadEventCodec.decode(record).sequence);

    it(`over IPv${family} is what a pod asks of DNS and gets to hear, wherever the server is`, () => {
      send(udp(40_000, 53, { payload: 'who is example.org' }));
      receive(udp(53, 40_000, { payload: 'he is 192.0.2.1' }));
      send(udp(40_000, 54, { payload: 'to another port' }));
      assert.deepEqual(payloads(), [
        { text: 'who is example.org', length: 18 },
        { text: 'he is 192.0.2.1', length: 15 },
      ]);
    });

    it(`over IPv${family} is nothing of what a pod of another node asks a server here: that node tells it`, () => {
      receive(udp(40_000, 53, { payload: 'who is example.org' }), far, podA);
      send(udp(53, 40_000, { payload: 'he is 192.0.2.1' }), far);
      assert.deepEqual(payloads(), []);
    });

    it(`over IPv${family} is how an HTTP request and its answer begin, on the same connection again and again`, () => {
      open();
      for (let i = 0; i < 20; i++) {
        send(tcp(40_000, 443, 'PA', { payload: `GET /${i} HTTP/1.1\r\n\r\n` }));
        receive(tcp(443, 40_000, 'A'));
        receive(tcp(443, 40_000, 'PA', { payload: 'HTTP/1.1 200 OK\r\n\r\n' }));
      }
      const found = payloads();
      assert.equal(found.length, 40);
      assert.deepEqual(found.at(-2), { text: 'GET /19 HTTP/1.1\r\n\r\n', length: 20 });
    });

    it(`over IPv${family} is at most 512 bytes of it, and nothing of what is no HTTP or comes late`, () => {
      open();
      send(tcp(40_000, 443, 'PA', { payload: `GET /${'x'.repeat(900)} HTTP/1.1\r\n` }));
      assert.deepEqual(
        payloads().map(({ text, length }) => [text.length, length]),
        [[512, 916]],
      );
      node.forget();
      open();
      for (const payload of ['\x16\x03\x01 hello, secret', 'GETAWAY and more', 'SSH-2.0-x']) send(tcp(40_000, 443, 'PA', { payload }));
      for (let i = 0; i < 5; i++) send(tcp(40_000, 443, 'PA', { payload: 'opaque bytes' }));
      send(tcp(40_000, 443, 'PA', { payload: 'GET / HTTP/1.1\r\n\r\n' }));
      assert.deepEqual(payloads(), []);
    });

    it(`over IPv${family} is what begins like a frame of HTTP/2, once the client said that it speaks it`, () => {
      open();
      const frame = (type: number, content: string) => `\0\0${String.fromCharCode(content.length, type)}\0\0\0\0\x01${content}`;
      const goesOn = `\0\x20\0\0\0\0\0\0\x01${'d'.repeat(100)}`; // data, of which more packets follow
      const [headers, data] = [frame(1, 'headers'), frame(0, 'data')];
      receive(tcp(443, 40_000, 'PA', { payload: headers }));
      assert.deepEqual(payloads(), []);
      send(tcp(40_000, 443, 'PA', { payload: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' }));
      for (const payload of [headers, data, goesOn, 'dddddddddddd', data + headers]) send(tcp(40_000, 443, 'PA', { payload }));
      receive(tcp(443, 40_000, 'PA', { payload: headers }));
      assert.deepEqual(
        payloads().map(({ text }) => text.slice(0, 60)),
        ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', headers, data + headers, headers],
      );
      node.records();
      send(tcp(40_000, 443, 'A', { payload: headers, seq: 0x0102_0304 }));
      assert.deepEqual(positions(), [0x0102_0304]);
    });

    it(`over IPv${family} is HTTP between pods of two nodes at the node of the server alone`, () => {
      const exchange = (client: (body: Body) => unknown, server: (body: Body) => unknown) => {
        client(tcp(1111, 80));
        server(tcp(80, 1111, 'SA'));
        client(tcp(1111, 80, 'PA', { payload: 'GET / HTTP/1.1\r\n\r\n' }));
        server(tcp(80, 1111, 'PA', { payload: 'HTTP/1.1 200 OK\r\n\r\n' }));
        return payloads().length;
      };
      assert.equal(
        exchange(
          (body) => send(body, far),
          (body) => receive(body, far, podA),
        ),
        0,
      );
      assert.equal(
        exchange(
          (body) => receive(body, far, podB),
          (body) => node.run('pod_from', fromPod('podB', { source: podB, destination: far }, body), { ifindex: link.podB }),
        ),
        2,
      );
    });

    it(`over IPv${family} is an ICMP error about it, which is from who sent it`, () => {
      const sent = send(udp(40_000, 443));
      const [type, code, protocol] = family === 4 ? [3, 3, 1] : [1, 4, 58];
      const data = frame({ ...sent, from: mac.uplink, to: mac.router }).subarray(14);
      receive({ kind: 'icmp', type, code, rest: 0, data }, router, host);
      const [, error] = traces();
      assert.deepEqual([error?.reason, error?.icmpType, error?.icmpCode], [TraceReason.related, type, code]);
      assert.deepEqual([error?.flow.source, error?.destination, error?.flow.protocol], [router, podA, protocol]);
    });
  }
});

describe('what is not told', { skip: namespaceMissing }, () => {
  const syn = (port: number) => fromPod('podA', { source: at[4].podA, destination: at[4].world }, tcp(port, 443));
  const flood = (node: LoadedNode, flows: number) => {
    for (let port = 0; port < flows; port++) node.run('pod_from', syn(20_000 + port), { ifindex: link.podA });
  };

  it('is anything but drops where nobody wants to know', async () => {
    using node = await loadNode({ watchFlows: 0 });
    flood(node, 3);
    node.run('pod_from', fromPod('podA', { source: at[4].world, destination: at[4].world }, tcp(1, 2)), { ifindex: link.podA });
    const kinds = node.records().map((record) => eventCodec.decode(record).kind);
    assert.deepEqual(kinds, [EventKind.drop]);
    assert.ok(node.conntrack().every(({ value }) => value.opened === 0 && value.reported === 0));
  });

  it('is payload where only that is unwanted', async () => {
    using node = await loadNode({ watchPayload: 0 });
    node.run('pod_from', fromPod('podA', { source: at[4].podA, destination: at[4].world }, udp(1, 53)), { ifindex: link.podA });
    const kinds = node.records().map((record) => eventCodec.decode(record).kind);
    assert.deepEqual(kinds, [EventKind.trace]);
  });

  it('is counted when more comes than is read in a second, by kind', async () => {
    using node = await loadNode({ eventsPerSecond: 50 });
    flood(node, 300);
    const traces = eventsOf(node, EventKind.trace).length;
    assert.ok(traces >= 50 && traces < 150, `${traces} were told`);
    assert.deepEqual(node.losses(EventKind.trace), { limited: 300 - traces, full: 0 });
    assert.deepEqual(node.losses(EventKind.drop), { limited: 0, full: 0 });
    node.run('pod_from', fromPod('podA', { source: at[4].world, destination: at[4].world }, tcp(1, 2)), { ifindex: link.podA });
    assert.equal(node.events().length, 1, 'a flood of one kind hides no other');
  });

  it('is counted when the ring buffer is full', async () => {
    using node = await loadNode({ eventsPerSecond: 1_000_000 });
    flood(node, 14_000);
    const { full, limited } = node.losses(EventKind.trace);
    assert.ok(full > 0);
    assert.equal(eventsOf(node, EventKind.trace).length + full + limited, 14_000);
  });
});
