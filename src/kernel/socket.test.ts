// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NetlinkFlag, NetlinkSocket } from './socket.ts';
import type { NetlinkRequest } from './socket.ts';
import { eventually, kernelError, netnsMissing, temporaryNetns } from './testdata/harness.ts';

const messageType = { newLink: 16, getLink: 18, newRoute: 24 } as const;
const linkGroup = 1; // RTNLGRP_LINK
const up = 1; // IFF_UP

/** struct ifinfomsg: family, pad, type, index, flags, mask of the flags to change. */
function linkBody(index: number, flags = 0, change = 0): Buffer {
  const body = Buffer.alloc(16);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(flags, 8);
  body.writeUInt32LE(change, 12);
  return body;
}

const dumpLinks: NetlinkRequest = { type: messageType.getLink, flags: NetlinkFlag.dump, body: linkBody(0), what: 'RTM_GETLINK' };
const loopbackUp: NetlinkRequest = { type: messageType.newLink, body: linkBody(1, up, up), what: 'RTM_NEWLINK lo up' };

describe('a netlink socket', { skip: netnsMissing }, () => {
  it('sees the interfaces of the namespace in which it was opened', () => {
    using netns = temporaryNetns();
    using socket = NetlinkSocket.open({ netns: netns.path });
    const links = socket.request(dumpLinks);
    assert.ok(links.length >= 1);
    assert.ok(links.every((link) => link.type === messageType.newLink));
    assert.equal(links[0]?.body.readInt32LE(4), 1);
  });

  it('knows the cookie of its namespace', () => {
    using netns = temporaryNetns();
    const [here, again, there] = [NetlinkSocket.open(), NetlinkSocket.open(), NetlinkSocket.open({ netns: netns.path })];
    using _all = { [Symbol.dispose]: () => [here, again, there].forEach((socket) => socket[Symbol.dispose]()) };
    assert.ok(here.netnsCookie > 0n);
    assert.equal(again.netnsCookie, here.netnsCookie);
    assert.notEqual(there.netnsCookie, here.netnsCookie);
  });

  it('answers an acknowledged request with nothing and a get with one message', () => {
    using netns = temporaryNetns();
    using socket = NetlinkSocket.open({ netns: netns.path });
    assert.deepEqual(socket.request(loopbackUp), []);
    const [link, ...more] = socket.request({ type: messageType.getLink, body: linkBody(1), what: 'RTM_GETLINK lo' });
    assert.deepEqual(more, []);
    assert.equal((link?.body.readUInt32LE(8) ?? 0) & up, up);
  });

  it('carries errno and the words of the kernel in a refusal, and works on', () => {
    using netns = temporaryNetns();
    using socket = NetlinkSocket.open({ netns: netns.path });
    assert.throws(() => socket.request({ type: messageType.getLink, body: linkBody(4242), what: 'RTM_GETLINK 4242' }), {
      code: 'ENODEV',
      syscall: 'netlink',
      message: 'netlink RTM_GETLINK 4242 failed: ENODEV (No such device)',
    });
    const badRoute = Buffer.alloc(12); // struct rtmsg: family 2 and a prefix of 77 bits
    badRoute.set([2, 77]);
    assert.throws(
      () => socket.request({ type: messageType.newRoute, flags: NetlinkFlag.create, body: badRoute, what: 'RTM_NEWROUTE' }),
      /EINVAL \(Invalid prefix length\)/,
    );
    assert.ok(socket.request(dumpLinks).length >= 1);
  });

  it('hears what others change, and only in its namespace', async () => {
    using netns = temporaryNetns();
    using elsewhere = temporaryNetns();
    using monitor = NetlinkSocket.open({ netns: netns.path, groups: [linkGroup] });
    using here = NetlinkSocket.open({ netns: netns.path });
    using there = NetlinkSocket.open({ netns: elsewhere.path });
    const heard: number[] = [];
    using _watch = monitor.onReadable(() => heard.push(...monitor.receive().map((message) => message.body.readUInt32LE(8) & up)));
    assert.deepEqual(monitor.receive(), []);
    there.request(loopbackUp);
    here.request(loopbackUp);
    await eventually('the change was heard', () => heard.length > 0);
    assert.deepEqual(heard, [up]);
  });

  it('tells the reader of a full socket that messages were lost', () => {
    using netns = temporaryNetns();
    using monitor = NetlinkSocket.open({ netns: netns.path, groups: [linkGroup], receiveBufferBytes: 2048 });
    using here = NetlinkSocket.open({ netns: netns.path });
    for (let i = 0; i < 50; i++) here.request({ ...loopbackUp, body: linkBody(1, i % 2 === 0 ? up : 0, up) });
    const receiveAll = () => {
      while (monitor.receive().length > 0);
    };
    assert.throws(receiveAll, kernelError('ENOBUFS'));
    receiveAll();
  });

  it('refuses to be opened where it cannot', () => {
    assert.throws(() => NetlinkSocket.open({ netns: '/nonexistent' }), kernelError('ENOENT'));
    assert.throws(() => NetlinkSocket.open({ netns: '/etc/hostname' }), kernelError('EINVAL'));
    assert.throws(() => NetlinkSocket.open({ protocol: 31 }), kernelError('EPROTONOSUPPORT'));
    assert.throws(() => NetlinkSocket.open({ groups: [-1] }), RangeError);
  });

  it('is closed after disposal, also for its watchers', () => {
    const socket = NetlinkSocket.open();
    const watch = socket.onReadable(() => assert.fail('nothing can be readable'));
    socket[Symbol.dispose]();
    socket[Symbol.dispose]();
    watch[Symbol.dispose]();
    assert.throws(() => socket.request(dumpLinks), { name: 'HandleClosedError', code: 'ERR_HANDLE_CLOSED' });
  });
});
