// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VipRow } from '../agent/api-types.ts';
import { announceText } from './shell.ts';
import { markdown, vipText, whyText } from './vip.ts';

const NOW = 1_000_000;
const owned: VipRow = {
  ip: '192.168.0.220',
  services: ['shop/web'],
  policies: ['policy'],
  owner: 'node2',
  interfaces: ['eth0'],
  macs: ['02:00:c0:a8:00:0c'],
  since: NOW - 90_000,
  from: 'node1',
  why: 'node1 is cordoned',
  answers: 12,
  packets: 1234,
  lopsided: [],
  reachable: [
    { from: 'node1', found: true },
    { from: 'node3', found: false },
  ],
  alsoClaimed: [],
  candidates: [
    { node: 'node1', level: 1, why: 'is cordoned' },
    { node: 'node2', level: 2, why: undefined },
    { node: 'node3', level: 0, why: 'is not heard on the segment' },
  ],
};
const orphan: VipRow = {
  ...owned,
  ip: '192.168.0.221',
  policies: [],
  owner: undefined,
  interfaces: [],
  macs: [],
  from: undefined,
  reachable: [],
  why: 'no CiliumL2AnnouncementPolicy selects it',
  answers: undefined,
  packets: undefined,
  candidates: [],
};

describe('vip', () => {
  it('is one table', () => {
    assert.equal(
      vipText([owned, orphan], NOW),
      `ADDRESS         SERVICE    OWNER    INTERFACE   MAC                 SINCE   LAST MOVE                                  REACHABLE FROM    PACKETS   ANSWERS
192.168.0.220   shop/web   node2    eth0        02:00:c0:a8:00:0c   1m30s   from node1: node1 is cordoned              node1,not node3   1234      12
192.168.0.221   shop/web   nobody   -           -                   1m30s   no CiliumL2AnnouncementPolicy selects it   -                 -         -
`,
    );
    assert.equal(vipText([], NOW), 'No Service has a load balancer address or an external IP\n');
  });

  it('is a table for markdown, too', () => {
    const [header, line, row] = markdown([owned], NOW).split('\n');
    assert.equal(header, '| ADDRESS | SERVICE | OWNER | INTERFACE | MAC | SINCE | LAST MOVE | REACHABLE FROM | PACKETS | ANSWERS |');
    assert.equal(line, '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
    assert.match(row ?? '', /^\| 192\.168\.0\.220 \| shop\/web \| node2 \|/);
  });

  it('says which client makes a service lopsided, and how to spread its connections', () => {
    const frontend = '192.168.0.220:80/TCP';
    const lopsided = [{ frontend, service: 'shop/web', client: '192.168.0.10', flows: 45, of: 50, backends: 3 }];
    const wanted =
      '192.168.0.220:80/TCP: 45 of 50 connections are of 192.168.0.10, so that one of 3 backends has them. ' +
      'To spread them: kubectl -n shop annotate service web lb.stentor.dev/maglev-key=flow';
    for (const text of [vipText, markdown]) assert.ok(text([{ ...owned, lopsided }], NOW).endsWith(`\n${wanted}\n`));
    assert.ok(whyText({ ...owned, lopsided }, NOW).includes(`\n${wanted}\n`));
  });

  it('says why in sentences, of the owner and of everybody else', () => {
    assert.equal(
      whyText(owned, NOW),
      `192.168.0.220 is an address of shop/web.
node2 answers for it on eth0, since 1m30s: node1 is cordoned.
Before, node1 did.
Policies that announce it: policy.
node1 asks for it on the LAN, and finds it at node2.
node3 asks for it on the LAN, and does not find it at node2.
node1 could if nobody else can: it is cordoned.
node3 cannot: it is not heard on the segment.
`,
    );
    assert.match(whyText(orphan, NOW), /Nobody answers for it: no CiliumL2AnnouncementPolicy selects it\.\n/);
  });
});

describe('shell -- db/show l2-announce', () => {
  it('has what this node answers for', () => {
    assert.equal(
      announceText([owned, orphan]),
      'IP              NetworkInterface   Origins\n192.168.0.220   eth0               [shop/web]\n',
    );
  });
});
