// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import {
  ConntrackFlag,
  DropReason,
  eventCodec,
  EventKind,
  Hook,
  socketEventCodec,
  TracePoint,
  TraceReason,
} from '../datapath/schema.gen.ts';
import type { Event } from '../datapath/schema.gen.ts';
import { eventRow } from '../datapath/testdata/rows.ts';
import { Reserved } from '../identities/numbers.ts';
import { flowDecoder } from './decoder.ts';
import { directoryOf } from './directory.ts';
import { TcpFlag } from './flow.ts';
import { FlowType, SocketTranslationPoint, TraceObservationPoint, TrafficDirection, Verdict } from './flow-enums.ts';
import {
  CART,
  cartIp,
  FAR,
  farIp,
  known,
  NETNS,
  nodeIp,
  otherNodeIp,
  recordsOf,
  SERVICE,
  serviceIp,
  smallCluster,
  worldIp,
} from './testdata/agent.ts';

const BOOT = 1_700_000_000_000_000_000n;
const TCP = 6;
const WORLD = 2;

function decoding() {
  const cluster = smallCluster();
  let count = 0;
  const decoder = flowDecoder({ directory: directoryOf(cluster.tables), nodeName: 'default/node1', uuid: () => `flow ${++count}` });
  const all = (...events: readonly Event[]) => decoder.decode(recordsOf(events.map((event) => eventCodec.encode(event))), BOOT);
  const one = (event: Event) => {
    const [flow, ...more] = all(event).flows;
    assert.ok(flow && more.length === 0);
    return known(flow);
  };
  return { ...cluster, decoder, all, one };
}

/** The first packet of the pod here to a service whose backend is on another node. */
const opening = eventRow({
  time: 5_000_000_000,
  kind: EventKind.trace,
  reason: TraceReason.new,
  point: TracePoint.toNetwork,
  interfaceIndex: 2,
  flow: { source: cartIp, destination: serviceIp, sourcePort: 40_000, destinationPort: 80, protocol: TCP },
  source: cartIp,
  destination: farIp,
  sourcePort: 40_000,
  destinationPort: 8080,
  sourceIdentity: CART,
  destinationIdentity: FAR,
  tcpFlags: TcpFlag.SYN,
  packets: 1,
  bytes: 60,
});

/** Its answer. */
const answer = eventRow({
  ...opening,
  reason: TraceReason.reply,
  point: TracePoint.toEndpoint,
  interfaceIndex: 0x100011,
  flow: { source: farIp, destination: cartIp, sourcePort: 8080, destinationPort: 40_000, protocol: TCP },
  source: serviceIp,
  destination: cartIp,
  sourcePort: 80,
  destinationPort: 40_000,
  sourceIdentity: FAR,
  destinationIdentity: CART,
  conntrack: ConntrackFlag.reply,
  tcpFlags: TcpFlag.SYN | TcpFlag.ACK,
});

