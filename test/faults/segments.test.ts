// SPDX-License-Identifier: Apache-2.0
// A node on two segments. Answers leave by the interface that the request came in by, whatever the node's routes prefer.
//
//   192.168.0.0/24 ──┬── node1 ──┬── node3          the default route of all nodes leads to the first router
//                    ├── eth0 node2 eth1 ──┬── 10.9.0.0/24
//                    └── router            ├── client (eth1) 10.9.0.100
//                                          └── beyond (eth1) 10.9.0.1, which is 172.30.0.5 too: the nodes have no route to that
//
// The pod "client", the backend of the node ports, is on node1; echo pods are on every node.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { IPV, ofFamily } from '../../sandbox/checks/check.ts';
import type { Ipv } from '../../sandbox/checks/check.ts';
import type { Place } from '../../sandbox/checks/places.ts';
import { httpGet, ping, udpWho, url } from '../../sandbox/checks/traffic.ts';
import { PORT } from '../../sandbox/checks/wire.ts';
import { inNetns } from '../../sandbox/network.ts';
import { netnsOf } from '../../sandbox/layout.ts';
import { mustRun, run } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { agentReady, faultyCluster, seedValues, skip, statusOn, valuesFile } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultseg');
const NAMES = ['node1', 'node2', 'node3'] as const;
const SECOND = { IPv4: '10.9.0.12', IPv6: 'fd00:9::12' } as const;
const NEAR = { IPv4: '10.9.0.100', IPv6: 'fd00:9::100' } as const;
const FAR = { IPv4: '172.30.0.5', IPv6: 'fd00:172:30::5' } as const;
let agents: readonly Agent[] = [];

const at = (machine: string, script: string) =>
  mustRun([...inNetns(faulty().cluster.layout, machine), 'sh', '-ec', script.replaceAll('@', netnsOf(faulty().cluster.layout, ''))]);

/** A name that goes with the sandbox. */
const BEYOND = 'node9';

async function secondSegment(): Promise<void> {
  const { layout } = faulty().cluster;
  await mustRun(['ip', 'netns', 'add', netnsOf(layout, BEYOND)]);
  await at(
    'lan',
    `ip link add br1 type bridge stp_state 0 forward_delay 0; ip link set br1 up
     for name in node2 client ${BEYOND}; do ip link add 2$name type veth peer name eth1 netns @$name; ip link set 2$name master br1 up; done`,
  );
  const own = (v4: string, v6: string) =>
    `echo 0 >/proc/sys/net/ipv6/conf/eth1/accept_dad; ip addr add ${v4}/24 dev eth1; ip addr add ${v6}/64 dev eth1 nodad; ip link set eth1 up`;
  await at('node2', own(SECOND.IPv4, SECOND.IPv6));
  await at('client', own(NEAR.IPv4, NEAR.IPv6));
  await at(
    BEYOND,
    `echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce; ip link set lo up; ip addr add ${FAR.IPv4}/32 dev lo; ip addr add ${FAR.IPv6}/128 dev lo nodad; ${own('10.9.0.1', 'fd00:9::1')}
     ip route replace 10.9.0.0/24 dev eth1 src ${FAR.IPv4}; ip -6 route del fd00:9::/64 dev eth1; ip -6 route add fd00:9::/64 dev eth1 src ${FAR.IPv6}`,
  );
  for (const machine of ['client', BEYOND])
    for (const family of IPV) {
      const source = machine === 'client' ? NEAR[family] : FAR[family];
      await at(machine, `ip route add ${ofFamily(faulty().places.echoOn('node2').ips, family)} via ${SECOND[family]} src ${source}`);
    }
}

/** Agents on all nodes, with these lines at the end of the seed's values. */
async function agentsWith(lines: string): Promise<void> {
  for (const agent of agents) agent.signal('SIGTERM');
  await Promise.all(agents.map((agent) => agent.exited));
  const values = await valuesFile(faulty(), 'values.yaml', `${readFileSync(seedValues, 'utf8')}\n${lines}\n`);
  agents = NAMES.map((name) => faulty().start(faulty().node(name), { values }));
  await Promise.all(NAMES.map((name, i) => agentReady(faulty().node(name), agents[i])));
}

const placeAt = (machine: string, ips: readonly string[]): Place => ({
  name: machine,
  ips,
  run: (command, timeoutMs = 5_000) => run([...inNetns(faulty().cluster.layout, machine), ...command], { timeoutMs }),
});

const CLIENTS = { near: placeAt('client', Object.values(NEAR)), far: placeAt(BEYOND, Object.values(FAR)) } as const;
const HOST_PORT = 7_000;

