// SPDX-License-Identifier: Apache-2.0
// Packets of the load balancer as its programs see them, on the node that is asked and on the backend's.
import { at, vipOf } from '../bpf/test/cluster.ts';
import { link, packetFrom } from '../bpf/test/loaded.ts';
import type { LoadedNode } from '../bpf/test/loaded.ts';
import { frame } from '../bpf/test/packet.ts';
import type { Body, Packet } from '../bpf/test/packet.ts';
import { answerTo, delivered, fromPod, fromWire, saying, tcp, udp, withPorts } from '../bpf/test/traffic.ts';

export type Hook = 'host_from' | 'pod_from' | 'xdp_from';

/** What is run: the programs change their packet, so each run has a frame of its own. */
export type BalancerFlow = {
  readonly name: string;
  readonly hook: Hook;
  readonly ifindex: number;
  readonly frames: readonly Buffer[];
  /** What each run has to return; others are not counted. */
  readonly verdict: number;
  /** Nanoseconds over the floor. */ readonly aim?: number;
  /** Makes the flow known before a batch of runs; of the floor and of new flows there is nothing to know. */
  prepare(): void;
};

const TC_REDIRECT = 7;
const XDP = { pass: 2, tx: 3 } as const;
/** Nanoseconds over the floor. */
const AIMS = { established: 300, opens: 500, xdp: 200 } as const;
/** New flows of a batch: as many client ports. */
export const FRESH = 200;
const PORTS = { client: 40_000, tcp: 80, udp: 53, tcpTarget: 8_080 } as const;

type Family = 4 | 6;
type Opened = { readonly first: Packet; readonly sent: Packet };

const segment = (sourcePort: number, destinationPort: number): Body =>
  tcp(sourcePort, destinationPort, 'PA', { ack: 9, payload: 'x'.repeat(64) });

/** The flows of one family in a node whose services are balanced in one way. */
export class BalancerFlows {
  readonly #node: LoadedNode;
  readonly #family: Family;

  constructor(node: LoadedNode, family: Family) {
    this.#node = node;
    this.#family = family;
  }

