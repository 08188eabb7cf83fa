// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { packetOf } from '../../bpf/test/packet.ts';
import { ip, parseMac } from '../base/ip.ts';
import { resetFrame, synFrame } from './knock-frames.ts';

const [from, to] = ['02:00:00:00:01:10', '02:00:00:00:01:11'].map((text) => parseMac(text) ?? assert.fail());

describe('a knock at a service address', () => {
  for (const [source, destination] of [
    ['192.168.0.11', '192.168.0.220'],
    ['fd00::11', 'fd00::220'],
  ] as const)
    it(`is a SYN from ${source}, and a RST one further, both with right lengths and checksums`, () => {
      if (!from || !to) return assert.fail();
      const knock = {
        from,
        to,
        source: ip(source),
        destination: ip(destination),
        sourcePort: 4243,
        destinationPort: 80,
        sequence: 0xffff_ffff,
      };
      const bodies = [synFrame(knock), resetFrame(knock)].map((bytes) => {
        const { body, ...rest } = packetOf(bytes);
        assert.deepEqual([rest.from, rest.to, rest.source, rest.destination], [from, to, source, destination]);
        assert.ok(body.kind === 'tcp');
        return [body.sourcePort, body.destinationPort, body.flags, body.seq];
      });
      assert.deepEqual(bodies, [
        [4243, 80, 'S', 0xffff_ffff],
        [4243, 80, 'R', 0],
      ]);
    });
});