describe('a flow of a packet that passes', () => {
  it('has both pods, the service between them, and where it was seen', () => {
    const { one } = decoding();
    assert.deepEqual(one(opening), {
      time: BOOT + 5_000_000_000n,
      uuid: 'flow 1',
      nodeName: 'default/node1',
      ip: { source: cartIp, destination: farIp, ipVersion: 1 },
      source: {
        id: 17,
        identity: CART,
        clusterName: 'default',
        namespace: 'shop',
        podName: 'cart-7d4-x',
        labels: ['k8s:app=cart', 'k8s:io.kubernetes.pod.namespace=shop'],
        workloads: [{ name: 'cart', kind: 'Deployment' }],
      },
      destination: {
        identity: FAR,
        clusterName: 'default',
        namespace: 'shop',
        podName: 'far',
        labels: ['k8s:app=far', 'k8s:io.kubernetes.pod.namespace=shop'],
        workloads: [{ name: 'far', kind: 'StatefulSet' }],
      },
      destinationService: { name: 'stock', namespace: 'shop' },
      verdict: Verdict.FORWARDED,
      l4: { kind: 'TCP', sourcePort: 40_000, destinationPort: 8080, flags: TcpFlag.SYN },
      type: FlowType.L3_L4,
      reply: false,
      isReply: false,
      eventType: { type: 4, subType: 11 },
      traceObservationPoint: TraceObservationPoint.TO_NETWORK,
      traceReason: 1,
      trafficDirection: TrafficDirection.EGRESS,
      interface: { index: 2, name: 'eth0' },
      summary: 'TCP Flags: SYN',
    });
  });

  it('of an answer belongs to the same connection: its direction stays, the service is at its source', () => {
    const { one } = decoding();
    const flow = one(answer);
    assert.deepEqual(flow.ip, { source: farIp, destination: cartIp, ipVersion: 1 });
    assert.deepEqual(flow.l4, { kind: 'TCP', sourcePort: 8080, destinationPort: 40_000, flags: TcpFlag.SYN | TcpFlag.ACK });
    assert.deepEqual([flow.sourceService, flow.destinationService], [{ name: 'stock', namespace: 'shop' }, undefined]);
    assert.deepEqual([flow.isReply, flow.trafficDirection], [true, TrafficDirection.EGRESS]);
    assert.deepEqual(flow.eventType, { type: 4, subType: 0 });
    assert.equal(flow.traceObservationPoint, TraceObservationPoint.TO_ENDPOINT);
    assert.equal(flow.interface?.name, 'lxc0123456789ab');
    assert.equal(flow.summary, 'TCP Flags: SYN, ACK');
  });

  it('names the service that the socket was connected to, though no packet ever had its address', () => {
    const { one } = decoding();
    const direct = { ...opening, flow: { ...opening.flow, destination: farIp, destinationPort: 8080 } };
    assert.equal(one(direct).destinationService, undefined);
    assert.deepEqual(one({ ...direct, meant: SERVICE }).destinationService, { name: 'stock', namespace: 'shop' });
    assert.equal(one({ ...direct, meant: SERVICE + 1 }).destinationService, undefined);
  });

  it('has the source before masquerade, and beside it the one on the wire', () => {
    const { one } = decoding();
    const masqueraded = { ...opening, destination: worldIp, source: nodeIp, destinationIdentity: WORLD };
    const flow = one({ ...masqueraded, flow: { ...opening.flow, destination: worldIp } });
    assert.deepEqual(flow.ip, { source: cartIp, sourceXlated: nodeIp, destination: worldIp, ipVersion: 1 });
    assert.deepEqual(flow.destination, { identity: WORLD, labels: ['reserved:world'] });
  });

  for (const [what, protocol, icmpType, icmpCode, summary] of [
    ['UDP', 17, 0, 0, 'UDP'],
    ['a ping', 1, 8, 0, 'ICMPv4 EchoRequest'],
    ['a closed port', 1, 3, 3, 'ICMPv4 DestinationUnreachable(Port)'],
    ['a reply over IPv6', 58, 129, 0, 'ICMPv6 EchoReply'],
    ['what nobody knows', 1, 77, 5, 'ICMPv4 77(5)'],
    ['another protocol', 47, 0, 0, 'Unknown L4 protocol 47'],
  ] as const)
    it(`of ${what} says '${summary}'`, () => {
      const { one } = decoding();
      assert.equal(one({ ...opening, flow: { ...opening.flow, protocol }, icmpType, icmpCode }).summary, summary);
    });

  it('follows the tables: what comes after a change knows of it, what came before stays as it was', () => {
    const { one, write } = decoding();
    const before = one(opening);
    write.remotePods.delete('shop/far');
    write.frontends.delete(`${serviceIp}:80/TCP`);
    const after = one(opening);
    assert.deepEqual([before.destination?.podName, before.destinationService?.name], ['far', 'stock']);
    assert.deepEqual([after.destination?.podName, after.destinationService?.name], [undefined, undefined]);
    assert.deepEqual(after.destination?.labels, ['k8s:app=far', 'k8s:io.kubernetes.pod.namespace=shop'], 'the identity is still known');
  });
});

