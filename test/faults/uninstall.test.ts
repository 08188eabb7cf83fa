// SPDX-License-Identifier: Apache-2.0
// What an agent leaves on a node, and that uninstalling takes all of it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mustRun, run } from '../../sandbox/run.ts';
import { agentReady, checkout, faultyCluster, skip } from './cluster.ts';
import type { Agent } from './cluster.ts';

const faulty = faultyCluster('faultsx');
const node = () => faulty().node('node1');
let agent: Agent | undefined;

const uninstall = (...args: readonly string[]) =>
  run(node().command([join(checkout, 'bin', 'stentor'), 'uninstall', '--node', ...args]), { timeoutMs: 20_000 });

/** Whatever of ours somebody may find on the node. */
async function traces(): Promise<readonly string[]> {
  const script = `
    ip -o link | grep -o 'lxc[0-9a-f]*' | sort -u
    ip route show proto 205; ip -6 route show proto 205
    find /sys/fs/bpf/stentor /var/run/cilium /run/cilium/state /etc/cni/net.d/05-cilium.conflist /opt/cni/bin/cilium-cni -type f -o -type s 2>/dev/null
    ls -d /sys/fs/bpf/stentor /run/cilium/state 2>/dev/null
    bpftool net show | grep -E 'pod_from|pod_to|host_from|host_to' || true`;
  const out = await mustRun(node().enter(['sh', '-c', script], ['--net', '--mount']));
  return out.split('\n').filter((line) => line !== '');
}

const sysctl = (name: string) => mustRun(node().enter(['cat', `/proc/sys/${name}`], ['--net', '--mount'])).then((text) => text.trim());

test('while an agent runs it refuses, and says what to do', { skip }, async () => {
  await faulty().dismissAgents();
  await mustRun(
    node().enter(
      [
        'sh',
        '-c',
        'echo 2 > /proc/sys/net/ipv4/conf/default/rp_filter; rm -f /run/cilium/sysctls.json; echo {} > /etc/cni/net.d/87-other.conflist',
      ],
      ['--net', '--mount'],
    ),
  );
  agent = faulty().start(node());
  await agentReady(node(), agent);
  assert.equal(await sysctl('net/ipv4/conf/default/rp_filter'), '0');
  const { code, stderr } = await uninstall();
  assert.equal(code, 1);
  assert.match(stderr, /Cannot uninstall while an agent runs: it answers at .*; delete its DaemonSet first/);
  const wrong = await run(node().command([join(checkout, 'bin', 'stentor'), 'uninstall']));
  assert.equal(wrong.code, 2);
});

test('--dry-run says what there is and leaves it', { skip }, async () => {
  agent?.signal('SIGTERM');
  await agent?.exited;
  const before = await traces();
  const { code, stdout } = await uninstall('--dry-run');
  assert.equal(code, 0);
  for (const kind of ['program', 'interface', 'route', 'map', 'pins', 'CNI configuration', 'CNI plugin', 'sysctl', 'endpoints'])
    assert.match(stdout, new RegExp(`^${kind} +.*would be removed$`, 'm'));
  assert.deepEqual(await traces(), before);
});

test('it leaves no interface, route, pin, program or file, and gives back what was put aside', { skip }, async (t) => {
  const before = await traces();
  assert.ok(before.length > 20, 'the check sees what there is');
  const { code, stdout, stderr } = await uninstall('-o', 'json');
  assert.equal(code, 0, stdout + stderr);
  t.diagnostic(`${JSON.parse(stdout).length} things removed`);
  assert.deepEqual(await traces(), []);
  await mustRun(node().enter(['test', '-e', '/etc/cni/net.d/87-other.conflist'], ['--mount']));
  assert.equal(await sysctl('net/ipv4/conf/default/rp_filter'), '2');
});

test('a second time there is nothing, and an agent may come again', { skip }, async () => {
  const { code, stdout } = await uninstall();
  assert.deepEqual([code, stdout], [0, 'There is nothing of ours on this node\n']);
  agent = faulty().start(node());
  await agentReady(node(), agent);
  assert.equal((await uninstall('--dry-run', '--force')).code, 0);
});
