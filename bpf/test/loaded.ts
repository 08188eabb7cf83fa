// SPDX-License-Identifier: Apache-2.0
// node1 of the cluster with the shipped objects loaded: interfaces and routes in our network namespace, every map filled by the
// shipped derivations and Targets. A packet sent to a program comes back with the verdict; a redirect is not carried out, where
// to is in the conntrack entry.

import './own-namespace.ts';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ip } from '../../src/base/ip.ts';
import type { Family } from '../../src/base/ip.ts';
import { mapKinds, mapTarget } from '../../src/datapath/maps.ts';
import type { MapEntry, MapKind } from '../../src/datapath/maps.ts';
import { loadDatapath } from '../../src/datapath/programs.ts';
import type { Datapath } from '../../src/datapath/programs.ts';
import { routeTarget } from '../../src/datapath/routes.ts';
import { conntrackEntryCodec, counterCodec, eventCodec, EventKind, eventLossesCodec, flowCodec } from '../../src/datapath/schema.gen.ts';
import type { Config, ConntrackEntry, Event, EventLosses, Flow } from '../../src/datapath/schema.gen.ts';
import type { EndpointRow } from '../../src/endpoints/endpoint.ts';
import { endpointEntries } from '../../src/endpoints/attachments.ts';
import type { BpfMap } from '../../src/kernel/map.ts';
import { recordsIn, RingBuffer } from '../../src/kernel/ringbuf.ts';
import { skbContext, skbOf } from '../../src/kernel/program.ts';
import { NetlinkSocket } from '../../src/kernel/socket.ts';
import { temporaryBpffs } from '../../src/kernel/testdata/harness.ts';
import { ipcacheFor } from '../../src/nodes/ipcache.ts';
import { nodeRows } from '../../src/nodes/node.ts';
import type { NodeRow } from '../../src/nodes/node.ts';
import { endpointRoutes, nodeRoutes } from '../../src/nodes/routes.ts';
import { deviceEntries } from '../../src/nodes/uplinks.ts';
import type { BalanceOptions } from '../../src/services/choice.ts';
import type { FrontendOptions } from '../../src/services/frontends.ts';
import { usualOptions } from '../../src/services/testdata/options.ts';
import { at, families, nodes } from './cluster.ts';
import { eth0, knownMac, link, mac, uplinks } from './eth0.ts';
import { frame, packetOf } from './packet.ts';
import type { Packet } from './packet.ts';
import { serviceMaps } from './service-maps.ts';
import type { ServiceMaps } from './service-maps.ts';

export { link, mac } from './eth0.ts';

/** Where Talos answers DNS: an address of the node that no cable reaches. */
export const HOST_DNS = '169.254.116.108';

const interfaces = `
link set lo up
link add eth0 index ${link.uplink} address ${mac.uplink} type veth peer name wire0
link add stranger0 index ${link.stranger} type veth peer name stranger1
link add lxc-a index ${link.podA} address ${mac.gateway} type veth peer name pod-a
link add lxc-b index ${link.podB} address ${mac.gateway} type veth peer name pod-b
${['eth0', 'wire0', 'stranger0', 'stranger1', 'lxc-a', 'pod-a', 'lxc-b', 'pod-b'].map((name) => `link set ${name} up`).join('\n')}
address add ${at[4].node}/24 dev eth0
address add ${at[6].node}/64 dev eth0 nodad
address add 192.168.77.1/24 dev stranger0
address add ${HOST_DNS} dev lo
address add fd00:77::1/64 dev stranger0 nodad
route add default via ${at[4].router} dev eth0
route add ::/0 via ${at[6].router} dev eth0
`;

export const endpoints: readonly EndpointRow[] = (['podA', 'podB'] as const).map((name, i) => ({
  hostInterface: `lxc-${name.at(-1)?.toLowerCase()}`,
  id: i + 1,
  interfaceIndex: link[name],
  containerId: name,
  interfaceName: 'eth0',
  netns: '',
  netnsCookie: '',
  namespace: 'shop',
  pod: name,
  uid: name,
  addresses: families.map((family) => ip(at[family][name])),
  mac: knownMac(mac[name]),
  mtu: 1500,
}));

