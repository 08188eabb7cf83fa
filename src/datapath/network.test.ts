// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidr, cidrText, ip } from '../base/ip.ts';
import { problemBook } from '../base/problem.ts';
import { table } from '../base/table.ts';
import { KernelError } from '../kernel/errors.ts';
import { putAddress } from '../kernel/netlink-address.ts';
import { changeLink, createVeth, deleteLink, findLink } from '../kernel/netlink-link.ts';
import { putRoute } from '../kernel/netlink-route.ts';
import type { NetlinkAsked } from '../kernel/socket.ts';
import { eventually, netnsMissing } from '../kernel/testdata/harness.ts';
import { testNamespace } from '../kernel/testdata/netlink-testbed.ts';
import { watchNetwork } from './network.ts';
import type { InterfaceRow, Loss } from './network.ts';
import { ROUTE_PROTOCOL } from './routes.ts';

/** A network source in a namespace, where dumps fail as long as `refuse` is set. */
function watchedNamespace(refuse: boolean) {
  const host = testNamespace();
  const ending = new AbortController();
  const rows = table<string, InterfaceRow>('interfaces');
  const problems = problemBook();
  const kernel = { refuse };
  const losses = new Set<string>();
  const socket: NetlinkAsked = {
    request(request) {
      if (kernel.refuse) throw new KernelError(`${request.what} failed: EINTR`, { code: 'EINTR', errno: 4, syscall: 'netlink' });
      return host.socket.request(request);
    },
  };
  const common = {
    socket,
    netns: host.path,
    node: 'node1',
    problems,
    changed: () => {},
    lost: (loss: Loss) => losses.add(loss.kind),
    signal: ending.signal,
  };
  watchNetwork({ ...common, writer: rows.writer('netlink') });
  return {
    host,
    kernel,
    rows,
    losses: () => [...losses],
    names: () => Array.from(rows.entries(), ([, { name }]) => name).toSorted(),
    problems: () => Array.from(problems.table.entries(), ([, one]) => one),
    [Symbol.dispose]() {
      ending.abort();
      host[Symbol.dispose]();
    },
  };
}

describe('a kernel that does not tell of its network', { skip: netnsMissing }, () => {
  it('is asked again, what it told last is kept, and it is a Problem until it answers', async () => {
    using node = watchedNamespace(false);
    assert.deepEqual([node.names(), node.rows.complete], [['lo'], true]);
    node.kernel.refuse = true;
    createVeth(node.host.socket, { name: 'a', peer: { name: 'b' } });
    await eventually('it is a Problem', () => node.problems().length > 0);
    const [found] = node.problems();
    assert.deepEqual([found?.object, found?.reason], ['Node node1', 'CannotReadNetwork']);
    assert.match(found?.message ?? '', /RTM_GETROUTE of all IPv4 routes failed: EINTR$/);
    assert.deepEqual(node.names(), ['lo']);
    node.kernel.refuse = false;
    await eventually('it is heard again', () => node.names().length === 3);
    assert.deepEqual([node.names(), node.problems()], [['a', 'b', 'lo'], []]);
    deleteLink(node.host.socket, 'a');
    await eventually('changes are followed as before', () => node.names().length === 1);
  });

  it('from the start leaves the table incomplete, so that nothing is removed for it', async () => {
    using node = watchedNamespace(true);
    await eventually('it is a Problem', () => node.problems().length > 0);
    assert.deepEqual([node.names(), node.rows.complete], [[], false]);
    node.kernel.refuse = false;
    await eventually('the table is complete', () => node.rows.complete);
    assert.deepEqual(node.names(), ['lo']);
  });
});

describe('the segments of an interface', { skip: netnsMissing }, () => {
  it('are what the main table reaches without a gateway, and follow it', async () => {
    using node = watchedNamespace(false);
    const { socket } = node.host;
    createVeth(socket, { name: 'a', peer: { name: 'b' } });
    const link = findLink(socket, 'a')?.index ?? 0;
    for (const name of ['a', 'b']) changeLink(socket, findLink(socket, name)?.index ?? 0, { up: true });
    const segments = () =>
      Array.from(node.rows.entries(), ([, row]) => row.segments.map(cidrText).map((text) => `${row.name} ${text}`)).flat();
    const become = (wanted: readonly string[]) =>
      eventually(`segments to be ${wanted.join(', ')}`, () => segments().toSorted().join() === wanted.join());
    putAddress(socket, { link, ip: ip('192.168.0.11'), bits: 24 });
    putAddress(socket, { link, ip: ip('fd00:192:168::11'), bits: 64 });
    await become(['a 192.168.0.0/24', 'a fd00:192:168::/64']);
    putRoute(socket, { destination: cidr('10.0.0.0/16'), link });
    await become(['a 10.0.0.0/16', 'a 192.168.0.0/24', 'a fd00:192:168::/64']);
    putRoute(socket, { destination: cidr('10.1.0.0/16'), gateway: ip('192.168.0.1') });
    putRoute(socket, { destination: cidr('10.244.1.7/32'), link, protocol: ROUTE_PROTOCOL });
    putRoute(socket, { destination: cidr('0.0.0.0/0'), link });
    await eventually('the default route', () => node.rows.get(String(link))?.defaultRoute === true);
    await become(['a 10.0.0.0/16', 'a 192.168.0.0/24', 'a fd00:192:168::/64']);
    changeLink(socket, link, { up: false });
    await become([]);
    assert.deepEqual(node.losses(), ['routes']);
  });
});