describe('a flow of a packet that is dropped', () => {
  const drop = eventRow({
    reason: DropReason.serviceBackendNotFound,
    hook: Hook.podFrom,
    line: 77,
    flow: opening.flow,
    tcpFlags: TcpFlag.SYN,
  });

  it('has the reason twice, the line that decided, and nobody knows whether it is an answer', () => {
    const { one } = decoding();
    const flow = one(drop);
    assert.deepEqual([flow.verdict, flow.dropReason, flow.dropReasonDesc], [Verdict.DROPPED, 158, 158]);
    assert.deepEqual([flow.isReply, flow.reply, flow.trafficDirection], [undefined, false, TrafficDirection.EGRESS]);
    assert.deepEqual(flow.file, { name: 'pod.bpf.c', line: 77 });
    assert.deepEqual(flow.eventType, { type: 1, subType: 158 });
    assert.deepEqual(flow.ip, { source: cartIp, destination: serviceIp, ipVersion: 1 });
    assert.equal(flow.source?.podName, 'cart-7d4-x');
    assert.deepEqual(flow.destinationService, { name: 'stock', namespace: 'shop' });
  });

  it('is incoming for a pod of this node, and of unknown direction for nobody', () => {
    const { one } = decoding();
    const incoming = { ...drop, hook: Hook.hostFrom, flow: { ...drop.flow, source: worldIp, destination: cartIp } };
    assert.equal(one(incoming).trafficDirection, TrafficDirection.INGRESS);
    const nobody = { ...incoming, flow: { ...incoming.flow, destination: ip('198.51.100.1') } };
    assert.equal(one(nobody).trafficDirection, TrafficDirection.TRAFFIC_DIRECTION_UNKNOWN);
  });

  for (const [what, address, identity] of [
    ['the world', worldIp, Reserved.world],
    ['this node', nodeIp, Reserved.host],
    ['another node', otherNodeIp, Reserved.remoteNode],
    ['a pod of this node', cartIp, CART],
    ['a pod of another node', farIp, FAR],
    ['nobody knows, in a range of pods', ip('10.244.2.99'), Reserved.unknown],
  ] as const)
    it(`says who sent it, though the kernel tells of none: ${what}`, () => {
      const { one } = decoding();
      assert.equal(one({ ...drop, flow: { ...drop.flow, source: address } }).source?.identity, identity);
    });

  it('follows nodes that come and go', () => {
    const { one, write } = decoding();
    const { destination } = drop.flow;
    const from = (source = ip('192.168.0.13')) => one({ ...drop, flow: { ...drop.flow, source, destination } }).source?.identity;
    assert.equal(from(), Reserved.world);
    write.nodes.put('node3', { name: 'node3', addresses: [ip('192.168.0.13')], podCidrs: [] });
    assert.equal(from(), Reserved.remoteNode);
    write.nodes.delete('node3');
    assert.equal(from(), Reserved.world);
  });
});

describe("a flow of a node's own", () => {
  it('is of the host, also where the kernel did not know yet, or knows the address for one of the world', () => {
    const { one } = decoding();
    const own = { ...opening, flow: { ...opening.flow, source: nodeIp }, source: nodeIp };
    for (const sourceIdentity of [Reserved.host, Reserved.world, Reserved.remoteNode, Reserved.unknown])
      assert.deepEqual(one({ ...own, sourceIdentity }).source, { identity: Reserved.host, labels: ['reserved:host'] });
    assert.equal(one({ ...own, sourceIdentity: Reserved.health }).source?.identity, Reserved.health);
  });
});