export type Verdict = 'stack' | 'drop' | 'redirect';
const verdicts: Readonly<Record<number, Verdict>> = { 0: 'stack', 2: 'drop', 7: 'redirect' };

export type Program = 'pod_from' | 'pod_to' | 'host_from' | 'host_to';
export type Outcome = { readonly verdict: Verdict; readonly frame: Buffer; readonly mark: number };
export type ConntrackRow = { readonly key: Flow; readonly value: ConntrackEntry };

export type LoadedNode = ServiceMaps & {
  readonly datapath: Datapath;
  /** `ifindex`: where the packet is. Throws when the verdict is none that a program may give. */
  run(program: Program, packet: Packet | Buffer, where: { readonly ifindex: number; readonly mark?: number }): Outcome;
  conntrack(): readonly ConntrackRow[];
  /** Makes every conntrack entry older, and how long ago clients were seen. */
  age(seconds: number): void;
  /** Drops since the last call of this or of records(). */
  events(): readonly Event[];
  /** Everything that was written to the ring buffer since the last call. */
  records(): readonly Buffer[];
  /** What was not, of one kind. */
  losses(kind: number): EventLosses;
  /** Packets by reason. */
  drops(reason: number): number;
  /** Empties what programs write: conntrack, fragments, events. */
  forget(): void;
  /** Says of which families packets with options do not come to node2. */
  loseOptions(families: readonly Family[]): void;
  [Symbol.dispose](): void;
};

/** Byte offset of what a record of the ring buffer is. */
const KIND_AT = 8;

let networked = false;

