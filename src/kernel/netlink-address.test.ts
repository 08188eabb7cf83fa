// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ip } from '../base/ip.ts';
import { isKernelError } from './errors.ts';
import { AddressFlag, deleteAddress, listAddresses, putAddress } from './netlink-address.ts';
import { changeLink, createVeth, findLink } from './netlink-link.ts';
import { netnsMissing } from './testdata/harness.ts';
import { testNamespace } from './testdata/netlink-testbed.ts';

describe('addresses', { skip: netnsMissing }, () => {
  it('are added as ip shows them, IPv6 usable at once', () => {
    using host = testNamespace();
    createVeth(host.socket, { name: 'a', up: true, peer: { name: 'b' } });
    const link = findLink(host.socket, 'a')?.index ?? 0;
    changeLink(host.socket, findLink(host.socket, 'b')?.index ?? 0, { up: true });
    putAddress(host.socket, { link, ip: ip('10.0.0.1'), bits: 24 });
    putAddress(host.socket, { link, ip: ip('fd00::1'), bits: 64, flags: AddressFlag.noDuplicateDetection });
    putAddress(host.socket, { link, ip: ip('10.0.0.1'), bits: 24 }); // again is no error

    const [shown] = host.ip('addr', 'show', 'a');
    const infos = (shown?.['addr_info'] ?? []) as { local: string; prefixlen: number; tentative?: boolean }[]; // as: shape of ip's output
    const global = infos.filter((info) => !info.local.startsWith('fe80'));
    assert.deepEqual(
      global.map((info) => [info.local, info.prefixlen, info.tentative ?? false]),
      [
        ['10.0.0.1', 24, false],
        ['fd00::1', 64, false],
      ],
    );

    const listed = listAddresses(host.socket, link).filter((address) => address.scope === 0);
    assert.deepEqual(
      listed.map((address) => [address.link, address.ip, address.bits, (address.flags & AddressFlag.permanent) !== 0]),
      [
        [link, '10.0.0.1', 24, true],
        [link, 'fd00::1', 64, true],
      ],
    );
    assert.equal(
      listed.some((address) => (address.flags & AddressFlag.tentative) !== 0),
      false,
    );
    assert.ok(listAddresses(host.socket).length >= listed.length);
  });

  it('are deleted once', () => {
    using host = testNamespace();
    for (const [text, bits] of [
      ['10.0.0.1', 32],
      ['fd00::1', 128],
    ] as const) {
      const address = { link: 1, ip: ip(text), bits };
      putAddress(host.socket, address);
      assert.equal(deleteAddress(host.socket, address), true);
      assert.equal(deleteAddress(host.socket, address), false);
      assert.equal(deleteAddress(host.socket, { ...address, link: 99 }), false);
    }
  });

  it('say which address and link the kernel refused', () => {
    using host = testNamespace();
    assert.throws(
      () => putAddress(host.socket, { link: 99, ip: ip('10.0.0.1'), bits: 32 }),
      (error) => isKernelError(error, 'ENODEV') && error.message.includes('RTM_NEWADDR 10.0.0.1/32 of link 99'),
    );
  });
});