describe('a socket that means a service', () => {
  const said = {
    time: 7,
    kind: EventKind.socket,
    service: SERVICE,
    frontend: { address: serviceIp, port: 80, protocol: TCP },
    backend: { address: farIp, port: 8080, protocol: TCP },
    socket: 12,
    netns: NETNS,
    cgroup: 34,
  };

  it('is two flows, before and after translation, of the pod that it belongs to', () => {
    const { decoder } = decoding();
    const { flows } = decoder.decode(recordsOf([socketEventCodec.encode(said)]), BOOT);
    const { SOCK_XLATE_POINT_PRE_DIRECTION_FWD: pre, SOCK_XLATE_POINT_POST_DIRECTION_FWD: post } = SocketTranslationPoint;
    assert.deepEqual(
      flows.map(({ verdict, sockXlatePoint, ip: ends, l4, eventType }) => ({ verdict, sockXlatePoint, ends, l4, eventType })),
      [
        {
          verdict: Verdict.TRACED,
          sockXlatePoint: pre,
          ends: { source: cartIp, destination: serviceIp, ipVersion: 1 },
          l4: { kind: 'TCP', sourcePort: 0, destinationPort: 80 },
          eventType: { type: 7, subType: pre },
        },
        {
          verdict: Verdict.TRANSLATED,
          sockXlatePoint: post,
          ends: { source: cartIp, destination: farIp, ipVersion: 1 },
          l4: { kind: 'TCP', sourcePort: 0, destinationPort: 8080 },
          eventType: { type: 7, subType: post },
        },
      ],
    );
    for (const flow of flows) {
      assert.equal(flow.source?.podName, 'cart-7d4-x');
      assert.deepEqual(flow.destinationService, { name: 'stock', namespace: 'shop' });
      assert.deepEqual([flow.socketCookie, flow.cgroupId, flow.isReply, flow.summary], [12n, 34n, undefined, 'TCP']);
    }
  });

  it('of nobody here is one of the node', () => {
    const { decoder } = decoding();
    const { flows } = decoder.decode(recordsOf([socketEventCodec.encode({ ...said, netns: 1 })]), BOOT);
    assert.deepEqual(flows[0]?.source?.labels, ['reserved:host']);
  });
});

describe('a connection', () => {
  const end = eventRow({
    ...opening,
    kind: EventKind.connection,
    reason: TraceReason.established,
    whole: 1,
    opened: 4_000_000_000,
    answered: 250,
    packets: 6,
    bytes: 600,
    replyPackets: 5,
    replyBytes: 5000,
  });

  it('says how much went each way, how long it took, and how long to the first answer', () => {
    const { all } = decoding();
    const { flows, connections } = all(end);
    assert.deepEqual(flows, []);
    const [one, ...more] = connections;
    assert.deepEqual(more, []);
    assert.deepEqual(
      [one?.sent, one?.received],
      [
        { packets: 6, bytes: 600 },
        { packets: 5, bytes: 5000 },
      ],
    );
    assert.deepEqual([one?.ended, one?.durationNs, one?.answeredNs], [true, 1_000_000_000n, 250_000n]);
    assert.deepEqual([one?.source?.podName, one?.destination?.podName, one?.destinationService?.name], ['cart-7d4-x', 'far', 'stock']);
  });

  it('is the same one whoever sent the last packet', () => {
    const { all } = decoding();
    const counts = { packets: end.replyPackets, bytes: end.replyBytes, replyPackets: end.packets, replyBytes: end.bytes };
    const [forth] = all(end).connections;
    const [back] = all({ ...answer, ...counts, kind: EventKind.connection, whole: 1, opened: end.opened, answered: 250 }).connections;
    assert.deepEqual(back, forth);
  });

  it('that goes on is told with the flow of its packet, and only when both directions are known', () => {
    const { all } = decoding();
    const { flows, connections } = all({ ...end, kind: EventKind.trace }, opening);
    assert.equal(flows.length, 2);
    assert.deepEqual(
      connections.map(({ ended }) => ended),
      [false],
    );
  });
});

it('a record that this version does not know, or that is of another length, is counted and costs nothing else', () => {
  const { decoder } = decoding();
  const strange = eventCodec.encode(opening);
  strange[8] = 200;
  const former = eventCodec.encode(opening).subarray(0, 64);
  assert.deepEqual(decoder.decode(recordsOf([strange, former, Buffer.alloc(0)]), BOOT), { flows: [], connections: [] });
  assert.equal(decoder.unknown, 3);
});
