// SPDX-License-Identifier: Apache-2.0
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { ConntrackFlag, flowCodec } from '../../src/datapath/schema.gen.ts';
import { at, families } from './cluster.ts';
import { link, loadNode, packetFrom } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';
import type { Body } from './packet.ts';
import { answerTo, cases, checkPairs, delivered, entryFrom, expectRun, fromPod, fromWire, routed, tcp, udp } from './traffic.ts';

const NEVER_ANSWERED = 60;
const IDLE_TCP = 8000;
const CLOSED = 10;

/** Replaces what a test looks at when it wants to know whether a flow began anew: everything new has counted one packet. */
const began = 1;
const ended = ConntrackFlag.closing | ConntrackFlag.finished | ConntrackFlag.halfClosed;

describe('conntrack', { skip: namespaceMissing }, () => {
  let node: LoadedNode;
  before(async () => {
    node = await loadNode();
  });
  after(() => node[Symbol.dispose]());
  afterEach(() => {
    checkPairs(node);
    node.forget();
  });

  for (const family of families) {
    const { podA, podB, cart, world, node: host, remote, far } = at[family];
    const send = (body: Body, destination: string = world) =>
      packetFrom(node.run('pod_from', fromPod('podA', { source: podA, destination }, body), { ifindex: link.podA }));
    const receive = (body: Body) =>
      node.run('host_from', fromWire({ source: world, destination: host }, body), { ifindex: link.uplink }).verdict;
    const packets = () => entryFrom(node, podA).value.packets;
    const flags = () => node.conntrack().map(({ value }) => value.flags);
    const open = (port = 40_000) => {
      send(tcp(port, 443));
      receive(tcp(443, port, 'SA'));
      send(tcp(port, 443, 'A'));
    };

    for (const [name, opening] of [
      ['connection', tcp(40_000, 443)],
      ['flow of datagrams', udp(40_000, 443)],
    ] as const)
      it(`opens a ${name} over IPv${family} anew whose answer has lost its way`, () => {
        send(opening);
        const [, reply] = node
          .conntrack()
          .toSorted((a, b) => (a.value.flags & ConntrackFlag.reply) - (b.value.flags & ConntrackFlag.reply));
        assert.ok(reply);
        assert.equal(node.datapath.map('conntrack').delete(flowCodec.encode(reply.key)), true);
        node.age(1); // so that it is looked at again
        send(opening);
        assert.equal(node.conntrack().length, 2);
        assert.equal(packets(), began);
      });

    it(`counts packets and bytes of each direction over IPv${family}`, () => {
      const header = (family === 4 ? 20 : 40) + 20;
      open();
      send(tcp(40_000, 443, 'PA', { payload: 'x'.repeat(100) }));
      const counts = [podA, world].map((source) => entryFrom(node, source).value).map((entry) => [entry.packets, entry.bytes]);
      assert.deepEqual(counts, [
        [3, 3 * header + 100],
        [1, header],
      ]);
    });

    for (const { name, idle, answered, closed } of [
      { name: 'nobody answered', idle: NEVER_ANSWERED, answered: false, closed: false },
      { name: 'was answered', idle: IDLE_TCP, answered: true, closed: false },
      { name: 'was reset', idle: CLOSED, answered: true, closed: true },
    ]) {
      it(`forgets a connection over IPv${family} that ${name} after ${idle} idle seconds`, () => {
        const make = () => {
          send(tcp(40_000, 443));
          if (answered) receive(tcp(443, 40_000, 'SA'));
          if (closed) receive(tcp(443, 40_000, 'RA'));
        };
        make();
        node.age(idle - 5);
        send(tcp(40_000, 443, 'A'));
        assert.equal(packets(), 2);
        node.forget();
        make();
        node.age(idle + 2);
        assert.equal(receive(tcp(443, 40_000, 'A')), 'stack');
        send(tcp(40_000, 443, 'A'));
        assert.equal(packets(), began);
      });
    }

    it(`forgets a flow of datagrams over IPv${family} after 60 idle seconds`, () => {
      send(udp(40_000, 53));
      node.age(55);
      send(udp(40_000, 53));
      assert.equal(packets(), 2);
      node.age(62);
      send(udp(40_000, 53));
      assert.equal(packets(), began);
    });

    it(`keeps both directions alive over IPv${family} while packets go in one`, () => {
      send(udp(40_000, 53));
      for (let i = 0; i < 5; i++) {
        node.age(50);
        send(udp(40_000, 53));
      }
      assert.equal(receive(udp(53, 40_000)), 'redirect');
      for (let i = 0; i < 5; i++) {
        node.age(50);
        receive(udp(53, 40_000));
      }
      send(udp(40_000, 53));
      assert.equal(packets(), 7);
    });

    it(`starts over with a SYN over IPv${family} once its sender has ended the connection`, () => {
      for (const end of [tcp(40_000, 443, 'FA'), tcp(40_000, 443, 'R'), tcp(40_000, 443, 'RA')]) {
        open();
        send(end);
        assert.equal(packets(), 3);
        send(tcp(40_000, 443));
        assert.equal(packets(), began);
        assert.equal(
          flags().some((value) => value & ended),
          false,
        );
        node.forget();
      }
    });

    it(`starts over with a SYN over IPv${family} once the other side has ended the connection`, () => {
      open();
      receive(tcp(443, 40_000, 'FA'));
      send(tcp(40_000, 443));
      assert.equal(packets(), began);
      assert.equal(
        flags().some((value) => value & ended),
        false,
      );
    });

    it(`does not start over with a SYN that is sent again over IPv${family}`, () => {
      const [first, second] = [send(tcp(40_000, 443)), send(tcp(40_000, 443))];
      assert.deepEqual(first, second);
      open();
      send(tcp(40_000, 443));
      assert.equal(packets(), 5);
    });

    it(`is closing over IPv${family} after a RST from either side, or a FIN from both`, () => {
      const closing = () => flags().map((value) => Boolean(value & ConntrackFlag.closing));
      for (const { steps, wanted } of [
        { steps: [() => send(tcp(40_000, 443, 'FA'))], wanted: false },
        { steps: [() => receive(tcp(443, 40_000, 'FA'))], wanted: false },
        { steps: [() => send(tcp(40_000, 443, 'FA')), () => receive(tcp(443, 40_000, 'FA'))], wanted: true },
        { steps: [() => receive(tcp(443, 40_000, 'FA')), () => send(tcp(40_000, 443, 'FA'))], wanted: true },
        { steps: [() => send(tcp(40_000, 443, 'R'))], wanted: true },
        { steps: [() => receive(tcp(443, 40_000, 'RA'))], wanted: true },
      ]) {
        open();
        for (const step of steps) step();
        assert.deepEqual(closing(), [wanted, wanted]);
        node.forget();
      }
    });

    it(`keeps a half-closed connection over IPv${family} with its backend while the answer takes its time`, () => {
      send(tcp(1234, 80), remote);
      node.run('host_from', fromWire({ source: far, destination: podA }, tcp(8080, 1234, 'SA')), { ifindex: link.uplink });
      send(tcp(1234, 80, 'FA'), remote);
      node.age(3000);
      node.run('host_from', fromWire({ source: far, destination: podA }, tcp(8080, 1234, 'PA', { payload: 'late' })), {
        ifindex: link.uplink,
      });
      send(tcp(1234, 80, 'A'), remote);
      assert.equal(packets(), 3);
    });

    it(`gives the port of an ended connection to the next over IPv${family}`, () => {
      open();
      receive(tcp(443, 40_000, 'RA'));
      node.age(CLOSED + 2);
      const second = fromPod('podB', { source: podB, destination: world }, tcp(40_000, 443));
      expectRun(node, 'pod_from', second, { verdict: 'redirect', ifindex: link.podB, out: routed(second, { source: host }) });
      const third = send(tcp(40_000, 443));
      assert.ok(third.body.kind === 'tcp' && third.body.sourcePort !== 40_000, 'two pods share a port');
    });

    it(`survives a clock that is behind the last packet over IPv${family}`, () => {
      open();
      node.age(-5);
      send(tcp(40_000, 443, 'A'));
      assert.equal(packets(), 3);
    });

    it(`begins nothing over IPv${family} with a RST that nobody waits for`, () => {
      send(tcp(40_000, 443, 'R'));
      assert.deepEqual(
        flags().map((each) => each & ConntrackFlag.closing),
        [ConntrackFlag.closing, ConntrackFlag.closing],
      );
      send(tcp(40_000, 443));
      assert.equal(packets(), began);
      assert.ok(flags().every((each) => !(each & ConntrackFlag.closing)));
    });

    it(`gives a connection over IPv${family} no answers in the name of a service by which its port has been used since`, () => {
      const direct = () => send(tcp(40_000, 8080), podB);
      direct();
      const [reply] = node.conntrack().filter(({ value }) => value.flags & ConntrackFlag.reply);
      assert.ok(reply);
      assert.equal(node.datapath.map('conntrack').delete(flowCodec.encode(reply.key)), true); // evicted
      send(tcp(40_000, 80), cart);
      const again = direct();
      assert.notEqual(again.body.kind === 'tcp' && again.body.sourcePort, 40_000, "that port is the service flow's");
      node.forget();
    });

    it(`begins a connection over IPv${family} anew that was taken for the answer to another which is gone`, () => {
      node.run('host_from', fromWire({ source: far, destination: podA }, tcp(8080, 40_000, 'SA')), { ifindex: link.uplink });
      const [first] = node.conntrack().filter(({ value }) => !(value.flags & ConntrackFlag.reply));
      assert.ok(first);
      assert.equal(node.datapath.map('conntrack').delete(flowCodec.encode(first.key)), true); // another flow's by now
      send(tcp(40_000, 8080), far);
      assert.equal(entryFrom(node, podA).value.flags & ConntrackFlag.reply, 0);
      assert.equal(node.conntrack().length, 2);
    });

    it(`lets connections from both ends of one pair of ports be one over IPv${family}`, () => {
      const outwards = fromPod('podA', { source: podA, destination: podB }, tcp(1, 2));
      node.run('pod_from', outwards, { ifindex: link.podA });
      const inwards = fromPod('podB', answerTo(outwards), tcp(2, 1));
      expectRun(node, 'pod_from', inwards, { verdict: 'redirect', ifindex: link.podB, out: delivered('podA', inwards) });
      assert.equal(node.conntrack().length, 2);
    });
  }

  for (const { label, body, podA, world } of cases) {
    it(`has the same two entries for ${label} however often the first packet comes`, () => {
      const still = { packets: 0, bytes: 0, lastSeen: 0, opened: 0, reported: 0 };
      const shape = () => node.conntrack().map(({ key, value }) => ({ key, value: { ...value, ...still } }));
      const request = fromPod('podA', { source: podA, destination: world }, body(40_000));
      node.run('pod_from', request, { ifindex: link.podA });
      const first = shape();
      for (let i = 0; i < 5; i++) node.run('pod_from', request, { ifindex: link.podA });
      assert.deepEqual(shape(), first);
      node.forget();
      node.run('pod_from', request, { ifindex: link.podA });
      assert.deepEqual(new Set(shape().map((row) => JSON.stringify(row))), new Set(first.map((row) => JSON.stringify(row))));
    });
  }
});
