// SPDX-License-Identifier: Apache-2.0
// What is told of sockets that mean a service: real sockets, in a cgroup of their own, as BPF_PROG_TEST_RUN knows no cgroup hooks.
import { namespaceMissing } from './own-namespace.ts';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, beforeEach, describe, it } from 'node:test';
import { EventKind, socketEventCodec } from '../../src/datapath/schema.gen.ts';
import { attachCgroup, AttachType } from '../../src/kernel/link.ts';
import { NetlinkSocket } from '../../src/kernel/socket.ts';
import { cgroupMissing, temporaryCgroup } from '../../src/kernel/testdata/harness.ts';
import { at, families } from './cluster.ts';
import { loadNode } from './loaded.ts';
import type { LoadedNode } from './loaded.ts';

const UDP = 17;

// Arguments: connect or send, address, port.
const TALK = `
const [how, host, port] = process.argv.slice(1);
const socket = require('node:dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
socket.on('error', () => process.exit());
if (how === 'connect') socket.connect(Number(port), host, () => process.exit());
else socket.send('question', Number(port), host, () => process.exit());`;

const ENTER = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"';

describe('a socket that is connected to a service', { skip: namespaceMissing || cgroupMissing }, () => {
  const end = new DisposableStack();
  let [cgroup, netns] = ['', 0n];
  let node: LoadedNode;
  before(async () => {
    using netlink = NetlinkSocket.open();
    netns = netlink.netnsCookie;
    node = end.use(await loadNode({ hostNetnsCookie: netns }));
    cgroup = end.use(temporaryCgroup()).path;
    for (const [program, type] of [
      ['sock_connect4', AttachType.cgroupInet4Connect],
      ['sock_connect6', AttachType.cgroupInet6Connect],
      ['sock_sendmsg4', AttachType.cgroupUdp4Sendmsg],
      ['sock_sendmsg6', AttachType.cgroupUdp6Sendmsg],
    ] as const)
      end.use(await attachCgroup(node.datapath.program(program), cgroup, type));
  });
  after(() => end.dispose());
  beforeEach(() => node.forget());

  const talk = (how: 'connect' | 'send', host: string, port: number) => {
    spawnSync('sh', ['-c', ENTER, 'sh', cgroup, process.execPath, '-e', TALK, how, host, `${port}`]);
    return node
      .records()
      .filter((record) => record[8] === EventKind.socket)
      .map((record) => socketEventCodec.decode(record));
  };

  for (const family of families) {
    const { cart, podB, world } = at[family];
    it(`over IPv${family} is told with the service, the backend, and the namespace that it is in`, () => {
      const [event, ...more] = talk('connect', cart, 53);
      assert.deepEqual(more, []);
      assert.deepEqual(event?.frontend, { address: cart, port: 53, protocol: UDP });
      assert.deepEqual(event.backend, { address: podB, port: 5353, protocol: UDP });
      assert.equal(BigInt(event.netns), netns);
      assert.ok(event.socket > 0 && event.cgroup > 0 && event.service > 0);
    });

    it(`over IPv${family} is told once: not for each datagram, and not for what is no service`, () => {
      assert.deepEqual(talk('send', cart, 53), []);
      assert.deepEqual(talk('connect', world, 53), []);
    });
  }
});