/** Servers of node2 itself, as a pod with hostNetwork has them, while `act` runs. */
async function withHostServers(act: () => Promise<void>): Promise<void> {
  const listening = [
    `TCP6-LISTEN:${HOST_PORT},ipv6only=0,fork,reuseaddr SYSTEM:"read asked; echo host"`,
    `UDP4-RECVFROM:${HOST_PORT},bind=${SECOND.IPv4},fork SYSTEM:"read asked; echo host"`,
    `UDP6-RECVFROM:${HOST_PORT},bind=[${SECOND.IPv6}],fork SYSTEM:"read asked; echo host"`,
  ];
  const servers = listening.map((line) => {
    const [program = '', ...rest] = faulty()
      .node('node2')
      .enter(['sh', '-c', `exec socat ${line}`]);
    return spawn(program, rest, { stdio: 'ignore' });
  });
  try {
    const sockets = async () =>
      (
        await run(
          faulty()
            .node('node2')
            .enter(['ss', '-Hlntu', `sport = :${HOST_PORT}`], ['--net']),
        )
      ).stdout;
    await until('the servers to listen', 5_000, async () => (await sockets()).trim().split('\n').length === listening.length);
    await act();
  } finally {
    for (const server of servers) server.kill();
  }
}

async function asksHost(client: Place, family: Ipv): Promise<void> {
  const host = family === 'IPv4' ? `4:${SECOND.IPv4}` : `6:[${SECOND.IPv6}]`;
  for (const protocol of ['TCP', 'UDP']) {
    const script = `echo x | socat -t 3 -T 3 - ${protocol}${host}:${HOST_PORT}${protocol === 'TCP' ? ',connect-timeout=3' : ''}`;
    const ran = await client.run(['sh', '-c', script]);
    assert.equal(
      ran.stdout.trim(),
      'host',
      `${client.name} asks ${SECOND[family]} itself by ${protocol}: ${ran.stderr.trim() || 'no answer'}`,
    );
  }
}

/** By TCP and by UDP, each a few times: backends differ. */
async function asksEcho(client: Place, address: string, port: number): Promise<void> {
  const seen = new Set<string>();
  for (let tries = 0; tries < 3; tries++) {
    seen.add((await httpGet(client, url(address, port))).pod);
    seen.add((await udpWho(client, address, port)).pod);
  }
  assert.ok(!seen.has(''));
}

/** What passes node2's first uplink from or to the clients of the second segment while `act` runs. */
async function straying(act: () => Promise<void>): Promise<readonly string[]> {
  const hosts = [...Object.values(NEAR), ...Object.values(FAR)].map((address) => `host ${address}`).join(' or ');
  const [program = '', ...rest] = faulty().node('node2').enter(['tcpdump', '-i', 'eth0', '-nnql', '--immediate-mode', hosts], ['--net']);
  const capture = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  capture.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise((resolve) => capture.on('close', resolve));
  try {
    await new Promise((resolve) => capture.stderr.once('data', resolve)); // "listening on eth0"
    await act();
    await delay(200); // for the last of them
  } finally {
    capture.kill('SIGINT');
    await ended;
  }
  return text.split('\n').filter((line) => line !== '');
}

const targets = {
  'a ping': (client: Place, family: Ipv) => ping(client, SECOND[family]),
  'the node itself': asksHost,
  'a pod of the node': (client: Place, family: Ipv) => asksEcho(client, ofFamily(faulty().places.echoOn('node2').ips, family), 8080),
  'a node port with a backend on another node, DSR': (client: Place, family: Ipv) => asksEcho(client, SECOND[family], PORT.wire),
  'a node port with a backend on another node, SNAT': (client: Place, family: Ipv) => asksEcho(client, SECOND[family], PORT.snat),
  'a node port with backends on all nodes': (client: Place, family: Ipv) => asksEcho(client, SECOND[family], PORT.sticky),
} as const;

describe('a node on two segments', { skip }, () => {
  it('takes both', async () => {
    await faulty().dismissAgents();
    await secondSegment();
    await agentsWith('devices: [eth+]');
    const { devices } = await statusOn(faulty().node('node2'));
    assert.deepEqual(devices.map(({ name, addresses }) => [name, ...addresses]).at(-1), ['eth1', SECOND.IPv4, SECOND.IPv6]);
  });

  for (const [who, client] of Object.entries(CLIENTS))
    for (const [what, ask] of Object.entries(targets))
      it(`answers ${who === 'near' ? 'a client of the second' : 'a client behind a router of the second'}: ${what}`, async () => {
        const strays = await straying(() =>
          withHostServers(async () => {
            for (const family of IPV) await ask(client, family);
          }),
        );
        assert.deepEqual(strays, []);
      });

  it('sends answers by its first segment where it is not told of the second, so that those behind a router get none', async () => {
    await agentsWith('devices: [eth0]');
    const strays = await straying(() => withHostServers(() => assert.rejects(asksHost(CLIENTS.far, 'IPv4'))));
    assert.ok(strays.length > 0);
    await withHostServers(() => asksHost(CLIENTS.near, 'IPv4'));
    for (const agent of agents) agent.signal('SIGTERM');
  });
});
