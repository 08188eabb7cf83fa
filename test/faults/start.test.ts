// SPDX-License-Identifier: Apache-2.0
// An agent that cannot start says why in a sentence, exits, and leaves what is programmed as it was.

import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cni } from '../../sandbox/cni-call.ts';
import { httpGet, url } from '../../sandbox/checks/traffic.ts';
import { ofFamily } from '../../sandbox/checks/check.ts';
import { mustRun } from '../../sandbox/run.ts';
import { until } from '../../sandbox/until.ts';
import { readElf } from '../../src/kernel/elf.ts';
import { compiled } from '../../src/kernel/testdata/harness.ts';
import {
  agentReady,
  checkout,
  differencesOn,
  endpointsOn,
  faultyCluster,
  problemsOn,
  seedValues,
  skip,
  statusOn,
  valuesFile,
} from './cluster.ts';
import type { AgentOptions } from './cluster.ts';

const faulty = faultyCluster('faultss');

/** Everything pinned, by name, and the programs of every pod's interface. */
async function programmed(): Promise<string> {
  const node = faulty().node('node1');
  const filters =
    'for link in $(ls /sys/class/net | grep ^lxc); do tc filter show dev $link ingress; tc filter show dev $link egress; done; find /sys/fs/bpf | sort; ip route; ip -6 route';
  return mustRun(node.enter(['sh', '-c', filters]));
}

async function servesTraffic(): Promise<void> {
  const { places } = faulty();
  for (const from of [places.client, places.bypass]) await httpGet(from, url(ofFamily(places.serviceIps('echo'), 'IPv4'), 80));
}

/** A build directory like the real one, but for one object. */
async function buildWith(name: string, change: (path: string) => Promise<void>): Promise<string> {
  const build = join(faulty().scratch, name);
  await cp(join(checkout, 'build', 'bpf'), join(build, 'bpf'), { recursive: true });
  await cp(join(checkout, 'build', 'cni'), join(build, 'cni'), { recursive: true });
  await change(join(build, 'bpf', 'host.bpf.o'));
  return build;
}

/** Makes the first instruction of every program `r0 = r9`, and r9 has no value there. */
async function makeUnverifiable(path: string): Promise<void> {
  const bytes = await readFile(path);
  for (const { name, executable, bytes: code } of readElf(bytes).sections)
    if (executable && /^(tc|classifier)/.test(name)) code.set([0xbf, 0x90, 0, 0, 0, 0, 0, 0]); // sections are views of the file
  await writeFile(path, bytes);
}

const withoutMount = (path: string): readonly string[] => ['unshare', '--mount', 'sh', '-c', `umount ${path} && exec "$@"`, 'sh'];

type Refusal = { readonly what: string; readonly options: () => Promise<AgentOptions>; readonly says: readonly RegExp[] };

