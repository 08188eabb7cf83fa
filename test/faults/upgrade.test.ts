// SPDX-License-Identifier: Apache-2.0
// An agent is killed, restarted and replaced by another version under new connections and long-lived ones: none may fail. In short here;
// STENTOR_ROUNDS=20 STENTOR_RATE=1000 STENTOR_LONG=200 is the whole of it.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { ip } from '../../src/base/ip.ts';
import { pinNameOf } from '../../src/datapath/inheritance.ts';
import { conntrackEntryCodec, ConntrackFlag, flowCodec } from '../../src/datapath/schema.gen.ts';
import { untold } from '../../src/datapath/testdata/rows.ts';
import { BpfMap } from '../../src/kernel/map.ts';
import { assertUnharmed, trafficFromBoth } from './both-ways.ts';
import { agentReady, differencesOn, faultyCluster, seedValues, skip, valuesFile } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsu');
const node = () => faulty().node('node1');
let agent: Agent | undefined;

const ROUNDS = Number(process.env['STENTOR_ROUNDS'] ?? 2);
const RATE = Number(process.env['STENTOR_RATE'] ?? 200);
const LONG = Number(process.env['STENTOR_LONG'] ?? 32);
/** Two versions that load other programs. */
const VERSIONS = ['serviceNoBackendResponse: drop\n', 'serviceNoBackendResponse: reject\n'];
let version = 0;

async function start(): Promise<void> {
  const lines = VERSIONS[version % VERSIONS.length] ?? '';
  agent = faulty().start(node(), {
    values: await valuesFile(faulty(), `${version % 2}.yaml`, `${readFileSync(seedValues, 'utf8')}${lines}`),
  });
  await agentReady(node(), agent);
}

async function end(signal: NodeJS.Signals): Promise<void> {
  agent?.signal(signal);
  await agent?.exited;
}

const mapsOf = () => node().path('/sys/fs/bpf/stentor/maps');

/** The maps are those of a version that defines all of them otherwise; the programs that run still use them. */
function asOfAnotherVersion(): void {
  for (const name of readdirSync(mapsOf()))
    for (const pin of readdirSync(join(mapsOf(), name))) renameSync(join(mapsOf(), name, pin), join(mapsOf(), name, 'another'));
}

const oneDefinitionEach = () => readdirSync(mapsOf()).every((name) => readdirSync(join(mapsOf(), name)).length === 1);

const changes: readonly { readonly name: string; readonly change: () => Promise<void> }[] = [
  {
    name: 'kill -9 and start',
    change: async () => {
      await end('SIGKILL');
      await delay(randomInt(1000)); // while nobody is there
      await start();
    },
  },
  {
    name: 'stop and start',
    change: async () => {
      await end('SIGTERM');
      await start();
    },
  },
  {
    name: 'another version of the programs',
    change: async () => {
      version++;
      await end('SIGTERM');
      await start();
    },
  },
  {
    name: 'another version of programs and maps',
    change: async () => {
      version++;
      await end('SIGTERM');
      asOfAnotherVersion();
      await start();
      await until('the maps of the other version to be gone', 20_000, oneDefinitionEach);
    },
  },
];

test('an agent of the test', { skip }, async () => {
  await faulty().dismissAgents();
  await start();
});

for (const { name, change } of changes)
  test(`${name}, ${ROUNDS} times under ${RATE} new connections a second and ${LONG} long-lived: none fails`, { skip }, async (t) => {
    for (let round = 0; round < ROUNDS; round++) {
      const traffic = await trafficFromBoth(faulty(), { rate: RATE, long: LONG });
      await delay(700); // traffic goes on meanwhile
      await change();
      await delay(700); // traffic goes on meanwhile
      t.diagnostic(`round ${round + 1}: ${assertUnharmed(await traffic.tallies(), RATE)}`);
    }
    assert.deepEqual(await differencesOn(node()), []);
  });

test('detach, then attach: that would be seen', { skip }, async (t) => {
  const traffic = await trafficFromBoth(faulty(), { rate: RATE, long: LONG });
  await delay(500); // traffic goes on meanwhile
  await end('SIGTERM');
  const detach =
    "for link in $(ip -o link | grep -o 'lxc[0-9a-f]*' | sort -u); do tc qdisc del dev $link clsact; done; rm /sys/fs/bpf/stentor/links/*";
  await mustRun(node().enter(['sh', '-c', detach], ['--net', '--mount']));
  await delay(6000); // longer than a connection waits
  await start();
  const failed = (await traffic.tallies()).reduce((sum, tally) => sum + tally.failed, 0);
  t.diagnostic(`${failed} connections failed`);
  assert.ok(failed > RATE, `${failed} failed`);
});

/** Flows that live, as many as make conntrack too full. */
function fillConntrack(map: BpfMap, count: number): void {
  const now = Number(process.hrtime.bigint() / 1_000_000_000n);
  const [keys, values] = [Buffer.alloc(count * flowCodec.size), Buffer.alloc(count * conntrackEntryCodec.size)];
  for (let i = 0; i < count; i++) {
    const ends = { source: ip(`10.9.${i >> 16}.${i & 255}`), destination: ip('10.8.0.1'), sourcePort: (i >> 8) & 255, destinationPort: 80 };
    flowCodec.encodeInto({ ...ends, protocol: 6 }, keys, i * flowCodec.size);
    const entry = { flags: ConntrackFlag.answered, interfaceIndex: 0, lastSeen: now, service: 0, backend: 0, packets: 1, bytes: 1 };
    conntrackEntryCodec.encodeInto({ ...untold, ...ends, ...entry }, values, i * conntrackEntryCodec.size);
  }
  map.updateBatch(keys, values, count);
}

test(
  'a map that becomes too full is made larger under load: the agent begins anew as the same process, and no flow is lost',
  { skip },
  async (t) => {
    const conntrack = () => BpfMap.openPinned(join(mapsOf(), pinNameOf('conntrack')));
    await end('SIGTERM');
    agent = faulty().start(node(), { args: ['--refresh', '2'] });
    await agentReady(node(), agent);
    const before = conntrack();
    const size = before.maxEntries;
    const traffic = await trafficFromBoth(faulty(), { rate: RATE, long: LONG });
    fillConntrack(before, Math.ceil(size * 0.75));
    before[Symbol.dispose]();
    await until('a larger map', 20_000, () => {
      if (!existsSync(join(mapsOf(), pinNameOf('conntrack')))) return false; // the agent is about to make it
      using now = conntrack();
      return now.maxEntries === size * 2;
    });
    await until('the smaller one to be gone', 10_000, oneDefinitionEach);
    await agentReady(node(), agent);
    t.diagnostic(`from ${size} to ${size * 2}; ${assertUnharmed(await traffic.tallies(), RATE)}`);
    assert.match(agent.log(), /"message":"Agent begins anew".*to make conntrack larger/);
    assert.ok(existsSync(`/proc/${agent.pid}`));
    using after = conntrack();
    assert.ok(after.count() > size * 0.7, `${after.count()} entries`);
  },
);
