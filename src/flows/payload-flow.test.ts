// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encode } from 'dns-packet';
import type { Packet } from 'dns-packet';
import { ip } from '../base/ip.ts';
import { randomFrom } from '../base/random.ts';
import { ConntrackFlag, EventKind, Hook, payloadEventCodec, TracePoint } from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { eventRow } from '../datapath/testdata/rows.ts';
import { flowDecoder } from './decoder.ts';
import { directoryOf } from './directory.ts';
import { FlowType, TrafficDirection, Verdict } from './flow-enums.ts';
import type { Redaction } from './redaction.ts';
import { CART, cartIp, farIp, known, recordsOf, serviceIp, smallCluster, worldIp } from './testdata/agent.ts';

const [TCP, UDP] = [6, 17];
const ms = 1_000_000;

/** A packet from one to the other, with the service's address where the client sees it. */
function packet(said: Partial<Event> & Pick<Event, 'flow'>): Event {
  const { source, destination, sourcePort, destinationPort } = said.flow;
  return eventRow({ kind: EventKind.payload, source, destination, sourcePort, destinationPort, point: TracePoint.toNetwork, ...said });
}

function reversed({ flow, ...event }: Event, time: number): Event {
  const back = {
    source: event.destination,
    sourcePort: event.destinationPort,
    destination: event.source,
    destinationPort: event.sourcePort,
  };
  const { source, destination, sourcePort, destinationPort, protocol } = flow;
  const seen = { source: destination, sourcePort: destinationPort, destination: source, destinationPort: sourcePort };
  return eventRow({
    ...event,
    ...seen,
    flow: { ...back, protocol },
    conntrack: ConntrackFlag.reply,
    time,
    sourceIdentity: event.destinationIdentity,
    destinationIdentity: event.sourceIdentity,
  });
}

function seeing(redaction?: Redaction) {
  const { tables } = smallCluster();
  let count = 0;
  const decoder = flowDecoder({ directory: directoryOf(tables), nodeName: 'default/node1', uuid: () => String(++count) }, redaction);
  const many = (event: Event, payload: string | Buffer) => {
    const bytes = Buffer.alloc(512);
    const content = Buffer.from(payload).subarray(0, 512);
    content.copy(bytes);
    const record = payloadEventCodec.encode({ event, length: payload.length, kept: content.length, sequence: 1, bytes });
    return decoder.decode(recordsOf([record]), 0n).flows.map(known);
  };
  const see = (event: Event, payload: string | Buffer) => many(event, payload)[0];
  return { decoder, many, see };
}

const query = packet({
  time: 100 * ms,
  hook: Hook.podFrom,
  flow: { source: cartIp, destination: serviceIp, sourcePort: 40_000, destinationPort: 53, protocol: UDP },
  destination: farIp,
  destinationPort: 5353,
  sourceIdentity: CART,
});
const asked: Packet = { type: 'query', id: 77, questions: [{ type: 'A', name: 'example.org' }] };
const told: Packet = {
  ...asked,
  type: 'response',
  answers: [
    { type: 'CNAME', name: 'example.org', ttl: 300, data: 'www.example.org' },
    { type: 'A', name: 'www.example.org', ttl: 30, data: worldIp },
  ],
};

