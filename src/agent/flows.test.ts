// SPDX-License-Identifier: Apache-2.0
// From packets through the shipped programs, the ring buffer and the agent's reader to the flows that observers get.
import { systemClock } from '../base/clock.ts';
import { logTo } from '../base/log.ts';
import { namespaceMissing } from '../../bpf/test/own-namespace.ts';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { at } from '../../bpf/test/cluster.ts';
import { link, loadNode } from '../../bpf/test/loaded.ts';
import type { LoadedNode } from '../../bpf/test/loaded.ts';
import type { Body } from '../../bpf/test/packet.ts';
import { fromPod, fromWire, tcp } from '../../bpf/test/traffic.ts';
import type { Connection } from '../flows/connection.ts';
import { LostEventSource, Verdict } from '../flows/flow-enums.ts';
import { flowMetrics } from '../flows/metrics/flow-metrics.ts';
import { smallCluster } from '../flows/testdata/agent.ts';
import { readDrops } from './drops.ts';
import { readEvents } from './events.ts';
import { watchFlows } from './flows.ts';
import { flowHistory } from './history.ts';

const { podA, world, node: host } = at[4];
const SHARE = 40;

describe('the flows of an agent', { skip: namespaceMissing }, () => {
  const end = new AbortController();
  let node: LoadedNode;
  before(async () => {
    node = await loadNode({ eventsPerSecond: SHARE });
  });
  after(() => {
    end.abort();
    node[Symbol.dispose]();
  });

  const send = (body: Body, source: string = podA) =>
    node.run('pod_from', fromPod('podA', { source, destination: world }, body), { ifindex: link.podA });
  const receive = (body: Body) => node.run('host_from', fromWire({ source: world, destination: host }, body), { ifindex: link.uplink });

  it('are there soon after the packets, beside drops, connections and what was lost', async () => {
    const map = (name: string) => node.datapath.map(name);
    const { tables } = smallCluster();
    const events = readEvents(map('events'), end.signal);
    const drops = readDrops({ events, endpoints: tables.endpoints, signal: end.signal });
    const none = {
      directory: '/nowhere',
      node: 'default/node1',
      maxBytes: 0,
      clock: systemClock,
      log: logTo(() => undefined),
      report: () => undefined,
    };
    const about = { tables, nodeName: none.node, capacity: 255, counted: flowMetrics([]), history: flowHistory(none), signal: end.signal };
    const flows = watchFlows({ ...about, events, losses: map('event_losses') });
    const connections: Connection[] = [];
    flows.connections((some) => connections.push(...some), end.signal);

    send(tcp(40_000, 80));
    receive(tcp(80, 40_000, 'SA'));
    send(tcp(40_000, 80, 'PA', { payload: 'GET /x HTTP/1.1\r\nHost: world\r\n\r\n' }));
    receive(tcp(80, 40_000, 'RA'));
    send(tcp(1, 2), world); // not its address
    await pause(200);
    const seen = Array.from({ length: flows.ring.length }, (_, position) => flows.ring.at(position)).flatMap((entry) =>
      entry?.kind === 'flow' ? [entry.flow] : [],
    );
    assert.deepEqual(
      seen.map(({ summary, verdict }) => [summary, verdict]),
      [
        ['TCP Flags: SYN', Verdict.FORWARDED],
        ['TCP Flags: SYN, ACK', Verdict.FORWARDED],
        ['TCP Flags: ACK, PSH', Verdict.FORWARDED],
        ['HTTP/1.1 GET http://world/x', Verdict.FORWARDED],
        ['TCP Flags: ACK, RST', Verdict.FORWARDED],
        ['TCP Flags: SYN', Verdict.DROPPED],
      ],
    );
    const age = Number(BigInt(Date.now()) * 1_000_000n - (seen[0]?.time ?? 0n)) / 1e9;
    assert.ok(age >= 0 && age < 10, `${age} s old`);
    assert.equal(new Set(seen.map(({ uuid }) => uuid)).size, seen.length);
    assert.match(seen[0]?.uuid ?? '', /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-8[\da-f]{3}-[\da-f]{12}$/);
    assert.equal(drops.recent().length, 1);
    assert.deepEqual(
      connections.map(({ ended, sent, received }) => [ended, sent.packets, received.packets]),
      [[true, 2, 2]],
    );

    for (let port = 1; port <= 4 * SHARE; port++) send(tcp(port, 80));
    await pause(1_300);
    const lost = Array.from({ length: flows.ring.length }, (_, position) => flows.ring.at(position)).flatMap((entry) =>
      entry?.kind === 'lost' ? [entry.lost] : [],
    );
    const limited = flows.losses().find(({ kind }) => kind === 'TRACE')?.limited ?? 0;
    assert.ok(limited > 0, 'more came than is told');
    assert.ok(lost.every(({ source }) => source === LostEventSource.OBSERVER_EVENTS_QUEUE));
    assert.equal(
      lost.reduce((sum, { numEventsLost = 0n }) => sum + Number(numEventsLost), 0),
      limited,
    );
  });
});
