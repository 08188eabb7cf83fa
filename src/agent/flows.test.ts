// SPDX-License-Identifier: Apache-2.0
// From packets through the shipped programs, the ring buffer and the agent's reader to the flows that observers get.
import { namespaceMissing } from '../../bpf/test/own-namespace.ts';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { at } from '../../bpf/test/cluster.ts';
import { link, loadNode } from '../../bpf/test/loaded.ts';
import type { LoadedNode } from '../../bpf/test/loaded.ts';
import type { Body } from '../../bpf/test/packet.ts';
import { fromPod, fromWire, tcp, udp } from '../../bpf/test/traffic.ts';
import { systemClock as clock } from '../base/clock.ts';
import { logTo } from '../base/log.ts';
import type { Connection } from '../flows/connection.ts';
import { LostEventSource, Verdict } from '../flows/flow-enums.ts';
import { flowMetrics } from '../flows/metrics/flow-metrics.ts';
import { smallCluster } from '../flows/testdata/agent.ts';
import { conntrackSweep } from './conntrack-sweep.ts';
import { readDrops } from './drops.ts';
import { readEvents } from './events.ts';
import { watchFlows } from './flows.ts';
import { flowHistory } from './history.ts';

const { podA, world, node: host } = at[4];
const SHARE = 40;

/** What an agent has beside its tables; `end` ends it. */
function agentOn(node: LoadedNode, end: AbortSignal) {
  const map = (name: string) => node.datapath.map(name);
  const { tables } = smallCluster();
  const events = readEvents(map('events'), end);
  const drops = readDrops({ events, endpoints: tables.endpoints, signal: end });
  const directory = mkdtempSync(join(tmpdir(), 'flows-'));
  end.addEventListener('abort', () => rmSync(directory, { recursive: true, force: true }));
  const log = logTo(() => undefined, {});
  const history = flowHistory({ directory, node: 'default/node1', maxBytes: 1 << 20, clock, log, report: () => undefined });
  const about = { tables, nodeName: 'default/node1', capacity: 255, redaction: undefined, counted: flowMetrics([]), history, signal: end };
  const flows = watchFlows({ ...about, events, losses: map('event_losses') });
  const connections: Connection[] = [];
  flows.connections((some) => connections.push(...some), end);
  const { forgotten } = flows;
  const sweep = conntrackSweep({ map: map('conntrack'), endpoints: tables.endpoints, vips: () => [], clock, forgotten });
  const entries = () => Array.from({ length: flows.ring.length }, (_, position) => flows.ring.at(position));
  const seen = () => entries().flatMap((entry) => (entry?.kind === 'flow' ? [entry.flow] : []));
  const lost = () => entries().flatMap((entry) => (entry?.kind === 'lost' ? [entry.lost] : []));
  return { flows, drops, connections, sweep, seen, lost };
}

describe('the flows of an agent', { skip: namespaceMissing }, () => {
  const end = new AbortController();
  let node: LoadedNode;
  let agent: ReturnType<typeof agentOn>;
  before(async () => {
    node = await loadNode({ eventsPerSecond: SHARE });
    agent = agentOn(node, end.signal);
  });
  after(() => {
    end.abort();
    node[Symbol.dispose]();
  });

  const send = (body: Body, source: string = podA) =>
    node.run('pod_from', fromPod('podA', { source, destination: world }, body), { ifindex: link.podA });
  const receive = (body: Body) => node.run('host_from', fromWire({ source: world, destination: host }, body), { ifindex: link.uplink });

  it('are there soon after the packets, beside drops and connections', async () => {
    send(tcp(40_000, 80));
    receive(tcp(80, 40_000, 'SA'));
    send(tcp(40_000, 80, 'PA', { payload: 'GET /x HTTP/1.1\r\nHost: world\r\n\r\n' }));
    receive(tcp(80, 40_000, 'RA'));
    send(tcp(1, 2), world); // not its address
    await pause(200);
    const seen = agent.seen();
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
    assert.equal(agent.drops.recent().length, 1);
    assert.deepEqual(
      agent.connections.map(({ ended, sent, received }) => [ended, sent.packets, received.packets]),
      [[true, 2, 2]],
    );
  });

  it('end with what went over them, once, also where no packet says that it was the last', () => {
    node.forget();
    agent.connections.length = 0;
    send(udp(40_000, 7));
    send(udp(40_000, 7));
    receive(udp(7, 40_000));
    const swept = () => {
      while (!agent.sweep.look(() => false)) continue;
      return agent.connections.map(({ ended, protocol, sent, received, sourcePort, ip }) => [
        ended,
        protocol,
        sent.packets,
        received.packets,
        sourcePort,
        ip?.sourceXlated,
      ]);
    };
    assert.deepEqual(swept(), [], 'it goes on');
    node.age(100);
    assert.deepEqual(swept(), [[true, 'UDP', 2, 1, 40_000, host]]);
    assert.equal(swept().length, 1);
  });

  it('that were lost are a number among them', async () => {
    for (let port = 1; port <= 4 * SHARE; port++) send(tcp(port, 80));
    const limited = agent.flows.losses().reduce((sum, loss) => sum + loss.limited, 0);
    const told = () => agent.lost().reduce((sum, { numEventsLost = 0n }) => sum + Number(numEventsLost), 0);
    for (const end = Date.now() + 5_000; told() < limited && Date.now() < end;) await pause(100);
    assert.ok(limited > 0, 'more came than is told');
    assert.equal(told(), limited);
    assert.ok(agent.lost().every(({ source }) => source === LostEventSource.OBSERVER_EVENTS_QUEUE));
  });
});
