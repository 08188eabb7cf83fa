// SPDX-License-Identifier: Apache-2.0
// node bench/datapath.ts [runs]   nanoseconds of a packet of an established flow in our programs, over the floor
//
// The programs change their packet, so each run has a fresh one; the system call in between leaves caches colder than traffic
// would. The floor is the same call of a program that returns at once (host_to, for a packet that was seen to). Redirects are
// not carried out: transmission comes on top.
import { namespaceMissing } from '../bpf/test/own-namespace.ts';
import { at, families } from '../bpf/test/cluster.ts';
import { link, loadNode, packetFrom } from '../bpf/test/loaded.ts';
import type { LoadedNode, Program } from '../bpf/test/loaded.ts';
import { frame } from '../bpf/test/packet.ts';
import type { Packet } from '../bpf/test/packet.ts';
import { answerTo, fromPod, fromWire, tcp } from '../bpf/test/traffic.ts';
import { skbContext } from '../src/kernel/program.ts';
import { quantile } from './statistics.ts';

const RUNS = Number(process.argv[2] ?? 5000);
const HANDLED = 0x200; // of skb->mark

type Flow = {
  readonly name: string;
  readonly program: Program;
  readonly packet: Packet;
  readonly ifindex: number;
  readonly mark?: number;
  readonly fresh?: true;
};

/** Durations of single runs. `fresh`: no flow is known beforehand. */
function durations(node: LoadedNode, { program, packet, ifindex, mark = 0, fresh }: Flow): readonly number[] {
  const run = node.datapath.program(program);
  const context = skbContext({ ifindex, mark });
  return Array.from({ length: RUNS }, () => {
    if (fresh) node.forget();
    return run.testRun({ data: frame(packet), context }).durationNs;
  });
}

/** Opens the flows and says what is to be measured. */
function flows(node: LoadedNode, family: 4 | 6): readonly Flow[] {
  const { podA, podB, far, world, remote, cart } = at[family];
  const open = (destination: string) => {
    const opening = fromPod('podA', { source: podA, destination }, tcp(40_000, 80));
    const left = packetFrom(node.run('pod_from', opening, { ifindex: link.podA }));
    const reply = fromWire(answerTo(left), answerTo(left).body);
    node.run('host_from', reply, { ifindex: link.uplink });
    return { data: { ...opening, body: tcp(40_000, 80, 'A', { payload: 'x'.repeat(512) }) }, reply };
  };
  const from = { program: 'pod_from', ifindex: link.podA } as const;
  const back = { program: 'host_from', ifindex: link.uplink } as const;
  return [
    { name: 'pod to pod, same node', ...from, packet: open(podB).data },
    { name: 'pod to pod, other node', ...from, packet: open(far).data },
    { name: 'its reply', ...back, packet: open(far).reply },
    { name: 'service, backend on this node', ...from, packet: open(cart).data },
    { name: 'service, backend on another', ...from, packet: open(remote).data },
    { name: 'its reply', ...back, packet: open(remote).reply },
    { name: 'masquerade', ...from, packet: open(world).data },
    { name: 'its reply', ...back, packet: open(world).reply },
    {
      name: 'first packet of a masqueraded flow',
      ...from,
      packet: fromPod('podA', { source: podA, destination: world }, tcp(50_000, 80)),
      fresh: true,
    },
  ];
}

async function main(): Promise<void> {
  if (namespaceMissing !== false) throw new Error(namespaceMissing);
  using node = await loadNode();
  process.stdout.write(`${''.padEnd(36)} median   10 %   90 %   ns over the floor, ${RUNS} runs\n`);
  for (const family of families) {
    const measured = flows(node, family);
    const [first] = measured;
    if (!first) return;
    const floorRuns = durations(node, { ...first, program: 'host_to', ifindex: link.uplink, mark: HANDLED });
    const floor = quantile(floorRuns, 0.5);
    process.stdout.write(`${`IPv${family}: the floor`.padEnd(36)} ${floor.toFixed(0).padStart(6)}\n`);
    for (const flow of measured) {
      const runs = durations(node, flow);
      const cells = [0.5, 0.1, 0.9].map((part) => (quantile(runs, part) - floor).toFixed(0).padStart(6));
      process.stdout.write(`${`IPv${family}: ${flow.name}`.padEnd(36)} ${cells.join(' ')}\n`);
    }
    node.forget();
  }
}

await main();
