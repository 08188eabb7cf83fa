// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip, parseMac } from '../base/ip.ts';
import { changeLink, createVeth, findLink } from './netlink-link.ts';
import { deleteNeighbour, listNeighbours, NeighbourState, putNeighbour } from './netlink-neighbour.ts';
import { netnsMissing } from './testdata/harness.ts';
import { testNamespace } from './testdata/netlink-testbed.ts';

describe('neighbours', { skip: netnsMissing }, () => {
  it('are put as permanent, listed as ip lists them, replaced and deleted', () => {
    using host = testNamespace();
    createVeth(host.socket, { name: 'a', up: true, peer: { name: 'b' } });
    changeLink(host.socket, findLink(host.socket, 'b')?.index ?? 0, { up: true });
    const link = findLink(host.socket, 'a')?.index ?? 0;
    const [first, second] = [parseMac('02:00:00:00:00:09'), parseMac('02:00:00:00:00:0a')];
    assert.ok(first !== undefined && second !== undefined);
    for (const text of ['10.0.0.9', 'fd00::9']) {
      putNeighbour(host.socket, { link, ip: ip(text), mac: first });
      putNeighbour(host.socket, { link, ip: ip(text), mac: second });
      const [shown] = host.ip('neigh', 'show', text, 'dev', 'a');
      assert.deepEqual([shown?.['lladdr'], shown?.['state']], ['02:00:00:00:00:0a', ['PERMANENT']]);
      const listed = listNeighbours(host.socket).filter((neighbour) => neighbour.ip === text);
      assert.deepEqual(listed, [{ link, ip: text, mac: '02:00:00:00:00:0a', state: NeighbourState.permanent }]);
      assert.equal(deleteNeighbour(host.socket, link, ip(text)), true);
      assert.equal(deleteNeighbour(host.socket, link, ip('10.0.0.77')), false);
      assert.equal(deleteNeighbour(host.socket, 999, ip(text)), false);
    }
  });
});