describe('DNS in a flow', () => {
  it('is a question and its answer, with how long that took', () => {
    const { see } = seeing();
    const question = see(query, encode(asked));
    assert.deepEqual(question?.l7, {
      type: 1,
      record: { kind: 'dns', query: 'example.org.', qtypes: ['A'], observationSource: 'proxy' },
    });
    assert.deepEqual([question.type, question.verdict, question.eventType], [FlowType.L7, Verdict.FORWARDED, { type: 129, subType: 0 }]);
    assert.deepEqual(question.l4, { kind: 'UDP', sourcePort: 40_000, destinationPort: 5353 });
    assert.deepEqual([question.isReply, question.trafficDirection], [false, TrafficDirection.EGRESS]);
    assert.equal(question.summary, 'DNS Query example.org. A');
    const answer = see(reversed(query, 104 * ms), encode(told));
    assert.deepEqual(answer?.l7, {
      type: 2,
      latencyNs: 4_000_000n,
      record: {
        kind: 'dns',
        query: 'example.org.',
        qtypes: ['A'],
        observationSource: 'proxy',
        rcode: 0,
        ips: [worldIp],
        cnames: ['www.example.org.'],
        ttl: 30,
        rrtypes: ['CNAME', 'A'],
      },
    });
    assert.deepEqual([answer.isReply, answer.source?.podName, answer.destination?.podName], [true, 'far', 'cart-7d4-x']);
    assert.equal(answer.summary, `DNS Answer "${worldIp}" CNAMEs: "www.example.org." TTL: 30 (Proxy example.org. A)`);
  });

  it('that fails says why, as clients of Hubble know it', () => {
    const { see } = seeing();
    const bytes = encode({ ...asked, type: 'response' });
    bytes.writeUInt16BE(bytes.readUInt16BE(2) | 3, 2);
    assert.equal(see(reversed(query, 0), bytes)?.summary, 'DNS Answer RCode: Non-Existent Domain TTL: 4294967295 (Proxy example.org. A)');
  });

  it('over TCP is the same after its length', () => {
    const { see } = seeing();
    const bytes = encode(asked);
    const over = { ...query, flow: { ...query.flow, protocol: TCP } };
    assert.equal(see(over, Buffer.concat([Buffer.from([0, bytes.length]), bytes]))?.summary, 'DNS Query example.org. A');
  });

  it('gives an answer no latency whose question was not seen, or was another', () => {
    const { see } = seeing();
    see({ ...query, flow: { ...query.flow, sourcePort: 40_001 } }, encode(asked));
    see(query, encode({ ...asked, id: 78 }));
    assert.equal(see(reversed(query, 104 * ms), encode(told))?.l7?.latencyNs, undefined);
  });

  it('teaches the pod that asked the name of an address, and nobody else', () => {
    const { see } = seeing();
    see(reversed(query, 0), encode(told));
    const to = (source = cartIp) =>
      packet({ flow: { source, destination: worldIp, sourcePort: 1, destinationPort: 80, protocol: TCP }, time: 1 });
    assert.deepEqual(see(to(), 'GET / HTTP/1.1\r\n\r\n')?.destinationNames, ['example.org']);
    assert.deepEqual(see(reversed(to(), 2), 'HTTP/1.1 200 OK\r\n\r\n')?.sourceNames, ['example.org']);
    assert.equal(see(to(ip('10.244.1.6')), 'GET / HTTP/1.1\r\n\r\n')?.destinationNames, undefined);
  });
});

const request = packet({
  time: 10 * ms,
  hook: Hook.hostFrom,
  point: TracePoint.toEndpoint,
  flow: { source: worldIp, destination: serviceIp, sourcePort: 50_000, destinationPort: 80, protocol: TCP },
  destination: cartIp,
  destinationPort: 8080,
});
const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('HTTP in a flow', () => {
  it('is a request and its answer, with how long that took', () => {
    const { see } = seeing();
    const first = see(request, `GET /cart?x=1 HTTP/1.1\r\nHost: web\r\ntraceparent: ${trace}\r\n\r\n`);
    assert.deepEqual([first?.summary, first?.isReply], ['HTTP/1.1 GET http://web/cart?x=1', false]);
    assert.equal(first?.traceContext?.parent?.traceId, '0af7651916cd43dd8448eb211c80319c');
    assert.equal(first.trafficDirection, TrafficDirection.INGRESS);
    assert.deepEqual([first.source?.labels, first.destination?.podName], [['reserved:world'], 'cart-7d4-x']);
    assert.deepEqual(first.destinationService, { name: 'stock', namespace: 'shop' });
    const answer = see(reversed(request, 14.7 * ms), 'HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n<html>');
    assert.deepEqual(answer?.l7, {
      type: 2,
      latencyNs: 4_700_000n,
      record: {
        kind: 'http',
        code: 200,
        protocol: 'HTTP/1.1',
        method: 'GET',
        url: 'http://web/cart?x=1',
        headers: [{ key: 'Server', value: 'nginx' }],
      },
    });
    assert.equal(answer.summary, 'HTTP/1.1 200 4ms (GET http://web/cart?x=1)');
    assert.equal(answer.traceContext?.parent?.traceId, '0af7651916cd43dd8448eb211c80319c');
    assert.deepEqual([answer.isReply, answer.trafficDirection, answer.sourceService?.name], [true, TrafficDirection.INGRESS, 'stock']);
  });

  it('answers requests in their order, and what is informational answers none', () => {
    const { see } = seeing();
    for (const path of ['a', 'b']) see(request, `GET /${path} HTTP/1.1\r\nHost: web\r\n\r\n`);
    const codes = [100, 201, 202, 203].map((code) => see(reversed(request, 20 * ms), `HTTP/1.1 ${code} x\r\n\r\n`)?.summary);
    assert.deepEqual(codes, [
      'HTTP/1.1 100 0ms ( )',
      'HTTP/1.1 201 10ms (GET http://web/a)',
      'HTTP/1.1 202 10ms (GET http://web/b)',
      'HTTP/1.1 203 0ms ( )',
    ]);
  });

  it('without a Host has the address that the client used, and a whole URL stays as it is', () => {
    const { see } = seeing();
    assert.equal(see(request, 'GET / HTTP/1.0\r\n\r\n')?.summary, `HTTP/1.0 GET http://${serviceIp}:80/`);
    assert.equal(see(request, 'GET http://a.example/b HTTP/1.1\r\nHost: c\r\n\r\n')?.summary, 'HTTP/1.1 GET http://a.example/b');
  });
});

