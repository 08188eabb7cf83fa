// SPDX-License-Identifier: Apache-2.0
// Which ports a process of the node may bind: real sockets, in a cgroup of their own. BPF_PROG_TEST_RUN knows no cgroup hooks.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { attachCgroup, AttachType } from '../../src/kernel/link.ts';
import { NetlinkSocket } from '../../src/kernel/socket.ts';
import { cgroupMissing, temporaryCgroup } from '../../src/kernel/testdata/harness.ts';
import { at, nodePortOf } from './cluster.ts';
import { HOST_DNS, loadNode } from './loaded.ts';

const taken = nodePortOf.front ?? 0; // TCP; the next one is UDP
const free = 30_999;

// Arguments: tcp or udp, address, port. Prints 'bound' or the error.
const BIND = `
const [kind, host, port] = process.argv.slice(1);
const said = (what) => { console.log(what); process.exit(); };
const socket = kind === 'tcp' ? require('node:net').createServer() : require('node:dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
socket.on('error', ({ code }) => said(code));
if (kind === 'tcp') socket.listen({ host, port: Number(port) }, () => said('bound'));
else socket.bind(Number(port), host, () => said('bound'));`;

const ENTER = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"';

// covers: port-kept
describe('bind() of a process of the node', { skip: namespaceMissing || cgroupMissing }, () => {
  const end = new DisposableStack();
  let cgroup = '';
  before(async () => {
    using netlink = NetlinkSocket.open();
    const node = end.use(await loadNode({ hostNetnsCookie: netlink.netnsCookie }));
    cgroup = end.use(temporaryCgroup()).path;
    end.use(await attachCgroup(node.datapath.program('sock_post_bind4'), cgroup, AttachType.cgroupInet4PostBind));
    end.use(await attachCgroup(node.datapath.program('sock_post_bind6'), cgroup, AttachType.cgroupInet6PostBind));
  });
  after(() => end.dispose());

  const bind = (kind: 'tcp' | 'udp', host: string, port: number, prefix: readonly string[] = []) => {
    const command = [...prefix, process.execPath, '-e', BIND, kind, host, `${port}`];
    const { stdout, stderr } = spawnSync('sh', ['-c', ENTER, 'sh', cgroup, ...command], { encoding: 'utf8' });
    return stdout.trim() || stderr.trim();
  };

  const everywhere = ['0.0.0.0', '::', '127.0.0.1', '::1', at[4].node, at[6].node];
  for (const host of everywhere)
    it(`to a node port is refused at ${host}, in its protocol alone`, () => {
      assert.deepEqual([bind('tcp', host, taken), bind('udp', host, taken + 1)], ['EPERM', 'EPERM']);
      assert.deepEqual([bind('udp', host, taken), bind('tcp', host, taken + 1)], ['bound', 'bound']);
    });

  it('to a port of a Service with proxy-delegation goes through: the proxy listens there', () => {
    const own = nodePortOf.delegated ?? 0;
    assert.deepEqual([bind('tcp', '0.0.0.0', own), bind('udp', '0.0.0.0', own + 1)], ['bound', 'bound']);
  });

  it('to other ports, and at addresses that have no node ports, goes through', () => {
    for (const host of everywhere) assert.deepEqual([bind('tcp', host, free), bind('udp', host, 0)], ['bound', 'bound'], host);
    assert.equal(bind('tcp', HOST_DNS, taken), 'bound');
  });

  it('in another network namespace, as a pod has one, goes through', () => {
    assert.deepEqual(
      [bind('tcp', '0.0.0.0', taken, ['unshare', '--net']), bind('tcp', '::', taken, ['unshare', '--net'])],
      ['bound', 'bound'],
    );
  });
});
