// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { arpFrame, BROADCAST, neighbourMessage, NOBODY } from '../../bpf/test/neighbours.ts';
import { frame } from '../../bpf/test/packet.ts';
import { ip, parseMac } from '../base/ip.ts';
import { gratuitousFrames, solicitedNodeGroup } from './segment-frames.ts';

const own = '02:00:00:00:01:10';
const mac = parseMac(own) ?? assert.fail();

describe('what a new owner tells everybody', () => {
  it('for IPv4 is an announcement as RFC 5227 has it, and the same as a reply', () => {
    const said = { senderMac: own, sender: '192.168.0.220', target: '192.168.0.220' };
    const wanted = [
      arpFrame(own, BROADCAST, { ...said, operation: 1, targetMac: NOBODY }),
      arpFrame(own, BROADCAST, { ...said, operation: 2, targetMac: BROADCAST }),
    ];
    assert.deepEqual(
      gratuitousFrames(ip('192.168.0.220'), mac),
      wanted.map((bytes) => Buffer.concat([bytes, Buffer.alloc(60 - bytes.length)])),
    );
  });

  it('for IPv6 is an advertisement that overrides, with the link address (RFC 4861 section 7.2.6)', () => {
    const ends = { from: own, to: '33:33:00:00:00:01', source: 'fd00::220', destination: 'ff02::1' };
    const wanted = neighbourMessage(ends, 136, 'fd00::220', { flags: 0x20, option: { type: 2, mac: own } });
    assert.deepEqual(gratuitousFrames(ip('fd00::220'), mac), [frame(wanted)]);
  });

  it('is solicited by the group of its last 24 bits', () => {
    assert.deepEqual(solicitedNodeGroup(ip('2001:db8::a1:b2c3')), { group: ip('ff02::1:ffa1:b2c3'), mac: parseMac('33:33:ff:a1:b2:c3') });
  });
});
