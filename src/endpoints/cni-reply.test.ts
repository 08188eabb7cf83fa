// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cidr, ip, parseMac } from '../base/ip.ts';
import type { Mac } from '../base/ip.ts';
import type { Attachment, CniVersion } from './cni-reply.ts';
import { CNI_VERSIONS, CniCode, failed, replyBytes } from './cni-reply.ts';

const mac = (text: string): Mac => parseMac(text) ?? assert.fail(text);
const attachment: Attachment = {
  interfaces: [
    { name: 'lxc0123456789ab', mac: mac('02:00:00:00:00:01'), mtu: 1500 },
    { name: 'eth0', mac: mac('02:00:00:00:00:02'), mtu: 1500, sandbox: '/var/run/netns/a' },
  ],
  ips: [
    { address: cidr('10.244.1.5/32'), gateway: ip('169.254.1.1'), interface: 1 },
    { address: cidr('fd00:1::5/128'), interface: 1 },
  ],
  routes: [{ destination: cidr('0.0.0.0/0'), gateway: ip('169.254.1.1'), mtu: 1450 }, { destination: cidr('::/0') }],
};

const shapes: Record<CniVersion, { family: boolean; mtu: boolean }> = {
  '0.3.0': { family: true, mtu: false },
  '0.3.1': { family: true, mtu: false },
  '0.4.0': { family: true, mtu: false },
  '1.0.0': { family: false, mtu: false },
  '1.1.0': { family: false, mtu: true },
};

for (const version of CNI_VERSIONS)
  test(`an ADD result has the shape of ${version}`, () => {
    const { family, mtu } = shapes[version];
    const reply = replyBytes(version, { kind: 'added', attachment });
    assert.equal(reply[0], 0);
    assert.deepEqual(JSON.parse(reply.toString('utf8', 1)), {
      cniVersion: version,
      interfaces: [
        { name: 'lxc0123456789ab', mac: '02:00:00:00:00:01', ...(mtu && { mtu: 1500 }) },
        { name: 'eth0', mac: '02:00:00:00:00:02', ...(mtu && { mtu: 1500 }), sandbox: '/var/run/netns/a' },
      ],
      ips: [
        { ...(family && { version: '4' }), address: '10.244.1.5/32', gateway: '169.254.1.1', interface: 1 },
        { ...(family && { version: '6' }), address: 'fd00:1::5/128', interface: 1 },
      ],
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1', ...(mtu && { mtu: 1450 }) }, { dst: '::/0' }],
      dns: {},
    });
  });

test('a DEL prints nothing and exits 0', () => {
  assert.deepEqual([...replyBytes('1.0.0', { kind: 'done' })], [0]);
});

test('a failure exits 1 and has code, msg and, when there are any, details', () => {
  const reply = replyBytes('0.4.0', failed(CniCode.tryAgainLater, 'Cannot set up the pod', 'no podCIDR yet'));
  assert.equal(reply[0], 1);
  assert.deepEqual(JSON.parse(reply.toString('utf8', 1)), {
    cniVersion: '0.4.0',
    code: 11,
    msg: 'Cannot set up the pod',
    details: 'no podCIDR yet',
  });
  assert.equal('details' in JSON.parse(replyBytes('0.4.0', failed(CniCode.internal, 'x')).toString('utf8', 1)), false);
});

test('the plugin alone says the same versions as the agent', () => {
  const said = /supportedVersions\\":\[([^\]]*)\]/.exec(readFileSync(new URL('../../cni/shim.c', import.meta.url), 'utf8'));
  assert.deepEqual(JSON.parse(`[${(said?.[1] ?? '').replaceAll('\\', '')}]`), CNI_VERSIONS);
});