function setUpInterfaces(rows: readonly NodeRow[]): void {
  if (networked) return;
  networked = true;
  for (const knob of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeFileSync(`/proc/sys/net/${knob}`, '1');
  execFileSync('ip', ['-batch', '-'], { input: interfaces });
  using socket = NetlinkSocket.open();
  const sources = families.map((family) => ip(at[family].node));
  const routes = [
    ...endpoints.flatMap((endpoint) => [...endpointRoutes(endpoint, sources)]),
    ...rows
      .flatMap((row) => [...nodeRoutes(row, { self: 'node1', segments: eth0.segments, skip: false })])
      .flatMap((row) => ('kind' in row ? [] : [row])),
  ];
  routeTarget(socket).put(routes);
}

/** `mode`: as loadBalancer.mode; `balance`: other than the values' defaults. */
export async function loadNode(
  config: Partial<Config> = {},
  mode: FrontendOptions['mode'] = 'snat',
  balance: Partial<BalanceOptions> = {},
): Promise<LoadedNode> {
  const rows = nodes.flatMap((node) => [...nodeRows(node)]).flatMap((row) => ('kind' in row ? [] : [row[1]]));
  setUpInterfaces(rows);
  const pins = temporaryBpffs();
  const objectDirectory = fileURLToPath(new URL('../../build/bpf', import.meta.url));
  const maxEntries = { conntrack: 8192, sock_reverse: 256, fragments: 256, lb_affinities: 256 };
  const datapath = await loadDatapath({ objectDirectory, pinDirectory: pins.path, config, maxEntries });
  fillMaps(datapath, rows);
  const serving = serviceMaps(datapath, { rows, mode, endpoints, balance: { ...usualOptions.balance, ...balance } });
  const ring = new RingBuffer(datapath.map('events'));
  const records = () => {
    const drained = Buffer.alloc(ring.sizeBytes);
    return [...recordsIn(drained.subarray(0, ring.drain(drained).bytes))];
  };
  const events = () =>
    records()
      .filter((record) => record[KIND_AT] === EventKind.drop)
      .map((record) => eventCodec.decode(record));
  return {
    datapath,
    run: (program, packet, where) => outcomeOf(datapath, program, packet, where),
    conntrack: () => conntrackOf(datapath),
    age(seconds) {
      for (const at of [lastSeenAt, reportedAt]) age(datapath.map('conntrack'), at, seconds);
      age(datapath.map('lb_affinities'), lastUsedAt, seconds);
    },
    events,
    records,
    losses: (kind) => lossesOf(datapath, kind),
    drops: (reason) => perCpu(datapath, reason),
    forget() {
      for (const map of ['conntrack', 'fragments', 'lb_affinities']) empty(datapath.map(map));
      events();
    },
    ...serving,
    loseOptions: (lossy) => {
      const entries = rows.filter(({ name }) => name === 'node2').flatMap((row) => [...ipcacheFor(row, 'node1', lossy)]);
      mapTarget(mapKinds.ipcache, datapath.map('ipcache')).put(entries);
    },
    [Symbol.dispose]() {
      ring[Symbol.dispose]();
      datapath[Symbol.dispose]();
      pins[Symbol.dispose]();
    },
  };
}

function fillMaps(datapath: Datapath, rows: readonly NodeRow[]): void {
  const fill = <K, V>(kind: MapKind<K, V>, entries: Iterable<readonly [string, MapEntry<K, V>]>) =>
    mapTarget(kind, datapath.map(kind.name)).put([...entries]);
  fill(
    mapKinds.endpoints,
    endpoints.flatMap((endpoint) => [...endpointEntries(endpoint, 300)]),
  );
  fill(
    mapKinds.ipcache,
    rows.flatMap((node) => [...ipcacheFor(node, 'node1')]),
  );
  fill(
    mapKinds.devices,
    uplinks(rows).flatMap((uplink) => [...deviceEntries(uplink, 1)]),
  );
}

function conntrackOf(datapath: Datapath): readonly ConntrackRow[] {
  return [...datapath.map('conntrack').entries()].map(([key, value]) => ({
    key: flowCodec.decode(key),
    value: conntrackEntryCodec.decode(value),
  }));
}

/** Byte offsets in struct conntrack_entry and struct lb_affinity. */
const lastSeenAt = 44;
const reportedAt = 80;
const lastUsedAt = 4;

/** `secondsAt`: byte offset of the time in a value. */
function age(map: BpfMap, secondsAt: number, seconds: number): void {
  for (const [key, value] of Array.from(map.entries())) {
    value.writeUInt32LE((value.readUInt32LE(secondsAt) - seconds) >>> 0, secondsAt);
    map.update(key, value);
  }
}

function empty(map: BpfMap): void {
  for (const [key] of Array.from(map.entries())) map.delete(key);
}

function outcomeOf(
  datapath: Datapath,
  program: Program,
  packet: Packet | Buffer,
  { ifindex, mark = 0 }: { readonly ifindex: number; readonly mark?: number },
): Outcome {
  const data = Buffer.isBuffer(packet) ? packet : frame(packet);
  const result = datapath.program(program).testRun({ data, context: skbContext({ ifindex, mark }) });
  const verdict = verdicts[result.verdict];
  if (verdict === undefined) throw new Error(`Program ${program} returned ${result.verdict} for ${data.toString('hex')}`);
  return { verdict, frame: result.data, mark: skbOf(result.context).mark };
}

function perCpu(datapath: Datapath, reason: number): number {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(reason);
  const values = datapath.map('drops').lookup(key) ?? Buffer.alloc(0);
  let packets = 0;
  for (let offset = 0; offset < values.length; offset += counterCodec.size) packets += counterCodec.decode(values, offset).packets;
  return packets;
}

function lossesOf(datapath: Datapath, kind: number): EventLosses {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(kind);
  const values = datapath.map('event_losses').lookup(key) ?? Buffer.alloc(0);
  const sum = { limited: 0, full: 0 };
  for (let offset = 0; offset < values.length; offset += eventLossesCodec.size) {
    const { limited, full } = eventLossesCodec.decode(values, offset);
    sum.limited += limited;
    sum.full += full;
  }
  return sum;
}

/** The frame that came out, as a row: its checksums are right. */
export function packetFrom(outcome: Outcome): Packet {
  return packetOf(outcome.frame);
}