const refusals: readonly Refusal[] = [
  {
    what: 'an unknown key in the values',
    options: async () => ({
      values: await valuesFile(faulty(), 'typo.yaml', `${await readFile(seedValues, 'utf8')}\nkubeProxyReplacment: true\n`),
    }),
    says: [/kubeProxyReplacment \(line \d+\) is no known key, did you mean kubeProxyReplacement/],
  },
  {
    what: 'values that are no YAML',
    options: async () => ({ values: await valuesFile(faulty(), 'no.yaml', 'a: [1, 2\nb: }') }),
    says: [/Cannot use .*no\.yaml: /, /is no YAML/],
  },
  {
    what: 'a missing values file',
    options: () => Promise.resolve({ values: '/nowhere/values.yaml' }),
    says: [/Cannot use \/nowhere\/values\.yaml/, /ENOENT/],
  },
  {
    what: 'an unknown option',
    options: () => Promise.resolve({ args: ['--vlaues', 'x'] }),
    says: [/Cannot start the agent: Unknown option '--vlaues'/],
  },
  {
    what: 'a program that the verifier rejects',
    options: async () => ({ args: ['--build', await buildWith('rejected', makeUnverifiable)] }),
    says: [/The verifier rejected program host_\w+ \(EACCES\): .*R9 !read_ok/],
  },
  {
    what: 'programs of another build',
    options: async () => ({ args: ['--build', await buildWith('other', (path) => cp(compiled('handles'), path))] }),
    says: [/Cannot use .*host\.bpf\.o: its types are \w+, wanted \w+ \(build/],
  },
  {
    what: 'the programs of another hook',
    options: async () => ({ args: ['--build', await buildWith('mixed', (path) => cp(join(path, '..', 'sock.bpf.o'), path))] }),
    says: [/Cannot find program host_from in the data plane's objects/],
  },
  {
    what: 'an object that is none',
    options: async () => ({ args: ['--build', await buildWith('none', (path) => writeFile(path, 'nothing'))] }),
    says: [/Cannot read the data plane's program .*host\.bpf\.o, wanted what 'npm run setup' builds: Cannot read 7 bytes as an ELF object/],
  },
  {
    what: 'missing objects',
    options: () => Promise.resolve({ args: ['--build', '/nowhere'] }),
    says: [/Cannot read the data plane's program \/nowhere\/bpf\/pod\.bpf\.o, wanted what 'npm run setup' builds/],
  },
  {
    what: 'no bpf filesystem',
    options: () => Promise.resolve({ within: withoutMount('/sys/fs/bpf') }),
    says: [
      /Cannot keep the data plane in \/sys\/fs\/bpf: it is on no bpf filesystem; mount a bpf filesystem there \(mount -t bpf bpf \/sys\/fs\/bpf\), or name one in bpf\.root/,
    ],
  },
  {
    what: 'no cgroup2',
    options: () => Promise.resolve({ within: withoutMount('/sys/fs/cgroup') }),
    says: [/Cannot attach the socket programs to \/sys\/fs\/cgroup: it is on no cgroup2 filesystem; mount cgroup2 there/],
  },
  {
    what: 'no CAP_NET_ADMIN',
    options: () => Promise.resolve({ within: ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'] }),
    says: [/Cannot program the kernel without CAP_NET_ADMIN: run the agent as root, or add them/],
  },
  {
    what: 'a plain user',
    options: () => Promise.resolve({ within: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] }),
    says: [/Cannot program the kernel without CAP_NET_ADMIN and CAP_SYS_ADMIN/],
  },
];

test('the agents of the kubelets go', { skip }, async () => {
  await faulty().dismissAgents();
  await servesTraffic();
});

for (const { what, options, says } of refusals)
  test(`an agent refuses to start: ${what}`, { skip }, async (t) => {
    const before = await programmed();
    const started = performance.now();
    const agent = faulty().start(faulty().node('node1'), await options());
    assert.equal(await agent.exited, 1, agent.log());
    t.diagnostic(`${(performance.now() - started).toFixed(0)} ms: ${agent.log().trim()}`);
    for (const sentence of says) assert.match(agent.log(), sentence);
    assert.doesNotMatch(agent.log(), /^ {4}at /m, 'a stack trace is for bugs');
    assert.ok(agent.log().trim().split('\n').length <= 3, agent.log());
    assert.equal(await programmed(), before);
    await servesTraffic();
  });

test('control: with nothing missing it starts', { skip }, async () => {
  const node = faulty().node('node1');
  const agent = faulty().start(node);
  await agentReady(node, agent);
  const second = faulty().start(node);
  assert.equal(await second.exited, 1);
  assert.match(second.log(), /Cannot listen on .*another agent listens there/);
  agent.signal('SIGTERM');
  assert.equal(await agent.exited, 0);
});

test('a damaged endpoint file is a Problem, and the other pods are served', { skip }, async () => {
  const node = faulty().node('node2');
  await writeFile(node.path('/run/cilium/state/lxc000000000000.json'), '{"hostInterface": "lxc0000');
  const agent = faulty().start(node);
  await agentReady(node, agent);
  assert.match(agent.log(), /Agent started/);
  const problems = await problemsOn(node);
  assert.ok(
    problems.some(({ object, reason }) => object === 'File /var/run/cilium/state/lxc000000000000.json' && reason === 'DamagedEndpoint'),
    JSON.stringify(problems),
  );
  assert.ok((await endpointsOn(node)).length > 0);
  agent.signal('SIGTERM');
  await agent.exited;
});

test('a full disk refuses new pods alone, and new pods come once there is room', { skip }, async () => {
  const node = faulty().node('node1');
  const script = `mkdir -p /run/full && mount -t tmpfs -o size=128k tmpfs /run/full && cp /run/cilium/state/*.json /run/full/
    dd if=/dev/zero of=/run/full/ballast bs=4k status=none 2>/dev/null; ip netns add full; df /run/full | tail -n 1`;
  await mustRun(node.enter(['sh', '-c', script], ['--net', '--mount']));
  const agent = faulty().start(node, { args: ['--state', '/run/full'] });
  await agentReady(node, agent);
  const pods = (await endpointsOn(node)).length;
  assert.ok(pods > 1);
  const call = { container: 'full', netns: '/run/netns/full' };
  const refused = await cni(node, call);
  assert.equal(refused.code, 1);
  const { code, msg } = JSON.parse(refused.stdout);
  assert.equal(code, 11);
  assert.match(msg, /Cannot add pod faults\/full: there is no room left on the file system of \/run\/full \(ENOSPC\)/);
  await servesTraffic();
  assert.equal((await endpointsOn(node)).length, pods);
  assert.deepEqual(await differencesOn(node), []);
  const files = await readdir(node.path('/run/full'));
  assert.deepEqual(
    files.filter((name) => name.startsWith('.')),
    [],
  );
  await mustRun(node.enter(['rm', '/run/full/ballast'], ['--mount']));
  const added = await cni(node, call);
  assert.equal(added.code, 0, added.stdout);
  assert.equal((await cni(node, { ...call, command: 'DEL' })).code, 0);
  assert.deepEqual(await differencesOn(node), []);
  agent.signal('SIGTERM');
  await agent.exited;
});

test('a clock that jumps back and forth by days changes nothing', { skip }, async () => {
  const node = faulty().node('node1');
  const preload = await valuesFile(
    faulty(),
    'clock.cjs',
    'const now = Date.now, day = 864e5; Date.now = () => now() + (Math.floor(performance.now() / 300) % 3 - 1) * 2 * day;',
  );
  const agent = faulty().start(node, { within: ['env', `NODE_OPTIONS=--require=${preload}`] });
  await agentReady(node, agent);
  await mustRun(node.enter(['ip', 'netns', 'add', 'clock'], ['--net', '--mount']));
  for (let i = 0; i < 4; i++) {
    for (const command of ['ADD', 'DEL'])
      assert.equal((await cni(node, { command, container: 'clock', netns: '/run/netns/clock' })).code, 0);
    await servesTraffic();
  }
  assert.deepEqual(await differencesOn(node), []);
  const times = new Set<string>();
  await until('the clock to be seen jumping', 5000, async () => times.add(new Date((await statusOn(node)).time).toDateString()).size > 1);
  agent.signal('SIGTERM');
  assert.equal(await agent.exited, 0);
});