describe('HTTP/2 in a flow', () => {
  const http2Flag = { conntrack: ConntrackFlag.http2 };
  const frames = (type: number, stream: number, block: readonly number[]) =>
    Buffer.from([0, 0, block.length, type, 4, 0, 0, 0, stream, ...block]);
  const method = 0x83; // POST
  const path = [0x44, 4, ...Buffer.from('/a?b')];
  const host = [0x41, 3, ...Buffer.from('web')];

  it('is as many requests as a packet has, each answered by its own', () => {
    const { decoder, many } = seeing();
    const bytes = Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frames(4, 0, []),
      frames(1, 1, [method, ...path, ...host]),
      frames(1, 3, [0x82, 0xbf, 0xbe]), // GET, and what was said before
    ]);
    const asked = many({ ...request, ...http2Flag }, bytes);
    const answers = many(
      { ...reversed(request, 30 * ms), conntrack: ConntrackFlag.http2 | ConntrackFlag.reply },
      Buffer.concat([frames(4, 0, []), frames(1, 3, [0x8d]), frames(1, 1, [0x88])]),
    );
    assert.deepEqual(
      [...asked, ...answers].map(({ summary }) => summary),
      [
        'HTTP/2 POST http://web/a?b',
        'HTTP/2 GET http://web/a?b',
        'HTTP/2 404 20ms (GET http://web/a?b)',
        'HTTP/2 200 20ms (POST http://web/a?b)',
      ],
    );
    assert.deepEqual(decoder.malformed, { dns: 0, http: 0 });
    many({ ...request, ...http2Flag, flow: { ...request.flow, sourcePort: 1 } }, frames(1, 2, [method]));
    assert.deepEqual(decoder.malformed, { dns: 0, http: 1 });
  });
});

describe('what flows are not to show of HTTP', () => {
  const all: Redaction = { urlQuery: true, userInfo: true, allow: [], deny: [] };
  const text = `GET /cart?token=s3cret HTTP/1.1\r\nHost: ann:s3cret@web\r\nUser-Agent: s3cret\r\ntraceparent: ${trace}\r\n\r\n`;

  it('is in no part of the request, nor of its answer, and the trace is still known', () => {
    const { see } = seeing(all);
    const asked = see(request, text);
    const answer = see(reversed(request, 20 * ms), 'HTTP/1.1 302 Found\r\nLocation: http://web/?s3cret\r\n\r\n');
    assert.deepEqual(
      [asked?.summary, answer?.summary],
      ['HTTP/1.1 GET http://ann:HUBBLE_REDACTED@web/cart', 'HTTP/1.1 302 10ms (GET http://ann:HUBBLE_REDACTED@web/cart)'],
    );
    const shown = JSON.stringify([asked, answer], (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    assert.ok(!shown.includes('s3cret'), shown);
    assert.equal(answer?.traceContext?.parent?.traceId, '0af7651916cd43dd8448eb211c80319c');
  });

  it('is in the flow where nobody says so', () => {
    assert.ok(seeing().see(request, text)?.summary?.includes('s3cret'));
  });
});

describe('what is neither', () => {
  it('is a number: an answer where a request is due, and the other way round, too', () => {
    const { decoder, see } = seeing();
    assert.equal(see(request, 'HTTP/1.1 200 OK\r\n\r\n'), undefined);
    assert.equal(see(reversed(request, 0), 'GET / HTTP/1.1\r\n\r\n'), undefined);
    assert.equal(see(query, encode(told)), undefined);
    assert.equal(see(query, 'no such thing as a message'), undefined);
    assert.deepEqual(decoder.malformed, { dns: 2, http: 2 });
  });

  it('be it anything at all, ends and throws nothing', () => {
    const { see } = seeing();
    const { below, bytes, pick } = randomFrom(4);
    const starts = [encode(told), Buffer.from('GET / HTTP/1.1\r\nHost: '), Buffer.from('HTTP/1.1 200 '), Buffer.alloc(0)] as const;
    for (let i = 0; i < 5000; i++) {
      const event = pick([query, reversed(query, below(1000)), request, reversed(request, below(1000))] as const);
      see(event, Buffer.concat([pick(starts), bytes(below(40))]));
    }
  });

  it('keeps no more requests than there is room for', () => {
    const { see } = seeing();
    const asks = (sourcePort: number) => ({ ...query, flow: { ...query.flow, sourcePort } });
    for (let port = 1; port <= 10_001; port++) see(asks(port), encode(asked));
    const answers = (port: number) => see({ ...reversed(asks(port), 104 * ms), destinationPort: port }, encode(told))?.l7?.latencyNs;
    assert.deepEqual([answers(1), answers(10_001)], [undefined, 4_000_000n]);
  });
});