  /** Without DSR: both directions pass the node that was asked. */
  translated(): readonly BalancerFlow[] {
    const { request, answer } = this.#both(this.#open('away', tcp(PORTS.client, PORTS.tcp)));
    const prepare = () => void this.#both(this.#open('away', tcp(PORTS.client, PORTS.tcp)));
    const later = { hook: 'host_from', ifindex: link.uplink, verdict: TC_REDIRECT, aim: AIMS.established, prepare } as const;
    const cut = { ...later, hook: 'xdp_from', verdict: XDP.tx, aim: AIMS.xdp } as const;
    return [
      this.#opening('SNAT: a new connection', 'away'),
      { ...later, name: 'SNAT: request of a known one', frames: [frame(request)] },
      { ...later, name: 'SNAT: its answer', frames: [frame(answer)] },
      { ...cut, name: 'SNAT: request, in XDP', frames: [frame(request)] },
      { ...cut, name: 'SNAT: answer, in XDP', frames: [frame(answer)] },
      { ...this.#opening('a new connection, which XDP leaves to tc', 'away'), hook: 'xdp_from', verdict: XDP.pass },
      this.#opening('to a pod of the same node: a new connection', 'front'),
      { ...later, name: 'to a pod of the same node: of a known one', frames: [this.#near()], prepare: () => void this.#near() },
    ];
  }

  /** The node that is asked, in front of another node that answers; and that other node. `dispatch`: how it is told. */
  direct(dispatch: string): readonly BalancerFlow[] {
    const { request } = this.#both(this.#open('away', tcp(PORTS.client, PORTS.tcp)));
    const prepare = () => void this.#both(this.#open('away', tcp(PORTS.client, PORTS.tcp)));
    const datagram = this.#open('away', udp(PORTS.client, PORTS.udp, { payload: 'x'.repeat(64) })).first;
    const later = { hook: 'host_from', ifindex: link.uplink, verdict: TC_REDIRECT, aim: AIMS.established } as const;
    return [
      this.#opening(`DSR ${dispatch}: a new connection`, 'away'),
      { ...later, name: `DSR ${dispatch}: request of a known one`, frames: [frame(request)], prepare },
      {
        ...later,
        name: `DSR ${dispatch}: a datagram`,
        frames: [frame(datagram)],
        prepare: () => void this.#open('away', udp(PORTS.client, PORTS.udp)),
      },
      {
        ...later,
        hook: 'xdp_from',
        verdict: XDP.tx,
        aim: AIMS.xdp,
        name: `DSR ${dispatch}: a datagram, in XDP`,
        frames: [frame(datagram)],
        prepare: () => {
          for (let i = 0; i < 10; i++) this.#open('away', udp(PORTS.client, PORTS.udp));
        },
      },
      {
        ...later,
        hook: 'xdp_from',
        verdict: XDP.tx,
        aim: AIMS.xdp,
        name: `DSR ${dispatch}: request, in XDP`,
        frames: [frame(request)],
        prepare,
      },
      ...this.#told(dispatch),
    ];
  }

  /** The backend's node, told by option. */
  #told(dispatch: string): readonly BalancerFlow[] {
    if (dispatch !== 'opt') return [];
    const said = saying(vipOf('front', this.#family), PORTS.tcp, this.#family);
    const { world, podB } = at[this.#family];
    const arriving = (port: number): Packet => fromWire({ source: world, destination: podB }, tcp(port, PORTS.tcpTarget));
    const first = { ...arriving(PORTS.client), ...said };
    const arrive = () => {
      this.#node.run('host_from', first, { ifindex: link.uplink });
      const { body, ...ends } = answerTo(delivered('podB', arriving(PORTS.client)));
      const answer = fromPod('podB', ends, body);
      this.#node.run('pod_from', answer, { ifindex: link.podB });
      return { ...answer, body: withPorts(segment(PORTS.tcpTarget, PORTS.client), {}) };
    };
    return [
      {
        name: "DSR opt, backend's node: a new connection",
        hook: 'host_from',
        ifindex: link.uplink,
        verdict: TC_REDIRECT,
        aim: AIMS.opens,
        frames: ports().map((port) => frame({ ...arriving(port), ...said })),
        prepare: () => undefined,
      },
      {
        name: "DSR opt, backend's node: the pod's answer",
        hook: 'pod_from',
        ifindex: link.podB,
        verdict: TC_REDIRECT,
        aim: AIMS.established,
        frames: [frame(arrive())],
        prepare: () => void arrive(),
      },
    ];
  }

  #opening(name: string, service: 'away' | 'front'): BalancerFlow {
    const frames = ports().map((port) => frame(this.#request(service, tcp(port, PORTS.tcp))));
    const { uplink } = link;
    return { name, hook: 'host_from', ifindex: uplink, verdict: TC_REDIRECT, aim: AIMS.opens, frames, prepare: () => undefined };
  }

  #request(service: 'away' | 'front', body: Body): Packet {
    return fromWire({ source: at[this.#family].world, destination: vipOf(service, this.#family) }, body);
  }

  #open(service: 'away' | 'front', body: Body): Opened {
    const first = this.#request(service, body);
    return { first, sent: packetFrom(this.#node.run('host_from', first, { ifindex: link.uplink })) };
  }

  /** A request and an answer in the middle of a connection, of which both sides were seen where they pass. */
  #both({ first, sent }: Opened): { readonly request: Packet; readonly answer: Packet } {
    const { from, to, ttl, ...bare } = sent;
    const { options: _o, extensions: _e, ...plain } = bare;
    const reply = answerTo({ ...plain, ttl });
    const opened = fromWire(reply, reply.body);
    const request = { ...first, body: withPorts(segment(PORTS.client, PORTS.tcp), {}) };
    if (sent.source !== first.source) this.#node.run('host_from', opened, { ifindex: link.uplink });
    for (let i = 0; i < 2; i++) this.#node.run('host_from', request, { ifindex: link.uplink });
    void from;
    void to;
    return { request, answer: { ...opened, body: inTheMiddle(opened.body) } };
  }

  /** A segment to a pod of this node, of a connection that it has answered. */
  #near(): Buffer {
    const { first, sent } = this.#open('front', tcp(PORTS.client, PORTS.tcp));
    const { body, ...ends } = answerTo(sent);
    this.#node.run('pod_from', fromPod('podB', ends, body), { ifindex: link.podB });
    return frame({ ...first, body: segment(PORTS.client, PORTS.tcp) });
  }
}

const ports = (): readonly number[] => Array.from({ length: FRESH }, (_, index) => PORTS.client + index);

function inTheMiddle(body: Body): Body {
  return body.kind === 'tcp' ? { ...body, flags: 'PA', ack: 9, payload: 'x'.repeat(64) } : body;
}
