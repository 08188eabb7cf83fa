// SPDX-License-Identifier: Apache-2.0
// How many events a second one process turns into flows: from the bytes of the ring buffer through decoder, directory and metrics into the
// ring that observers read. With the settings of V8 that an agent has, when it is started with them.
import { ip } from '../src/base/ip.ts';
import type { Ip } from '../src/base/ip.ts';
import { eventCodec, EventKind, TracePoint, TraceReason } from '../src/datapath/schema.gen.ts';
import { eventRow } from '../src/datapath/testdata/rows.ts';
import { flowDecoder } from '../src/flows/decoder.ts';
import type { Records } from '../src/flows/decoder.ts';
import { directoryOf } from '../src/flows/directory.ts';
import { flowRing } from '../src/flows/flow-ring.ts';
import { flowMetrics } from '../src/flows/metrics/flow-metrics.ts';
import { cartIp, recordsOf, serviceIp, smallCluster } from '../src/flows/testdata/agent.ts';
import { median } from './statistics.ts';
import { met, number } from './table.ts';
import type { Findings } from './table.ts';

const AIM = 200_000;
const BATCH = 750;
const BATCHES = 200;
const ROUNDS = 9;
const PEERS = 200;
/** As the first user's values have them. */
const METRICS = ['dns', 'drop', 'tcp', 'flow', 'icmp', 'http'];

/** Traces of connections from one pod to many others, by a service. */
function batch(): Records {
  const peer = (index: number): Ip => ip(`10.244.2.${index % PEERS}`);
  const one = (index: number) =>
    eventRow({
      time: 5e9 + index,
      kind: EventKind.trace,
      reason: TraceReason.new,
      point: TracePoint.toNetwork,
      interfaceIndex: 2,
      flow: { source: cartIp, destination: serviceIp, sourcePort: 30_000 + index, destinationPort: 80, protocol: 6 },
      source: cartIp,
      destination: peer(index),
      sourcePort: 30_000 + index,
      destinationPort: 8080,
      sourceIdentity: 300,
      destinationIdentity: 301,
      tcpFlags: 2,
      packets: 1,
      bytes: 60,
    });
  return recordsOf(Array.from({ length: BATCH }, (_, index) => eventCodec.encode(one(index))));
}

export function flowPipeline(): Findings {
  const records = batch();
  const ring = flowRing(4095);
  const counted = flowMetrics(METRICS);
  let count = 0;
  const uuid = () => `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`;
  const decoder = flowDecoder({ directory: directoryOf(smallCluster().tables), nodeName: 'default/node1', uuid });
  const rates = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    for (let i = 0; i < BATCHES; i++) {
      const { flows } = decoder.decode(records, 0n);
      ring.append(flows);
      flows.forEach(counted.count);
    }
    const { user, system } = process.cpuUsage(before);
    return (BATCH * BATCHES) / ((user + system) / 1e6);
  }).slice(2); // without those in which V8 learns
  const rate = median(rates);
  return {
    title: 'Flows: the pipeline of an agent',
    columns: ['', 'events a second of CPU', 'ns each', `≥ ${number(AIM)}`],
    rows: [['ring buffer → flow → metrics → ring', number(rate.middle), number(1e9 / rate.middle), met(rate, AIM)]],
    notes: [`${ROUNDS - 2} rounds of ${number(BATCH * BATCHES)} events to ${PEERS} peers; the lowest ${number(rate.low)}.`],
    charts: [],
  };
}
